#!/usr/bin/env python3
"""Records how the scores of a search's trials went along training, for search_against_optuna.py.

    silc run experiments/tuned.toml --search-only --set search.trials=27 --set engine.evaluate_every=0.111111111 \\
        --runs curves
    silc report tuned --search --json --runs curves > search.json
    tests/reference/search_curves.py curves search.json tests/data/search_curves.json

For each row: the settings that are tuned, and for each trial that was trained whole its values, where they lie in the
space (0 to 1), and its scores on the validation split after each ninth of its budget, the last of them at its end.
"""
import json
import pathlib
import sqlite3
import sys

PARTS = 9


def curve(database, search, identity):
    evaluation, name = search["metric"].split("@")[0].split("/")
    along = database.execute(
        """SELECT fraction, value FROM metric_along JOIN cell USING (cell_id)
           WHERE id = ? AND evaluator = ? AND name = ? AND metric_along.weights = cell.weights ORDER BY step""",
        (identity, evaluation, name)).fetchall()
    scores = []
    for part in range(1, PARTS):
        scores += [value for fraction, value in along if fraction >= part / PARTS - 1e-6][:1]
    return scores


def main():
    runs, report, out = sys.argv[1:]
    search = json.load(open(report))
    database = sqlite3.connect(f"file:{pathlib.Path(runs) / 'registry.sqlite'}?mode=ro", uri=True)
    rows = []
    for row in search["rows"]:
        trials = []
        for trial in row["trials"]:
            if trial["state"] != "finished" or trial["score"] is None or trial["repeated"]:
                continue
            scores = curve(database, search, trial["id"]) + [trial["score"]]
            if len(scores) != PARTS:
                raise SystemExit(f'{row["row"]}, trial {trial["trial"]}: {len(scores)} scores, not {PARTS}')
            positions = [round(place / max(1, len(dimension["choices"]) - 1), 4)
                         for place, dimension in zip(trial["positions"], row["space"])]
            trials.append({"values": trial["values"], "positions": positions,
                           "scores": [round(score, 6) for score in scores]})
        rows.append({"row": row["row"], "settings": [dimension["key"] for dimension in row["space"]], "trials": trials})
    text = json.dumps({"metric": search["metric"], "split": search["split"], "rows": rows})
    for start in ('{"row"', '{"values"'):  # a line each
        text = text.replace(start, "\n" + start)
    pathlib.Path(out).write_text(text + "\n")


if __name__ == "__main__":
    main()
