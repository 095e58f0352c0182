"""What the scripts that write the fixtures of tests/nn and tests/plugins share.

They need Python with torch, open_clip_torch, timm and safetensors. Run each from any folder: it writes into tests/data.
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"


sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from stand_ins import stand_in_for_torchvision  # noqa: E402

stand_in_for_torchvision()


def perturb(module):
    """Gives every parameter a value that matters: biases are no longer 0 and gains no longer 1."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))


def record(tensors, prefix, module, rename, inputs, outputs):
    """Weights, outputs and the gradients of a sum of the outputs with fixed random weights."""
    value = 0
    for name, output in outputs.items():
        weight = torch.randn_like(output)
        tensors[f"{prefix}.out.{name}"] = output
        tensors[f"{prefix}.seed.{name}"] = weight
        value = value + (output * weight).sum()
    module.zero_grad()
    value.backward()
    for name, parameter in module.named_parameters():
        new = rename(name)
        if new is None or parameter.grad is None:
            continue
        shape = [-1, parameter.shape[-1]] if new == "positional_embedding" else parameter.shape
        tensors[f"{prefix}.weight.{new}"] = parameter.reshape(shape)
        tensors[f"{prefix}.grad.{new}"] = parameter.grad.reshape(shape)
    for name, tensor in inputs.items():
        tensors[f"{prefix}.in.{name}"] = tensor


def save(name, tensors):
    DATA.mkdir(exist_ok=True)
    tensors = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    path = DATA / f"{name}.safetensors"
    save_file(tensors, path)
    path.chmod(0o644)
