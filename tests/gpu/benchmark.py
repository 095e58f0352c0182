"""Images per second of a training step against Python open_clip on the same device: eager and compiled.

Both sides train the same model in bf16 autocast with fused AdamW and clipped gradients, on batches that lie on the
device, and read the loss back every step.
"""

import json
import statistics
import sys

from machine import HERE, Failure

# Dense bf16 FLOP/s of a card without sparsity, for MFU; by a part of its name.
PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40": 181e12, "4090": 165e12}

MODELS = {
    "vit-b-16": 'model.image={ width = 768, layers = 12, heads = 12 }',
    "vit-s-16": 'model.image={ width = 384, layers = 12, heads = 6 }',
    "tiny": 'model.image={ image_size = 32, patch = 8, width = 64, layers = 2, heads = 2 }',
}
TINY_TEXT = "model.text={ width = 64, layers = 2, heads = 2, context_length = 16 }"


def silc_step(machine, row, model, batch, steps):
    sets = [MODELS[model], f"optimizer.batch={batch}", f'engine.device="{machine.device}"']
    if model == "tiny":
        sets += [TINY_TEXT, "data.train={ size = 32 }"]
        row = "silc-tiny" if row == "silc" else row
    # One update, which leaves the cell that is to be timed.
    name = f"benchmark-{row}-{model}-{batch}"
    machine.run(HERE / "benchmark.toml", name, "--rows", row, sets=[*sets, f"budget.examples={batch}"])
    (cell,) = machine.cells(name).values()
    result = json.loads(machine.call(machine.engine, "bench", "--cell", cell / "cell.toml", "--steps", steps).stdout)
    return {
        "images_per_second": batch / statistics.median(result["seconds"]),
        "step": statistics.median(result["seconds"]),
        "flops_per_step": result["flops_per_step"],
        "peak_memory": result["peak_memory"],
        "parameters": result["parameters"],
    }


def peer_step(machine, row, model, batch, steps, compiled):
    arguments = ["--objective", row, "--model", model, "--batch", batch, "--steps", steps + 3, "--precision", "bf16"]
    arguments += ["--device", machine.device, *(["--compile"] if compiled else [])]
    environment = {}
    if (machine.prefix / "peer").exists():
        environment["PYTHONPATH"] = str(machine.prefix / "peer")
    done = machine.call(sys.executable, HERE.parent / "bench/peer.py", *arguments, environment=environment)
    result = json.loads(done.stdout)
    return {
        "images_per_second": batch / statistics.median(result["seconds"][3:]),
        "step": statistics.median(result["seconds"][3:]),
        "peak_memory": result["peak_memory"],
        "parameters": result["parameters"],
    }


def run(machine, tiny):
    about = json.loads(machine.call(machine.engine, "about").stdout)
    card = next((device["name"] for device in about["devices"] if device["kind"].startswith("cuda")), "")
    peak = next((value for name, value in PEAK.items() if name in card), None)
    plan = [("tiny", 16)] if tiny else [("vit-b-16", 256), ("vit-b-16", 1024), ("vit-s-16", 1024)]
    steps = 5 if tiny else 20
    results = []
    for model, batch in plan:
        for row in ["clip", "siglip", "silc"]:
            entry = {"model": model, "batch": batch, "row": row, "silc": silc_step(machine, row, model, batch, steps)}
            ours = entry["silc"]
            if peak:
                ours["mfu"] = ours["flops_per_step"] / ours["step"] / peak
            line = f"{model} batch {batch} {row}: silc {ours['images_per_second']:.0f} images/s"
            line += f", MFU {ours['mfu']:.2f}" if peak else ""
            if row != "silc":
                for way, compiled in [("eager", False)] + ([] if tiny else [("compiled", True)]):
                    try:
                        entry[way] = peer_step(machine, row, model, batch, steps, compiled)
                        line += f", open_clip {way} {entry[way]['images_per_second']:.0f}"
                    except Failure as failure:  # a compiler that is missing must not take silc's figures with it
                        entry[way] = {"failure": str(failure)}
                        line += f", open_clip {way} failed"
                peers = [entry[way]["images_per_second"] for way in ("eager", "compiled")
                         if "images_per_second" in entry.get(way, {})]
                if peers:
                    entry["ratio"] = ours["images_per_second"] / max(peers)
                    line += f"; ratio to the faster {entry['ratio']:.2f}"
            print(line, flush=True)
            results.append(entry)
            (machine.output / "benchmark.json").write_text(json.dumps(results, indent=1))
    return {"card": card, "results": results}
