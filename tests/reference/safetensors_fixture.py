"""Writes tests/data/python.safetensors with the Python package safetensors (0.8.0, numpy)."""

import pathlib

import numpy as np
from safetensors.numpy import save_file

tensors = {
    "weight": np.array([[0.5, -1.25, 3.0], [1e-3, 65504.0, -0.0]], dtype=np.float32),
    "bias": np.array([1.0, 2.0], dtype=np.float32),
    "half": np.array([0.5, -2.0, 1024.0], dtype=np.float16),
    "step": np.array(1234567890123, dtype=np.int64),
    "mask": np.array([True, False, True]),
    "bytes": np.array([1, 2, 255], dtype=np.uint8),
    "empty": np.zeros((0, 4), dtype=np.float64),
    "größe": np.array([-7], dtype=np.int16),
}
file = pathlib.Path(__file__).parents[1] / "data" / "python.safetensors"
save_file(tensors, file, metadata={"format": "np"})
