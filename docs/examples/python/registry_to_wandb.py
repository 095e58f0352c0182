"""Writes an export of the registry as offline runs of W&B, which `wandb sync` uploads.

    silc registry export --output tables
    python registry_to_wandb.py tables PROJECT
    wandb sync wandb/offline-run-*
"""

import sys

import pandas
import wandb

folder, project = sys.argv[1:]
tables = {
    name: pandas.read_csv(f"{folder}/{name}.csv").groupby("cell")
    for name in ("settings", "metrics", "step_metrics", "warnings")
}


def lines_of(name, cell):
    groups = tables[name]
    return groups.get_group(cell) if cell in groups.groups else groups.obj.iloc[:0]


for cell in pandas.read_csv(f"{folder}/cells.csv").itertuples():
    if cell.state == "planned":
        continue
    settings = lines_of("settings", cell.cell)
    run = wandb.init(
        project=project,
        mode="offline",
        name=f"{cell.row}, seed {cell.seed}",
        group=f"{cell.experiment}/{cell.row}",
        tags=[cell.state],
        config=dict(zip(settings.setting, settings.value)) | {"row": cell.row, "seed": cell.seed, "id": cell.id},
        notes="" if pandas.isna(cell.message) else cell.message,
    )
    for step, values in lines_of("step_metrics", cell.cell).groupby("step"):
        run.log({f"train/{each.metric}": each.value for each in values.itertuples()}, step=step)
    for each in lines_of("metrics", cell.cell).itertuples():
        place = "cost" if each.evaluator == "cost" else f"{each.evaluator}/{each.dataset}"
        run.summary[f"{place}/{each.metric}" + ("" if each.primary else f"@{each.weights}")] = each.value
    for each in lines_of("warnings", cell.cell).itertuples():
        run.summary[f"warnings/{each.check}"] = each.message
    run.finish(exit_code=0 if cell.state == "finished" else 1)
