"""Expected values of the losses: open_clip's for CLIP and SigLIP, and for distillation the definition of Caron et al. 2021,
pair by pair, with the head and the centre as in DINO's published code.
"""

import math

import nn_common
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss, SigLipLoss
from torch import nn

torch.manual_seed(1)
tensors = {}


def embeddings(batch, width):
    return F.normalize(torch.randn(batch, width), dim=-1).requires_grad_()


def contrastive():
    image, text = embeddings(12, 16), embeddings(12, 16)
    for name, loss, scale, bias in [
        ("clip", ClipLoss(), math.log(1 / 0.07), None),
        ("siglip", SigLipLoss(), math.log(10), -10.0),
    ]:
        scale = torch.tensor(scale, requires_grad=True)
        arguments = [image, text, scale.exp()]
        leaves = [image, text, scale]
        if bias is not None:
            bias = torch.tensor(bias, requires_grad=True)
            arguments.append(bias)
            leaves.append(bias)
        value = loss(*arguments)
        gradients = torch.autograd.grad(value, leaves)
        tensors[f"{name}.loss"] = value
        for leaf, gradient in zip(["image", "text", "logit_scale", "logit_bias"], gradients):
            tensors[f"{name}.{leaf}.grad"] = gradient
    tensors["image"], tensors["text"] = image, text


class Head(nn.Module):
    """Caron et al. 2021, vision_transformer.py: DINOHead with norm_last_layer."""

    def __init__(self, width, hidden, bottleneck, prototypes):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        self.last_layer = nn.utils.weight_norm(nn.Linear(bottleneck, prototypes, bias=False))
        self.last_layer.weight_g.data.fill_(1)
        self.last_layer.weight_g.requires_grad = False

    def forward(self, x):
        return self.last_layer(F.normalize(self.mlp(x), dim=-1, p=2))


def head_parameters(head):
    names = {"mlp.0": "mlp.0", "mlp.2": "mlp.1", "mlp.4": "mlp.2"}
    for ours in names:
        for part in ["weight", "bias"]:
            yield f"{names[ours]}.{part}", head.get_parameter(f"{ours}.{part}")
    yield "prototypes", head.last_layer.weight_v


def distillation(mode, steps=3, batch=5, width=6, views=2, local=3, prototypes=10):
    head = Head(width, 8, 4, prototypes)
    for name, parameter in head_parameters(head):
        nn.init.normal_(parameter, std=0.5)
        tensors[f"{mode}.head.{name}"] = parameter
    center = torch.zeros(prototypes)
    for step in range(steps):
        teacher = torch.randn(views * batch, prototypes)
        features_local = torch.randn(local * batch, width, requires_grad=True)
        features_global = torch.randn(views * batch, width, requires_grad=True)
        students = [(None, s) for s in head(features_local).chunk(local)]
        if mode == "all":
            students += list(enumerate(head(features_global).chunk(views)))
        temperature = 0.04 + 0.01 * step
        total, pairs, entropy = 0, 0, 0
        for g, t in enumerate(teacher.chunk(views)):
            q = F.softmax((t - center) / temperature, dim=-1)
            entropy = entropy - (q * torch.log(q.clamp_min(1e-30))).sum(-1).mean() / views
            for v, s in students:
                if v == g:
                    continue
                total = total + torch.sum(-q * F.log_softmax(s / 0.1, dim=-1), dim=-1).mean()
                pairs += 1
        loss = total / pairs
        leaves = dict(head_parameters(head)) | {"features_local": features_local}
        if mode == "all":
            leaves["features_global"] = features_global
        for name, gradient in zip(leaves, torch.autograd.grad(loss, list(leaves.values()))):
            tensors[f"{mode}.{step}.{name}.grad"] = gradient
        center = center * 0.9 + teacher.mean(0) * 0.1
        tensors.update({
            f"{mode}.{step}.teacher": teacher,
            f"{mode}.{step}.features_local": features_local,
            f"{mode}.{step}.features_global": features_global,
            f"{mode}.{step}.loss": loss,
            f"{mode}.{step}.center": center,
            f"{mode}.{step}.entropy": entropy,
        })


if __name__ == "__main__":
    contrastive()
    for mode in ["local", "all"]:
        distillation(mode)
    nn_common.save("nn_losses", tensors)
