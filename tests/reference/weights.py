"""Files of weights in tests/data/weights, as PyTorch and numpy write them, and what is in them (.safetensors)."""
import argparse
import collections
import io
import os
import pathlib
import pickle
import zipfile

import numpy as np
import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parents[1] / "data/weights"


class Harm:
    def __reduce__(self):
        return os.system, ("touch /tmp/silc-was-harmed",)


def tensors():
    torch.manual_seed(0)
    base = torch.randn(6, 8)
    return {
        "visual.conv1.weight": torch.randn(3, 2, 2, 2),
        "visual.proj": base[1:5, ::2].t(),  # a view: transposed, with an offset and gaps
        "visual.half": torch.randn(5).half(),
        "text.token_embedding.weight": torch.randn(4, 3).bfloat16(),
        "text.tied": base,
        "text.double": torch.randn(2, 2, dtype=torch.float64),
        "text.ids": torch.tensor([-5, 2**40]),
        "mask": torch.tensor([True, False]),
        "bytes": torch.arange(4, dtype=torch.uint8),
        "short": torch.tensor([-3, 300], dtype=torch.int16),
        "logit_scale": torch.tensor(2.6592),
        "nothing": torch.zeros(0, 3),
        "broken": torch.tensor([1.0, float("nan"), float("inf"), -2.0]),
    }


def expected(name, all):
    save_file({key: value.detach().contiguous().clone() for key, value in all.items()}, FOLDER / f"{name}.safetensors")


def write_pytorch():
    all = tensors()
    state = collections.OrderedDict(all)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    torch.save(state, FOLDER / "state_dict.pt")
    expected("state_dict", all)
    parameter = torch.nn.Parameter(torch.ones(2))
    torch.save({"epoch": 3, "name": "a run", "lr": 1e-3, "args": argparse.Namespace(model="ViT"), "scalar": np.float64(2),
                "state_dict": {"w": parameter}, "optimizer": {"state": {0: {"step": torch.tensor(5.0)}}, "groups": [{"lr": 0.1}]},
                "harm": Harm()}, FOLDER / "checkpoint.pt")
    torch.save(all["text.tied"], FOLDER / "legacy.pt", _use_new_zipfile_serialization=False)

    class Tower(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 3)

        def forward(self, x):
            return self.layer(x)

    torch.manual_seed(1)
    tower = Tower()
    torch.jit.script(tower).save(FOLDER / "script.pt")
    expected("script", dict(tower.named_parameters()))


def write_numpy():
    r = np.random.default_rng(0)
    all = {"params/img/kernel": r.normal(size=(3, 4)).astype(np.float32), "params/txt/order": np.asfortranarray(r.normal(size=(2, 3, 2))),
           "params/t": np.array(0.5, np.float16), "ids": np.array([1, -2])}
    np.savez(FOLDER / "plain.npz", **all)
    np.savez_compressed(FOLDER / "packed.npz", **all)
    expected("plain", {name: torch.from_numpy(np.ascontiguousarray(value).reshape(value.shape)) for name, value in all.items()})

    # A model of which one array is of Python objects.
    model = dict(np.load(FOLDER.parent / "foreign/big_vision_vit/model.npz"))
    model["cls"] = np.full(model["cls"].shape, Harm(), object)
    np.savez_compressed(FOLDER / "objects.npz", **model)


FOLDER.mkdir(exist_ok=True)
write_pytorch()
write_numpy()
