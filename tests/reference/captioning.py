"""Expected CIDEr-D, by the COCO caption evaluation's own code.

Needs Python with numpy, safetensors and pycocoevalcap. Writes tests/data/captioning.safetensors.
"""

import pathlib

import numpy as np
from pycocoevalcap.cider.cider_scorer import CiderScorer
from safetensors.numpy import save_file

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
PICTURES, REFERENCES, LONGEST, VOCABULARY = 24, 3, 9, 12
PADDING = -1


def text(words):
    return " ".join(map(str, words))


def padded(words):
    return words + [PADDING] * (LONGEST - len(words))


def main():
    random = np.random.default_rng(11)

    def caption():
        return random.integers(0, VOCABULARY, random.integers(1, LONGEST + 1)).tolist()

    def changed(words):
        return [w if random.random() < 0.7 else int(random.integers(0, VOCABULARY)) for w in words]

    references = [[caption() for _ in range(REFERENCES)] for _ in range(PICTURES)]
    candidates = [changed(references[i][i % REFERENCES]) for i in range(PICTURES)]
    candidates[0] = references[0][1]  # word for word
    candidates[1] = []
    scorer = CiderScorer(n=4, sigma=6.0)
    for candidate, own in zip(candidates, references):
        scorer += (text(candidate), [text(reference) for reference in own])
    _, scores = scorer.compute_score()
    save_file(
        {
            "references": np.array([[padded(r) for r in own] for own in references], np.int64),
            "candidates": np.array([padded(c) for c in candidates], np.int64),
            "cider": np.array(scores, np.float32),
        },
        DATA / "captioning.safetensors",
    )


if __name__ == "__main__":
    main()
