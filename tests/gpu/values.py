"""Every objective and evaluator on the device against the CPU: the same experiment in fp32, step by step.

The first losses come from the same weights, pictures and random numbers, so they agree to rounding; later ones drift
apart as any two orders of summation do, the more so the more a loss selects (hard assignments, masks). Metrics of such
short training are compared only for being there and finite.
"""

import math

from machine import EXPERIMENTS, Failure, events, metrics

# Relative, of the loss of the first update: fp32 sums in another order; 1e-4 where a loss is a difference of such sums.
FIRST_LOSS = 2e-4
# Of the mean over all updates.
MEAN_LOSS = 0.05


def relative(value, expected):
    return abs(value - expected) / max(abs(expected), 1e-6)


def run(machine, tiny):
    experiment = EXPERIMENTS / "smoke.toml"
    examples = 128 if tiny else 512
    sets = ['engine.precision="fp32"', "engine.log_every=1", f"budget.examples={examples}"]
    for name, device in [("values-cpu", "cpu"), ("values-device", machine.device)]:
        machine.run(experiment, name, sets=[*sets, f'engine.device="{device}"'])
    expected, measured = machine.cells("values-cpu"), machine.cells("values-device")
    if expected.keys() != measured.keys():
        raise Failure(f"other cells on the device: {sorted(measured)} for {sorted(expected)}")
    rows, faults = [], []
    for key, cell in expected.items():
        losses = [event["loss"] for event in events(cell, "step")]
        on_device = [event["loss"] for event in events(measured[key], "step")]
        first = relative(on_device[0], losses[0])
        mean = relative(sum(on_device) / len(on_device), sum(losses) / len(losses))
        scores = {(m["evaluator"], m["weights"], m["name"]) for m in metrics(cell)["metrics"]}
        device_scores = metrics(measured[key])["metrics"]
        row = {
            "row": key[0],
            "first_loss": {"cpu": losses[0], "device": on_device[0], "apart": first},
            "mean_loss_apart": mean,
            "metrics": len(device_scores),
        }
        rows.append(row)
        print(f"{key[0]:<40} first loss {losses[0]:.6f} {on_device[0]:.6f}  apart {first:.1e}, mean {mean:.1e}")
        if first > FIRST_LOSS or mean > MEAN_LOSS:
            faults.append(f"{key[0]}: losses are apart by {first:.1e} at first, {mean:.1e} in the mean")
        if {(m["evaluator"], m["weights"], m["name"]) for m in device_scores} != scores:
            faults.append(f"{key[0]}: other metrics than on the CPU")
        if not all(math.isfinite(m["value"]) for m in device_scores):
            faults.append(f"{key[0]}: a metric that is no number")
    if faults:
        raise Failure("\n".join(faults))
    return {"rows": rows}


def run_backbones(machine, tiny):
    """Every image backbone, in the same way."""
    rows, faults = [], []
    backbones = {
        "vit": 'model.image={ backbone = "vit", image_size = 32, patch = 8, width = 64, layers = 2, heads = 4 }',
        "resnet": 'model.image={ backbone = "resnet", image_size = 32, block = "basic", depths = "1,1", width = 16 }',
        "convnext": 'model.image={ backbone = "convnext", image_size = 32, depths = "1,1", widths = "16,32", patch = 4 }',
        "groupvit": 'model.image={ backbone = "groupvit", image_size = 32, patch = 8, width = 64, depths = "1,1", '
        'groups = "8", heads = 4 }',
    }
    experiment = EXPERIMENTS / "smoke.toml"
    for backbone, model in backbones.items():
        losses = {}
        for device in ["cpu", machine.device]:
            name = f"backbone-{backbone}-{'cpu' if device == 'cpu' else 'device'}"
            sets = [model, 'engine.precision="fp32"', "engine.log_every=1", f"budget.examples={64 if tiny else 256}"]
            machine.run(experiment, name, "--rows", "CLIP", sets=[*sets, f'engine.device="{device}"'])
            (cell,) = machine.cells(name).values()
            losses[name] = [event["loss"] for event in events(cell, "step")]
        on_cpu, on_device = losses.values() if len(losses) == 2 else [*losses.values()] * 2
        apart = relative(on_device[0], on_cpu[0])
        rows.append({"backbone": backbone, "first_loss_apart": apart})
        print(f"{backbone:<12} first loss {on_cpu[0]:.6f} {on_device[0]:.6f}  apart {apart:.1e}")
        if apart > FIRST_LOSS:
            faults.append(f"{backbone}: losses are apart by {apart:.1e} at first")
    if faults:
        raise Failure("\n".join(faults))
    return {"backbones": rows}
