"""TorchScript files as a user's Python writes them: tests/data/torchscript_*.pt.

    python tests/reference/torchscript.py
"""
import io
import math
import pathlib
import zipfile
from typing import Tuple

import torch
from torch import Tensor, nn

DATA = pathlib.Path(__file__).parent.parent / "data"


class Clip(nn.Module):
    """CLIP's loss as in Radford 2021, figure 3."""

    def __init__(self):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        logits = self.logit_scale.exp() * image[0] @ text[0].t()
        own = torch.arange(logits.shape[0], device=logits.device)
        return (nn.functional.cross_entropy(logits, own) + nn.functional.cross_entropy(logits.t(), own)) / 2

    @torch.jit.export
    def after_update(self):
        self.logit_scale.clamp_(max=math.log(100.0))


class Tower(nn.Module):
    """Has submodules, a frozen parameter, batch statistics and a counter of integers."""

    def __init__(self, width: int = 4):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 4, stride=4), nn.BatchNorm2d(width), nn.GELU())
        self.gain = nn.Parameter(torch.full((1, width, 1, 1), 2.0), requires_grad=False)

    def forward(self, images: Tensor) -> Tuple[Tensor, Tensor]:
        features = self.gain * self.stem(images)
        return features.mean((2, 3)), features


def save(module: nn.Module, name: str):
    written = io.BytesIO()
    torch.jit.save(torch.jit.script(module), written)
    # Without the debug records, which hold the paths of the machine that wrote them.
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(DATA / f"torchscript_{name}.pt", "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry))


if __name__ == "__main__":
    torch.manual_seed(0)
    save(Clip(), "clip")
    save(Tower(), "tower")
