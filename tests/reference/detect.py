"""Expected values of `silc plan --detect`, by SciPy and statsmodels: writes tests/data/detect.json.

An experiment of three rows with scores by seed, of which one row lacks a seed, and for some differences how many seeds show
each, how many cells are then left to run, and how long they take.
"""

import json
import math
import pathlib

import numpy as np
from statsmodels.stats.power import TTestPower

BASELINE = "CLIP"
SCORES = {  # acc1 of seeds 0, 1, …
    "CLIP": [0.612, 0.655, 0.633, 0.640],
    "SILC": [0.640, 0.651, 0.662, 0.618],
    "SigLIP": [0.601, 0.670, 0.645],
}
SECONDS = {"CLIP": [60.0, 62.0, 64.0, 66.0], "SILC": [120.0, 120.0, 126.0, 130.0], "SigLIP": [50.0, 55.0, 60.0]}
JOBS = 2
MOST = 10_000


def differences(row):
    return np.array([value - SCORES[BASELINE][seed] for seed, value in enumerate(SCORES[row])])


def spread():
    """Pooled over the comparisons, each with its degrees of freedom."""
    rows = [differences(row) for row in SCORES if row != BASELINE]
    return math.sqrt(sum((len(row) - 1) * row.var(ddof=1) for row in rows) / sum(len(row) - 1 for row in rows))


def seeds_for(difference, alpha):
    for n in range(2, MOST + 1):
        power = TTestPower().power(difference / spread(), n, alpha)
        if power >= 0.8 or math.isnan(power):  # of effects that are so large that SciPy's lower tail is none
            return n
    return None


def case(points):
    alpha = 0.05 / (len(SCORES) - 1)  # the strictest that Holm asks
    seeds = seeds_for(points / 100, alpha)
    if seeds is None:
        return {"points": points, "seeds": None, "cells": 0, "seconds": None}
    left = {row: max(0, seeds - len(values)) for row, values in SCORES.items()}
    cells = sum(left.values())
    work = sum(number * float(np.mean(SECONDS[row])) for row, number in left.items())
    return {"points": points, "seeds": seeds, "cells": cells, "seconds": work / max(1, min(JOBS, cells))}


values = {
    "scores": SCORES,
    "seconds": SECONDS,
    "jobs": JOBS,
    "spread": 100 * spread(),
    "seeds_measured": max(len(differences(row)) for row in SCORES if row != BASELINE),
    "comparisons": len(SCORES) - 1,
    "cases": [case(points) for points in (0.01, 0.5, 1, 2, 5, 12)],
}
path = pathlib.Path(__file__).parents[1] / "data/detect.json"
path.write_text(json.dumps(values, indent=1) + "\n")
