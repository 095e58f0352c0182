"""Expected values of tests/plugins/datasets/masks_test.cpp: masks as pycocotools draws and writes them.

Needs Python with pycocotools (2.0.11) and numpy. Run it from any folder: it writes tests/data/coco_masks.safetensors:
"polygon.N" (F64, x0 y0 x1 y1 …), "text.N" (its compressed run lengths) and "mask.N" (U8, [30, 41]).
"""

import json
import pathlib
import struct

import numpy as np
from pycocotools import mask as coco

FILE = pathlib.Path(__file__).resolve().parent.parent / "data" / "coco_masks.safetensors"
HEIGHT, WIDTH = 30, 41
random = np.random.default_rng(11)
tensors = {}

polygons = [[0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT],  # everything
            [3.5, 3.5, 3.5, 3.5, 10.25, 8, 3.5, 8],  # a corner twice
            [5, 5, 20, 5, 20, 6, 5, 6],  # thin
            [-4, -3, 50, 10, 20, 35]]  # beyond the borders
for corners in (3, 4, 5, 8, 12, 20) * 3:
    points = random.uniform(0, 1, (corners, 2)) * (WIDTH, HEIGHT)
    polygons.append([round(float(v), 2) for v in points.ravel()])
for number, polygon in enumerate(polygons):
    runs = coco.frPyObjects([polygon], HEIGHT, WIDTH)[0]
    tensors[f"polygon.{number}"] = np.array(polygon, np.float64)
    tensors[f"text.{number}"] = np.frombuffer(runs["counts"], np.uint8)
    tensors[f"mask.{number}"] = coco.decode(runs)

header, blocks, offset = {}, [], 0
for name, values in sorted(tensors.items(), key=lambda item: -item[1].itemsize):
    kind = {1: "U8", 8: "F64"}[values.itemsize]
    header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
    blocks.append(np.ascontiguousarray(values).tobytes())
    offset += values.nbytes
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
FILE.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blocks))
