#!/usr/bin/env python3
"""Points of a search by SciPy's Sobol' sequence and an Owen scrambling written anew: tests/data/search_points.json.

    python3 -m venv venv && venv/bin/pip install scipy xxhash
    venv/bin/python tests/reference/search_points.py
"""
import json
import pathlib

import scipy.stats
import xxhash

DIGITS = 32


def scrambled(digits, seed, name):
    """Flips each binary digit or not, by a hash of those before it."""
    text = format(digits, f"0{DIGITS}b")
    flipped = ""
    for i, digit in enumerate(text):
        node = f"{seed} {name} {text[:i]}".encode()
        flipped += str(int(digit) ^ (xxhash.xxh3_64_intdigest(node) & 1))
    return int(flipped, 2)


def points(count, names, seed):
    """[count, len(names)], the name of each axis saying how it is scrambled."""
    sobol = scipy.stats.qmc.Sobol(len(names), scramble=False, bits=DIGITS)
    power = max(0, (count - 1).bit_length())
    rows = sobol.random_base2(power)[:count]
    return [[(scrambled(int(value * 2**DIGITS), seed, name) + 0.5) / 2**DIGITS for value, name in zip(row, names)]
            for row in rows]


def main():
    names = ["optimizer.lr", "optimizer.weight_decay", "objective.weight"] + [f"axis {i}" for i in range(3, 20)]
    cases = [{"seed": seed, "names": names, "points": points(40, names, seed)} for seed in (0, 7)]
    file = pathlib.Path(__file__).parents[1] / "data/search_points.json"
    file.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
