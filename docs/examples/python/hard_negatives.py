"""CLIP in which a negative counts the more, the more it looks like a match (Radenovic 2023, HN-NCE).

    python3 hard_negatives.py          writes hard_negatives.pt, which hard_negatives.toml trains
"""
import math

import torch
from torch import Tensor, nn


class HardNegatives(nn.Module):
    def __init__(self):
        super().__init__()
        self.beta = 0.25  # 0: plain CLIP. A row changes it with objective.set = ["beta=0.5"]
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def direction(self, logits: Tensor) -> Tensor:  # [B, B]
        own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        hardness = (self.beta * logits).masked_fill(own, -math.inf).log_softmax(1) + math.log(len(logits) - 1)
        return (torch.where(own, logits, logits + hardness).logsumexp(1) - logits.diagonal()).mean()

    def forward(self, image: Tensor, text: Tensor) -> Tensor:  # [1, B, E], [1, B, E], L2-normalised
        logits = self.logit_scale.exp() * image[0] @ text[0].t()
        return (self.direction(logits) + self.direction(logits.t())) / 2

    @torch.jit.export
    def after_update(self):
        self.logit_scale.clamp_(max=math.log(100))


if __name__ == "__main__":
    torch.jit.script(HardNegatives()).save("hard_negatives.pt")
