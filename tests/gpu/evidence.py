"""The ablation of evidence.toml in a stated time: examples are given so that all cells fit, by what `silc plan` measures."""

import json

from machine import HERE, set_flags


def run(machine, tiny, seconds=300):
    sets = [f'engine.device="{machine.device}"']
    if tiny:
        sets += [
            'model.image={ image_size = 32, patch = 8, width = 64, layers = 2, heads = 2, backbone = "vit" }',
            "model.text={ width = 64, layers = 1, heads = 2 }",
            "optimizer.batch=16",
            "budget.examples=64",
        ]
    examples = 64
    if not tiny:
        plan = json.loads(machine.call(machine.silc, "plan", HERE / "evidence.toml", "--json", *set_flags(sets)).stdout)
        planned = sum(row["predicted"]["seconds"] * row["cells"] for row in plan["rows"])
        examples = int(1_000_000 * 0.7 * seconds / planned)  # a third is for evaluating and for what was not foreseen
        examples -= examples % 512
        sets.append(f"budget.examples={examples}")
    machine.run(HERE / "evidence.toml", "evidence", "--jobs", 2, sets=sets)
    table = machine.report("gpu-evidence", "evidence")
    print(table)
    return {"examples": examples, "tables": json.loads(machine.report("gpu-evidence", "evidence", "json"))}
