#!/usr/bin/env python3
"""silc's search against Optuna's samplers at the same cost; prints a table, as in docs/experiments.md.

    python3 -m venv venv && venv/bin/pip install optuna scipy xxhash
    venv/bin/python tests/reference/search_against_optuna.py

Random: the expected best of n points of silc's sequence, over scramblings, against Optuna's QMCSampler (scrambled
Sobol'). Halving: what silc's rule of promotion chooses, and what Optuna's SuccessiveHalvingPruner (ASHA) chooses when it
has spent as much, where scores of short training are noisy. Regrets: 0 is the best there is.

Then the same on what training was really like, the recorded trials of tests/data/search_curves.json (search_curves.py).
Random: each point has the score of the trial nearest to it. Halving: both rules take the same trials in the same order,
over random orders, and see their recorded scores; beside them random search that has spent as much on trials trained
whole. Regrets are in points of the metric in percent.
"""
import json
import math
import pathlib

import numpy as np
import optuna
import scipy.stats
import xxhash

DIGITS = 32
REDUCTION, RUNGS = 3, (1, 3, 9)
optuna.logging.set_verbosity(optuna.logging.ERROR)


def branin(x):
    a, b = 15 * x[0] - 5, 15 * x[1]
    return ((b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) *
            math.cos(a) + 10 - 0.397887)


def hartmann3(x):
    alpha = np.array([1.0, 1.2, 3.0, 3.2])
    a = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
    p = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
    return 3.86278 - float(alpha @ np.exp(-(a * (np.asarray(x) - p) ** 2).sum(1)))


def ackley(x):
    y = 8 * np.asarray(x) - 3
    return float(20 + math.e - 20 * math.exp(-0.2 * math.sqrt(np.mean(y * y))) - math.exp(
        np.mean(np.cos(2 * math.pi * y))))


def flipped(digits, seed, name):
    text, out = format(digits, f"0{DIGITS}b"), ""
    for i, digit in enumerate(text):
        out += str(int(digit) ^ (xxhash.xxh3_64_intdigest(f"{seed} {name} {text[:i]}".encode()) & 1))
    return (int(out, 2) + 0.5) / 2**DIGITS


def silc_points(count, axes, seed):
    sobol = scipy.stats.qmc.Sobol(axes, scramble=False, bits=DIGITS).random_base2(max(0, (count - 1).bit_length()))
    return [[flipped(int(v * 2**DIGITS), seed, f"axis {i}") for i, v in enumerate(row)] for row in sobol[:count]]


def optuna_points(count, axes, seed):
    study = optuna.create_study(sampler=optuna.samplers.QMCSampler(scramble=True, seed=seed))
    space = {f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(axes)}
    return [[trial.params[f"x{i}"] for i in range(axes)] for trial in (study.ask(space) for _ in range(count))]


def silc_halving(points, score):
    """The trial that is chosen, and the cost; score(trial, resource), less is better. As core/schedule/search_decision.cpp."""
    arrived, promoted = [[] for _ in RUNGS], [set() for _ in RUNGS]
    new, cost = 0, 0

    def goal():
        nonlocal new
        for rung in reversed(range(len(RUNGS) - 1)):
            for _, trial in sorted(arrived[rung])[:len(arrived[rung]) // REDUCTION]:
                if trial not in promoted[rung]:
                    promoted[rung].add(trial)
                    return trial, rung + 1
        if new < len(points):
            new += 1
            return new - 1, 0
        for rung in range(len(RUNGS) - 1):
            if not arrived[rung + 1] and arrived[rung]:
                trial = min(arrived[rung])[1]
                promoted[rung].add(trial)
                return trial, rung + 1
        return None

    while (job := goal()) is not None:
        trial, rung = job
        cost += RUNGS[rung] - (RUNGS[rung - 1] if rung else 0)
        arrived[rung].append((score(trial, RUNGS[rung]), trial))
    last = max(rung for rung in range(len(RUNGS)) if arrived[rung])
    return min(arrived[last])[1], cost


def recorded_halving(order, curves, cost):
    """The trial that Optuna's ASHA has chosen of recorded ones, taken in this order, when it has spent that much."""
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.SuccessiveHalvingPruner(
        min_resource=1, reduction_factor=REDUCTION))
    for trial in order:
        study.enqueue_trial({"trial": int(trial)})
    best, spent = None, 0
    for _ in order:
        if spent >= cost:
            break
        trial = study.ask({"trial": optuna.distributions.IntDistribution(0, len(curves) - 1)})
        curve = curves[trial.params["trial"]]
        for step in range(1, RUNGS[-1] + 1):
            spent += 1
            trial.report(curve[step - 1], step)
            if step < RUNGS[-1] and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
        if best is None or (step, curve[step - 1]) > best[:2]:
            best = (step, curve[step - 1], trial.params["trial"])
    return best[2]


def optuna_halving(cost, axes, seed, score_of):
    """The parameters that Optuna's ASHA has chosen when it has spent that much."""
    study = optuna.create_study(
        sampler=optuna.samplers.QMCSampler(scramble=True, seed=seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION))
    best, spent = None, 0
    while spent < cost:
        trial = study.ask({f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(axes)})
        x = [trial.params[f"x{i}"] for i in range(axes)]
        pruned = False
        for step in range(1, RUNGS[-1] + 1):
            spent += 1
            value = score_of(x, trial.number, step)
            trial.report(value, step)
            if step < RUNGS[-1] and trial.should_prune():
                pruned = True
                break
        if pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, value)
        if best is None or (step, -value) > (best[0], -best[1]):
            best = (step, value, x)
    return best[2]


def noisy(function, scale, seed):
    """Scores of training for a part: the whole's, and noise that a third of the budget leaves a third of."""
    def score(x, number, resource):
        random = np.random.default_rng((seed, number, resource))
        return function(x) + scale * random.normal() / resource
    return score


def nearest(trials):
    """The regret of the recorded trial nearest to a point."""
    places = np.array([trial["positions"] for trial in trials])
    final = np.array([trial["scores"][-1] for trial in trials])
    return lambda point: float(final.max() - final[np.argmin(((places - np.asarray(point)) ** 2).sum(1))])


def spread(values):
    return f"{100 * np.mean(values):.2f} ± {100 * np.std(values) / math.sqrt(len(values)):.2f}"


def compare_recorded(file, scramblings, orders):
    print("\n| trials of | n | silc random | Optuna QMC | silc halving | Optuna ASHA | difference | random at that cost "
          "| cost |\n|---|---|---|---|---|---|---|---|---|")
    for row in json.load(open(file))["rows"]:
        curves = [trial["scores"] for trial in row["trials"]]
        final = np.array([curve[-1] for curve in curves])
        regret, axes = nearest(row["trials"]), len(row["settings"])
        for n in sorted({min(12, len(curves)), len(curves)}):
            ours = [min(map(regret, silc_points(n, axes, seed))) for seed in range(scramblings)]
            theirs = [min(map(regret, optuna_points(n, axes, seed))) for seed in range(scramblings)]
            found, costs = [[], [], []], []
            for seed in range(orders):
                order = np.random.default_rng(seed).permutation(len(curves))[:n]
                chosen, cost = silc_halving(order, lambda trial, resource: -curves[order[trial]][resource - 1])
                whole = order[:max(1, cost // RUNGS[-1])]
                picks = (order[chosen], recorded_halving(order, curves, cost), whole[np.argmax(final[whole])])
                for values, pick in zip(found, picks):
                    values.append(final[order].max() - final[pick])
                costs.append(cost / (RUNGS[-1] * n))
            halving, asha, random = map(np.array, found)
            cells = [spread(values) for values in (ours, theirs, halving, asha, halving - asha, random)]
            print(f'| "{row["row"]}" | {n} | ' + " | ".join(cells) + f" | {100 * np.mean(costs):.0f} % |", flush=True)


def main():
    repeats = 40
    functions = [("Branin", branin, 2), ("Hartmann 3", hartmann3, 3), ("Ackley", ackley, 4)]
    print("| function | n | silc random | Optuna QMC | silc halving | Optuna ASHA |\n|---|---|---|---|---|---|")
    for name, function, axes in functions:
        for n in (12, 27):
            found = [[], [], [], []]
            for seed in range(repeats):
                ours, theirs = silc_points(n, axes, seed), optuna_points(n, axes, seed)
                values = [function(x) for x in ours]
                found[0].append(min(values))
                found[1].append(min(function(x) for x in theirs))
                scale = float(np.std(values))
                score = noisy(function, scale, seed)
                chosen, cost = silc_halving(ours, lambda trial, resource: score(ours[trial], trial, resource))
                found[2].append(function(ours[chosen]))
                found[3].append(function(optuna_halving(cost, axes, seed, score)))
            cells = [f"{np.mean(v):.3g} ± {np.std(v) / math.sqrt(repeats):.2g}" for v in found]
            print(f"| {name} | {n} | " + " | ".join(cells) + " |", flush=True)
    compare_recorded(pathlib.Path(__file__).parents[1] / "data" / "search_curves.json", 200, 500)


if __name__ == "__main__":
    main()
