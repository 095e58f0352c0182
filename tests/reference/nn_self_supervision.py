"""Three steps each of DINO, iBOT, DINOv2, MaskCLIP and SigLIP 2 on a tiny model, written out in plain PyTorch after the
published code (dino/main_dino.py; ibot/main_ibot.py and models/head.py; dinov2/train/ssl_meta_arch.py and loss/) or, where
there is none, the papers: open_clip's towers, pairs one by one, plain gradient descent, EMA teachers and centres. Everything
is computed in fp64 and stored in fp32.

Parameters and gradients are stored as one vector each, in the order of the parameters' names.
"""

import copy
import math

import nn_common
import nn_random
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss, SigLipLoss
from open_clip.transformer import TextTransformer, Transformer, VisionTransformer
from torch import nn

WIDTH, PATCH, SIZE, LOCAL, EMBED, BATCH, PROTOTYPES = 8, 2, 8, 4, 6, 3, 12
HIDDEN, BOTTLENECK, SIDE = 8, 5, SIZE // PATCH
LOCAL_VIEWS, STEPS, SEED, RATE = 2, 3, 11, 0.05
MOMENTUM, MOMENTUM_END, CENTER_MOMENTUM, STUDENT = 0.8, 1.0, 0.9, 0.1


class Head(nn.Module):
    """DINOHead, or iBOTHead with last layers of two kinds."""

    def __init__(self, gains=False, patch_prototypes=0):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, BOTTLENECK)
        )
        self.gains = gains
        self.last_layer = self.make_last_layer(PROTOTYPES)
        self.last_layer2 = self.make_last_layer(patch_prototypes) if patch_prototypes else None
        for parameter in self.parameters():
            if parameter.requires_grad:
                nn.init.normal_(parameter, std=0.4)
        if gains:
            nn.init.uniform_(self.last_layer.weight_g, 0.5, 1.5)

    def make_last_layer(self, prototypes):
        layer = nn.utils.weight_norm(nn.Linear(BOTTLENECK, prototypes, bias=False))
        layer.weight_g.data.fill_(1)
        layer.weight_g.requires_grad = self.gains
        return layer

    def forward(self, x, patches=False):
        x = F.normalize(self.mlp(x), dim=-1, p=2)
        return (self.last_layer2 if patches and self.last_layer2 else self.last_layer)(x)

    def named(self, prefix):
        for ours, theirs in enumerate([0, 2, 4]):
            for part in ["weight", "bias"]:
                yield f"{prefix}.mlp.{ours}.{part}", self.get_parameter(f"mlp.{theirs}.{part}")
        for name, layer in [("", self.last_layer), ("patch_", self.last_layer2)]:
            if layer is not None:
                yield f"{prefix}.{name}prototypes", layer.weight_v
                if self.gains:
                    yield f"{prefix}.{name}gains", layer.weight_g

    def copy(self):
        """copy.deepcopy does not copy weight-normalised layers."""
        twin = Head(self.gains, self.last_layer2.weight_v.shape[0] if self.last_layer2 else 0).double()
        twin.load_state_dict(self.state_dict())
        return twin


def image_tower():
    tower = VisionTransformer(SIZE, PATCH, WIDTH, 1, 2, 4.0, output_dim=EMBED)
    nn_common.perturb(tower)
    return tower.double()


def text_tower():
    """Its embeddings are larger than at initialisation: the first norm would multiply the rounding of small ones."""
    tower = TextTransformer(6, 20, WIDTH, 2, 1, output_dim=EMBED)
    nn_common.perturb(tower)
    with torch.no_grad():
        tower.token_embedding.weight *= 10
        tower.positional_embedding *= 10
    return tower.double()


def features(tower, images, mask=None, token=None):
    """open_clip's forward pass for views of any size, masked as in BEiT. Class token and patch tokens."""
    grid = images.shape[-1] // PATCH
    position = tower.positional_embedding
    if grid != SIDE:
        table = position[1:].T.reshape(1, WIDTH, SIDE, SIDE)
        table = F.interpolate(table, size=(grid, grid), mode="bicubic", antialias=True, align_corners=False)
        position = torch.cat([position[:1], table.reshape(WIDTH, -1).T])
    x = tower.conv1(images).flatten(2).transpose(1, 2)
    if mask is not None:
        x = torch.where(mask[..., None], token, x)
    x = torch.cat([tower.class_embedding.expand(len(x), 1, -1), x], 1) + position
    x = tower.ln_post(tower.transformer(tower.ln_pre(x)))
    return x[:, 0], x[:, 1:]


def named_image(tower, prefix, projection):
    for name, parameter in tower.named_parameters():
        if name != "proj":
            yield f"{prefix}.backbone.{name}", parameter
        elif projection:
            yield f"{prefix}.projection", parameter


def named_text(tower):
    for name, parameter in tower.named_parameters():
        yield "model.text." + ("projection" if name == "text_projection" else f"backbone.{name}"), parameter


def flat(named):
    return torch.cat([named[name].detach().reshape(-1) for name in sorted(named)])


def cosine(base, final, fraction):
    return final + 0.5 * (base - final) * (1 + math.cos(math.pi * fraction))


def temperature(fraction, start=0.04, end=0.07, warmup=0.5):
    return start + (end - start) * min(fraction / warmup, 1)


def sinkhorn_knopp(scores, temperature):
    """sinkhorn_knopp_teacher of DINOv2's losses, on one process."""
    q = torch.exp(scores / temperature).t()
    prototypes, samples = q.shape
    q /= q.sum()
    for _ in range(3):
        q /= q.sum(dim=1, keepdim=True)
        q /= prototypes
        q /= q.sum(dim=0, keepdim=True)
        q /= samples
    return (q * samples).t()


def dino_loss(student, teacher):
    """Mean over pairs of different views. student: scores of all views, teacher: targets of the global ones."""
    total, pairs = 0, 0
    for g, q in enumerate(teacher):
        for v, s in enumerate(student):
            if v != g:
                total = total + torch.sum(-q * F.log_softmax(s / STUDENT, dim=-1), dim=-1).mean()
                pairs += 1
    return total / pairs


def patch_loss(student, targets, mask):
    """iBOTPatchLoss.forward. student, targets: [S, N, K]."""
    loss = torch.sum(targets * F.log_softmax(student / STUDENT, dim=-1), dim=-1)
    loss = torch.sum(loss * mask.double(), dim=-1) / mask.sum(dim=-1).clamp(min=1.0)
    return -loss.mean()


def koleo(x):
    x = F.normalize(x, eps=1e-8, p=2, dim=-1)
    dots = torch.mm(x, x.t())
    dots.view(-1)[:: len(x) + 1].fill_(-1)
    nearest = torch.max(dots, dim=1)[1]
    return -torch.log(nn.PairwiseDistance(2, eps=1e-8)(x, x[nearest]) + 1e-8).mean()


def picture(*shape):
    """Values that fp32 holds exactly."""
    return torch.randn(*shape).clamp(-1, 1).double()


def captions():
    tokens = torch.randint(1, 18, (BATCH, 6))
    tokens[:, 3], tokens[:, 4:] = 19, 0
    return tokens


class Centers:
    def __init__(self, **prototypes):
        self.values = {name: torch.zeros(count, dtype=torch.float64) for name, count in prototypes.items()}

    def __getitem__(self, name):
        return self.values[name]

    def move(self, name, to):
        self.values[name] = CENTER_MOMENTUM * self.values[name] + (1 - CENTER_MOMENTUM) * to.detach()


def train(name, student, follows, centers, make_inputs, step_losses, frozen=lambda fraction, name: False,
          momentum=lambda fraction: cosine(MOMENTUM, MOMENTUM_END, fraction)):
    """`student`: named trained parameters; `follows`: name in the teacher -> (student's, teacher's)."""
    tensors = {"start": flat(student)}
    for step in range(STEPS):
        fraction = step / STEPS
        inputs = make_inputs()
        terms = step_losses(step, fraction, inputs)
        loss = sum(weight * value for value, weight in terms.values())
        gradients = torch.autograd.grad(loss, list(student.values()), allow_unused=True)
        with torch.no_grad():
            descents = {}
            for (key, parameter), gradient in zip(student.items(), gradients):
                if gradient is None or frozen(fraction, key):
                    gradient = torch.zeros_like(parameter)
                descents[key] = gradient
                parameter -= RATE * gradient
            m = momentum(fraction)
            for ours, theirs in follows.values():
                theirs.copy_(m * theirs + (1 - m) * ours)
        tensors |= {f"{step}.{key}": value for key, value in inputs.items()}
        tensors |= {f"{step}.{key}": value for key, (value, _) in terms.items()}
        tensors[f"{step}.gradients"] = flat(descents)
    tensors["end"] = flat(student)
    tensors["end.teacher"] = flat({key: theirs for key, (_, theirs) in follows.items()})
    for key, value in centers.values.items():
        tensors[f"end.{key}"] = value
    nn_common.save(f"nn_{name}", {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})


def follow(*pairs):
    """pairs: (named of the student, named of the teacher), in the same order."""
    return {key: (ours, theirs) for mine, other in pairs for (_, ours), (key, theirs) in zip(mine, other)}


def multi_crop():
    return {
        "global_1": picture(BATCH, 3, SIZE, SIZE),
        "global_2": picture(BATCH, 3, SIZE, SIZE),
        "local": picture(LOCAL_VIEWS * BATCH, 3, LOCAL, LOCAL),
    }


def freeze_last_layer(fraction, name):
    return fraction < 0.2 and ("prototypes" in name or "gains" in name)


def dino():
    torch.manual_seed(4)
    image, head = image_tower(), Head().double()
    teacher, teacher_head = copy.deepcopy(image), head.copy()
    centers = Centers(**{"distillation.center": PROTOTYPES})

    def losses(step, fraction, inputs):
        views = [inputs["global_1"], inputs["global_2"]]
        with torch.no_grad():
            scores = [teacher_head(features(teacher, view)[0]) for view in views]
        targets = [F.softmax((t - centers["distillation.center"]) / temperature(fraction), dim=-1) for t in scores]
        student = [head(features(image, view)[0]) for view in [*views, *inputs["local"].chunk(LOCAL_VIEWS)]]
        centers.move("distillation.center", torch.cat(scores).mean(0))
        return {"distillation": (dino_loss(student, targets), 1)}

    student = dict([*named_image(image, "model.image", False), *head.named("head")])
    follows = follow(
        (named_image(image, "", False), named_image(teacher, "teacher.image", False)),
        (head.named(""), teacher_head.named("teacher.head")),
    )
    train("dino", student, follows, centers, multi_crop, losses, freeze_last_layer)


def ibot(name, patch_prototypes):
    torch.manual_seed(5)
    image, head = image_tower(), Head(patch_prototypes=patch_prototypes).double()
    token = torch.zeros(WIDTH, dtype=torch.float64, requires_grad=True)
    teacher, teacher_head = copy.deepcopy(image), head.copy()
    centers = Centers(**{"distillation.center": PROTOTYPES, "patch_loss.center": patch_prototypes or PROTOTYPES})

    def losses(step, fraction, inputs):
        views = torch.cat([inputs["global_1"], inputs["global_2"]])
        mask = nn_random.ibot_masks(SEED, step, 2 * BATCH, SIDE, 0.5, (0.1, 0.5))
        with torch.no_grad():
            pooled, patches = features(teacher, views)
            scores, patch_scores = teacher_head(pooled), teacher_head(patches, patches=True)
        targets = F.softmax((scores - centers["distillation.center"]) / temperature(fraction), dim=-1)
        patch_targets = F.softmax((patch_scores - centers["patch_loss.center"]) / temperature(fraction), dim=-1)
        pooled, patches = features(image, views, mask, token)
        local = [head(features(image, view)[0]) for view in inputs["local"].chunk(LOCAL_VIEWS)]
        terms = {
            "distillation": (dino_loss([*head(pooled).chunk(2), *local], targets.chunk(2)), 1),
            "patches": (patch_loss(head(patches, patches=True), patch_targets, mask), 0.7),
        }
        centers.move("distillation.center", scores.mean(0))
        centers.move("patch_loss.center", patch_scores.mean(1).mean(0))
        return terms

    student = dict([*named_image(image, "model.image", False), *head.named("head"), ("mask_token", token)])
    follows = follow(
        (named_image(image, "", False), named_image(teacher, "teacher.image", False)),
        (head.named(""), teacher_head.named("teacher.head")),
    )
    train(name, student, follows, centers, multi_crop, losses, freeze_last_layer)


def dinov2(name, sinkhorn, separate):
    torch.manual_seed(6)
    image, head = image_tower(), Head(gains=True).double()
    patch_head = Head(gains=True).double() if separate else head
    token = torch.zeros(WIDTH, dtype=torch.float64, requires_grad=True)
    teacher, teacher_head = copy.deepcopy(image), head.copy()
    teacher_patch_head = patch_head.copy() if separate else teacher_head
    centers = Centers(**{"distillation.center": PROTOTYPES, "patch_loss.center": PROTOTYPES})

    def losses(step, fraction, inputs):
        views = torch.cat([inputs["global_1"], inputs["global_2"]])
        mask = nn_random.dinov2_masks(SEED, step, 2 * BATCH, SIDE, 0.5, (0.1, 0.5))
        t = temperature(fraction)
        with torch.no_grad():
            pooled, patches = features(teacher, views)
            scores, patch_scores = teacher_head(pooled), teacher_patch_head(patches[mask])
        if sinkhorn:
            targets, masked_targets = sinkhorn_knopp(scores, t), sinkhorn_knopp(patch_scores, t)
        else:
            targets = F.softmax((scores - centers["distillation.center"]) / t, dim=-1)
            masked_targets = F.softmax((patch_scores - centers["patch_loss.center"]) / t, dim=-1)
            centers.move("distillation.center", scores.mean(0))
            centers.move("patch_loss.center", patch_scores.mean(0))
        patch_targets = torch.zeros(*mask.shape, PROTOTYPES, dtype=torch.float64)
        patch_targets[mask] = masked_targets
        pooled, patches = features(image, views, mask, token)
        local = [head(features(image, view)[0]) for view in inputs["local"].chunk(LOCAL_VIEWS)]
        return {
            "distillation": (dino_loss([*head(pooled).chunk(2), *local], targets.chunk(2)), 1),
            "patches": (patch_loss(patch_head(patches), patch_targets, mask), 1),
            "koleo": (sum(koleo(x) for x in pooled.chunk(2)), 0.1),
        }

    heads = [*head.named("head"), *(patch_head.named("patch_head") if separate else [])]
    student = dict([*named_image(image, "model.image", False), *heads, ("mask_token", token)])
    pairs = [
        (named_image(image, "", False), named_image(teacher, "teacher.image", False)),
        (head.named(""), teacher_head.named("teacher.head")),
    ]
    if separate:
        pairs.append((patch_head.named(""), teacher_patch_head.named("teacher.patch_head")))
    train(name, student, follow(*pairs), centers, multi_crop, losses, freeze_last_layer)


def contrastive_inputs():
    return {"image": picture(BATCH, 3, SIZE, SIZE), "tokens": captions()}


def maskclip():
    torch.manual_seed(7)
    image, text, tokenizer = image_tower(), text_tower(), Head().double()
    decoder, norm = Transformer(WIDTH, 1, 1).double(), nn.LayerNorm(WIDTH).double()
    nn_common.perturb(decoder)
    nn_common.perturb(norm)
    token = torch.zeros(WIDTH, dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(math.log(1 / 0.07), dtype=torch.float64, requires_grad=True)
    teacher, teacher_tokenizer = copy.deepcopy(image), tokenizer.copy()
    centers = Centers(**{"distillation.center": PROTOTYPES})

    def losses(step, fraction, inputs):
        x = F.normalize(features(image, inputs["image"])[0] @ image.proj, dim=-1)
        y = F.normalize(text(inputs["tokens"]), dim=-1)
        mask = nn_random.random_masks(SEED, step, BATCH, SIDE * SIDE, 0.75)
        with torch.no_grad():
            scores = teacher_tokenizer(features(teacher, inputs["image"])[1])
        targets = F.softmax((scores - centers["distillation.center"]) / 0.06, dim=-1)
        decoded = norm(decoder(features(image, inputs["image"], mask, token)[1]))
        terms = {
            "contrastive": (ClipLoss()(x, y, scale.exp()), 1),
            "distillation": (patch_loss(tokenizer(decoded), targets, mask), 0.3),
        }
        centers.move("distillation.center", scores[mask].mean(0))
        return terms

    student = dict([
        *named_image(image, "model.image", True),
        *named_text(text),
        *[(f"decoder.{name}", parameter) for name, parameter in decoder.named_parameters()],
        *[(f"decoder_norm.{name}", parameter) for name, parameter in norm.named_parameters()],
        *tokenizer.named("tokenizer"),
        ("mask_token", token),
        ("contrastive.logit_scale", scale),
    ])
    follows = follow(
        (named_image(image, "", True), named_image(teacher, "teacher.image", True)),
        (tokenizer.named(""), teacher_tokenizer.named("teacher.head")),
    )
    train("maskclip", student, follows, centers, contrastive_inputs, losses)


def siglip2():
    torch.manual_seed(8)
    image, text, head, patch_head = image_tower(), text_tower(), Head().double(), Head().double()
    token = torch.zeros(WIDTH, dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(math.log(10), dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(-10.0, dtype=torch.float64, requires_grad=True)
    teacher, teacher_head, teacher_patch_head = copy.deepcopy(image), head.copy(), patch_head.copy()
    centers = Centers(**{"distillation.center": PROTOTYPES, "patch_loss.center": PROTOTYPES})
    start = 0.3

    def inputs():
        views = {"global": picture(BATCH, 3, SIZE, SIZE), "local": picture(LOCAL_VIEWS * BATCH, 3, LOCAL, LOCAL)}
        return contrastive_inputs() | views

    def losses(step, fraction, inputs):
        x = F.normalize(features(image, inputs["image"])[0] @ image.proj, dim=-1)
        y = F.normalize(text(inputs["tokens"]), dim=-1)
        terms = {"contrastive": (SigLipLoss()(x, y, scale.exp(), bias), 1)}
        if fraction < start:
            return terms
        mask = nn_random.random_masks(SEED, step, BATCH, SIDE * SIDE, 0.5)
        with torch.no_grad():
            pooled, patches = features(teacher, inputs["global"])
            scores, patch_scores = teacher_head(pooled), teacher_patch_head(patches)
        q = F.softmax((scores - centers["distillation.center"]) / 0.06, dim=-1)
        local = [head(features(image, view)[0]) for view in inputs["local"].chunk(LOCAL_VIEWS)]
        pairs = [torch.sum(-q * F.log_softmax(s / STUDENT, dim=-1), dim=-1).mean() for s in local]
        patch_targets = F.softmax((patch_scores - centers["patch_loss.center"]) / 0.06, dim=-1)
        masked = patch_head(features(image, inputs["global"], mask, token)[1])
        terms["distillation"] = (sum(pairs) / len(pairs), 0.25)
        terms["masked"] = (patch_loss(masked, patch_targets, mask), 0.25 * 0.25)
        centers.move("distillation.center", scores.mean(0))
        centers.move("patch_loss.center", patch_scores[mask].mean(0))
        return terms

    student = dict([
        *named_image(image, "model.image", True),
        *named_text(text),
        *head.named("head"),
        *patch_head.named("patch_head"),
        ("mask_token", token),
        ("contrastive.logit_scale", scale),
        ("contrastive.logit_bias", bias),
    ])
    follows = follow(
        (named_image(image, "", True), named_image(teacher, "teacher.image", True)),
        (head.named(""), teacher_head.named("teacher.head")),
        (patch_head.named(""), teacher_patch_head.named("teacher.patch_head")),
    )
    train("siglip2", student, follows, centers, inputs, losses, momentum=lambda f: 0 if f < start else MOMENTUM)


if __name__ == "__main__":
    dino()
    ibot("ibot", 0)
    ibot("ibot_unshared", 7)
    dinov2("dinov2", sinkhorn=False, separate=False)
    dinov2("dinov2_sinkhorn", sinkhorn=True, separate=True)
    maskclip()
    siglip2()
