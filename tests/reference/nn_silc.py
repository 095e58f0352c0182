"""Three steps of SILC on a tiny model, written out after the paper: open_clip's towers and losses, DINO's head, pairs one by
one, plain gradient descent, an EMA teacher and a centre.
"""

import copy
import math

import nn_common
import torch
import torch.nn.functional as F
from nn_losses import Head, head_parameters
from open_clip.loss import ClipLoss
from open_clip.transformer import TextTransformer, VisionTransformer
from torch import nn

torch.manual_seed(3)

WIDTH, PATCH, SIZE, LOCAL, EMBED, BATCH, PROTOTYPES = 8, 2, 8, 4, 6, 4, 12
MOMENTUM, CENTER_MOMENTUM, RATE, WEIGHT = 0.8, 0.9, 0.05, 0.5


def pooled(tower, images):
    """open_clip's forward pass for views of any size."""
    grid, old = images.shape[-1] // PATCH, SIZE // PATCH
    position = tower.positional_embedding
    if grid != old:
        table = position[1:].T.reshape(1, WIDTH, old, old)
        table = F.interpolate(table, size=(grid, grid), mode="bicubic", antialias=True, align_corners=False)
        position = torch.cat([position[:1], table.reshape(WIDTH, -1).T])
    x = tower.conv1(images).flatten(2).transpose(1, 2)
    x = torch.cat([tower.class_embedding.expand(len(x), 1, -1), x], 1) + position
    return tower.ln_post(tower.transformer(tower.ln_pre(x)))[:, 0]


def weights(image, text, head, logit_scale):
    for name, parameter in image.named_parameters():
        yield "model.image." + ("projection" if name == "proj" else f"backbone.{name}"), parameter
    for name, parameter in text.named_parameters():
        yield "model.text." + ("projection" if name == "text_projection" else f"backbone.{name}"), parameter
    for name, parameter in head_parameters(head):
        yield f"head.{name}", parameter
    yield "contrastive.logit_scale", logit_scale


def main():
    image = VisionTransformer(SIZE, PATCH, WIDTH, 1, 2, 4.0, output_dim=EMBED)
    text = TextTransformer(6, 20, WIDTH, 2, 1, output_dim=EMBED)
    head = Head(WIDTH, 8, 5, PROTOTYPES)
    for _, parameter in head_parameters(head):
        nn.init.normal_(parameter, std=0.4)
    nn_common.perturb(image)
    nn_common.perturb(text)
    logit_scale = torch.tensor(math.log(1 / 0.07), requires_grad=True)
    teacher, teacher_head = copy.deepcopy(image), Head(WIDTH, 8, 5, PROTOTYPES)
    teacher_head.load_state_dict(head.state_dict())
    student = dict(weights(image, text, head, logit_scale))
    tensors = {f"start.{name}": value.clone() for name, value in student.items()}
    center = torch.zeros(PROTOTYPES)

    for step in range(3):
        views = torch.randn(2, BATCH, 3, SIZE, SIZE).clamp(-1, 1)
        local = torch.randn(3, BATCH, 3, LOCAL, LOCAL).clamp(-1, 1)
        tokens = torch.randint(1, 18, (BATCH, 6))
        tokens[:, 3], tokens[:, 4:] = 19, 0

        y = F.normalize(text(tokens), dim=-1)
        contrastive = 0
        for view in views:
            x = F.normalize(pooled(image, view) @ image.proj, dim=-1)
            contrastive = contrastive + ClipLoss()(x, y, logit_scale.exp()) / len(views)
        with torch.no_grad():
            scores = [teacher_head(pooled(teacher, view)) for view in views]
        distillation = 0
        for t in scores:
            q = F.softmax((t - center) / 0.07, dim=-1)
            for view in local:
                p = F.log_softmax(head(pooled(image, view)) / 0.1, dim=-1)
                distillation = distillation - (q * p).sum(-1).mean() / (len(scores) * len(local))
        loss = contrastive + WEIGHT * distillation
        gradients = torch.autograd.grad(loss, list(student.values()))

        with torch.no_grad():
            for parameter, gradient in zip(student.values(), gradients):
                parameter -= RATE * gradient
            center = CENTER_MOMENTUM * center + (1 - CENTER_MOMENTUM) * torch.cat(scores).mean(0)
            for old, new in [(teacher, image), (teacher_head, head)]:
                for t, s in zip(old.parameters(), new.parameters()):
                    t.copy_(MOMENTUM * t + (1 - MOMENTUM) * s)
        tensors.update({
            f"{step}.global": views.flatten(0, 1),
            f"{step}.local": local.flatten(0, 1),
            f"{step}.tokens": tokens,
            f"{step}.contrastive": contrastive,
            f"{step}.distillation": distillation,
        })

    for name, value in student.items():
        tensors[f"end.{name}"] = value
    for name, value in weights(teacher, text, teacher_head, logit_scale):
        if name.startswith(("model.image", "head")):
            tensors["end.teacher." + name.removeprefix("model.")] = value
    tensors["end.distillation.center"] = center
    nn_common.save("nn_silc", tensors)


main()
