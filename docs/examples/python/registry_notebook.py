# %% [markdown]
# # What the registry knows, in pandas
# The registry is a SQLite file, so `pandas.read_sql` is all that it takes. docs/reference/registry.md has its tables.

# %%
import os
import sqlite3

import pandas

REGISTRY = os.environ.get("SILC_REGISTRY", "runs/registry.sqlite")
registry = sqlite3.connect(f"file:{REGISTRY}?mode=ro", uri=True)

results = pandas.read_sql("SELECT * FROM result WHERE current", registry)
EXPERIMENT = os.environ.get("SILC_EXPERIMENT", results.experiment.iloc[-1])
results = results[results.experiment == EXPERIMENT]

# %% [markdown]
# ## Means and spreads over seeds
# One line a row, one column a metric. Costs are metrics of the evaluator `cost`.

# %%
metrics = results[results.evaluator != "cost"]
print(metrics.pivot_table(index="row", columns=["metric", "weights"], values="value", aggfunc=["mean", "std"]))
costs = results[results.evaluator == "cost"]
print(costs.pivot_table(index="row", columns="metric", values="value"))

# %% [markdown]
# ## Differences to the first row, seed by seed
# Rows share their seeds, so a difference is taken within a seed. How sure it is, `silc report` says.

# %%
wide = metrics.pivot_table(index=["metric", "weights", "seed"], columns="row", values="value")
baseline = metrics.row.iloc[0]
differences = wide.drop(columns=baseline).sub(wide[baseline], axis=0)
print(differences.groupby(["metric", "weights"]).agg(["mean", "std", "count"]))

# %% [markdown]
# ## Learning curves
# One line a step, one column a cell; `curves.plot(logy=True)` draws them.

# %%
steps = pandas.read_sql(
    """
    SELECT row, seed, step, step_metric.name AS metric, value
    FROM step_metric JOIN cell USING (cell_id) JOIN experiment USING (experiment_id)
    WHERE experiment.name = ? AND position IS NOT NULL
    """,
    registry,
    params=[EXPERIMENT],
)
curves = steps[steps.metric == "loss"].pivot(index="step", columns=["row", "seed"], values="value")
print(curves.tail())

# %% [markdown]
# ## As Parquet
# For other programs, where pyarrow is there.

# %%
try:
    results.to_parquet("results.parquet")
    steps.to_parquet("step_metrics.parquet")
except ImportError:
    print("pandas needs pyarrow to write Parquet: pip install pyarrow")
