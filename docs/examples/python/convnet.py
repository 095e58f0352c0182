"""A small convolutional image tower: pooled features and the map of features that they are pooled from.

    python3 convnet.py          writes convnet.pt, which convnet.toml trains
"""
from typing import Tuple

import torch
from torch import Tensor, nn


class ConvNet(nn.Module):
    def __init__(self, width: int = 64, stages: int = 3):
        super().__init__()
        layers = []
        for stage in range(stages):
            inside, outside = (3 if stage == 0 else width >> (stages - stage)), width >> (stages - stage - 1)
            layers += [nn.Conv2d(inside, outside, 3, stride=2, padding=1), nn.GroupNorm(4, outside), nn.GELU()]
        self.body = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tuple[Tensor, Tensor]:  # [B, 3, H, W], in [-1, 1]
        features = self.body(images)  # [B, D, H/8, W/8]
        return features.mean((2, 3)), features


if __name__ == "__main__":
    torch.jit.script(ConvNet()).save("convnet.pt")
