"""A few steps of each image-text objective beside CLIP, SigLIP and SILC on a tiny model, written out after its paper or its
authors' code: open_clip's towers and CLIP loss, everything else plainly, in double precision, with gradient descent.

Each fixture nn_NAME has start.* (weights), grad.* (gradients of the first step, of what is trained), end.* (weights and
buffers after the last step), and of each step STEP.* the inputs and STEP.term.* the terms of the loss.
"""

import copy
import math

import nn_common
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss
from open_clip.transformer import TextTransformer, VisionTransformer
from torch import nn

WIDTH, PATCH, SIZE, EMBED, BATCH, VOCABULARY, LENGTH = 8, 2, 8, 6, 4, 20, 6
RATE = 0.05
SEED = 1


class Random:
    """core/include/silc/random.h: Philox 4x32 with 10 rounds (Salmon et al. 2011), keyed by what is decided."""

    def __init__(self, step, index, stream=5):
        self.key = [SEED & 0xFFFFFFFF, (SEED >> 32) ^ (stream * 0x9E3779B9 & 0xFFFFFFFF)]
        self.counter = [0, step, index, 0]
        self.block = []

    def bits(self):
        if not self.block:
            c, k = list(self.counter), list(self.key)
            for _ in range(10):
                low, high = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
                c = [high >> 32 ^ c[1] ^ k[0], high & 0xFFFFFFFF, low >> 32 ^ c[3] ^ k[1], low & 0xFFFFFFFF]
                k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
            self.counter[0] += 1
            self.block = c
        return self.block.pop(0)

    def uniform(self):
        return (self.bits() >> 8) * 2.0**-24

    def below(self, bound):
        return self.bits() * bound >> 32


class Model:
    """The towers, and the names that their weights have in silc."""

    def __init__(self):
        self.image = VisionTransformer(SIZE, PATCH, WIDTH, 1, 2, 4.0, output_dim=EMBED).double()
        self.text = TextTransformer(LENGTH, VOCABULARY, WIDTH, 2, 1, output_dim=EMBED).double()
        nn_common.perturb(self.image)
        nn_common.perturb(self.text)

    def weights(self):
        for name, parameter in self.image.named_parameters():
            yield "model.image." + ("projection" if name == "proj" else f"backbone.{name}"), parameter
        for name, parameter in self.text.named_parameters():
            yield "model.text." + ("projection" if name == "text_projection" else f"backbone.{name}"), parameter

    def tokens(self, images, tower=None):
        """All tokens after the last norm: the class token, then patches. Views may have any size."""
        tower = tower or self.image
        grid, old = images.shape[-1] // PATCH, SIZE // PATCH
        position = tower.positional_embedding
        if grid != old:
            table = position[1:].T.reshape(1, WIDTH, old, old)
            table = F.interpolate(table, size=(grid, grid), mode="bicubic", antialias=True, align_corners=False)
            position = torch.cat([position[:1], table.reshape(WIDTH, -1).T])
        x = tower.conv1(images).flatten(2).transpose(1, 2)
        x = torch.cat([tower.class_embedding.expand(len(x), 1, -1), x], 1) + position
        return tower.ln_post(tower.transformer(tower.ln_pre(x)))

    def embed(self, images, tower=None):
        return F.normalize(self.tokens(images, tower)[:, 0] @ (tower or self.image).proj, dim=-1)

    def text_features(self, tokens):
        """Pooled, before the projection."""
        projection, self.text.text_projection = self.text.text_projection, None
        pooled = self.text(tokens)
        self.text.text_projection = projection
        return pooled

    def embed_text(self, tokens):
        return F.normalize(self.text_features(tokens) @ self.text.text_projection, dim=-1)


def pictures(count, size=SIZE):
    return torch.randn(count, 3, size, size).clamp(-1, 1).float()


def captions():
    """Start, some words, end, padding; of different lengths."""
    tokens = torch.zeros(BATCH, LENGTH, dtype=torch.long)
    for row, words in zip(tokens, [1, 2, 3, 4]):
        row[0] = 1
        row[1 : 1 + words] = torch.randint(2, VOCABULARY - 1, (words,))
        row[1 + words] = VOCABULARY - 1
    return tokens


def logit_scale():
    return torch.tensor(math.log(1 / 0.07), dtype=torch.double, requires_grad=True)


def own(shapes, std=0.4):
    return {name: (std * torch.randn(shape)).double().requires_grad_() for name, shape in shapes.items()}


def run(name, model, parameters, inputs, terms, frozen=lambda key: False, steps=2, buffers=lambda: {}):
    """`parameters`: those of the objective. terms(step, inputs): name → (value, weight)."""
    everything = dict(model.weights()) | parameters
    trained = {key: value for key, value in everything.items() if not frozen(key)}
    tensors = {}
    with torch.no_grad():
        for value in everything.values():  # what fp32 can hold
            value.copy_(value.float())
    tensors.update({f"start.{key}": value.clone() for key, value in everything.items()})
    for step in range(steps):
        given = inputs()
        tensors.update({f"{step}.{key}": value for key, value in given.items()})
        given = {key: value.double() if value.is_floating_point() else value for key, value in given.items()}
        parts = terms(step, given)
        tensors.update({f"{step}.term.{key}": value for key, (value, _) in parts.items()})
        loss = sum(weight * value for value, weight in parts.values())
        gradients = torch.autograd.grad(loss, list(trained.values()))
        if step == 0:
            tensors.update({f"grad.{key}": gradient for key, gradient in zip(trained, gradients)})
        with torch.no_grad():
            for value, gradient in zip(trained.values(), gradients):
                value -= RATE * gradient
    tensors.update({f"end.{key}": value for key, value in trained.items()})
    tensors.update({f"end.{key}": value for key, value in buffers().items()})
    nn_common.save(name, {key: v.float() if v.is_floating_point() else v for key, v in tensors.items()})


def clip_inputs():
    return {"image": pictures(BATCH), "tokens": captions()}


def slip():
    """Mu 2021, section 3, with the loss of Chen 2020, algorithm 1, anchor by anchor."""
    model = Model()
    head = nn.Sequential(
        nn.Linear(WIDTH, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Linear(10, 10), nn.BatchNorm1d(10), nn.ReLU(),
        nn.Linear(10, 5),
    ).double()
    nn_common.perturb(head)
    names = {0: "linears.0", 1: "norms.0", 3: "linears.1", 4: "norms.1", 6: "linears.2"}
    scale = logit_scale()
    parameters = {"contrastive.logit_scale": scale}
    for index, new in names.items():
        for part, parameter in head[index].named_parameters():
            parameters[f"head.{new}.{part}"] = parameter

    def nt_xent(a, b):
        z = F.normalize(torch.cat([a, b]), dim=-1)
        total = 0
        for i in range(2 * BATCH):
            partner = (i + BATCH) % (2 * BATCH)
            similarities = [z[i] @ z[k] / 0.1 for k in range(2 * BATCH) if k != i]
            total = total - (z[i] @ z[partner] / 0.1 - torch.stack(similarities).logsumexp(0))
        return total / (2 * BATCH)

    def terms(step, given):
        clip = ClipLoss()(model.embed(given["image"]), model.embed_text(given["tokens"]), scale.exp())
        first, second = given["augmented"].split(BATCH)
        a, b = head(model.tokens(first)[:, 0]), head(model.tokens(second)[:, 0])
        return {"contrastive": (clip, 1), "simclr": (nt_xent(a, b), 0.7)}

    def buffers():
        return {
            f"head.{names[index]}.{part}": value for index in (1, 4) for part, value in head[index].named_buffers()
        }

    run("nn_slip", model, parameters, lambda: clip_inputs() | {"augmented": pictures(2 * BATCH)}, terms, steps=3,
        buffers=buffers)


def xclip():
    """Zhou 2023, section 3: symmetric cross-entropy of assignments, their entropy and that of their mean."""
    model = Model()
    scale = logit_scale()
    heads = {}
    for side in ["image_head", "text_head"]:
        heads[side] = nn.Sequential(nn.Linear(WIDTH, 10), nn.GELU(), nn.Linear(10, 7)).double()
        for parameter in heads[side].parameters():
            nn.init.normal_(parameter, std=0.4)
    parameters = {"contrastive.logit_scale": scale}
    for side, head in heads.items():
        for index, new in {0: "linears.0", 2: "linears.1"}.items():
            for part, parameter in head[index].named_parameters():
                parameters[f"{side}.{new}.{part}"] = parameter

    def terms(step, given):
        image, text = model.tokens(given["image"])[:, 0], model.text_features(given["tokens"])
        clip = ClipLoss()(model.embed(given["image"]), model.embed_text(given["tokens"]), scale.exp())
        p = F.softmax(heads["image_head"](image) / 0.8, dim=-1)
        q = F.softmax(heads["text_head"](text) / 0.8, dim=-1)
        cross, sharp = 0, 0
        for a, b in zip(p, q):
            cross = cross - ((a * b.log()).sum() + (b * a.log()).sum()) / 2 / BATCH
            sharp = sharp - ((a * a.log()).sum() + (b * b.log()).sum()) / 2 / BATCH
        smooth = -sum((mean * mean.log()).sum() for mean in (p.mean(0), q.mean(0))) / 2
        return {
            "contrastive": (clip, 1),
            "cross_entropy": (cross, 0.6),
            "entropy": (sharp, 0.6 * 0.5),
            "mean_entropy": (smooth, -0.6 * 1.5),
        }

    run("nn_xclip", model, parameters, clip_inputs, terms)


def pacl(name, weights, train):
    """Mukhoti 2023, section 3 and appendix A.1, pair by pair."""
    model = Model()
    scale = logit_scale()
    parameters = own({
        "embedder.fc1.weight": (EMBED, WIDTH), "embedder.fc1.bias": (EMBED,),
        "embedder.fc2.weight": (EMBED, EMBED), "embedder.fc2.bias": (EMBED,),
        "embedder.skip.weight": (EMBED, WIDTH), "embedder.skip.bias": (EMBED,),
    })

    def embedder(x):
        p = {key.removeprefix("embedder."): value for key, value in parameters.items()}
        main = F.relu(x @ p["fc1.weight"].T + p["fc1.bias"]) @ p["fc2.weight"].T + p["fc2.bias"]
        return F.normalize(main + x @ p["skip.weight"].T + p["skip.bias"], dim=-1)

    def terms(step, given):
        patches = embedder(model.tokens(given["image"])[:, 1:])
        text = model.embed_text(given["tokens"])
        rows = []
        for i in range(BATCH):
            row = []
            for j in range(BATCH):
                s = 10 * (patches[i] @ text[j])
                a = F.softmax(s, dim=0) if weights == "softmax" else torch.sigmoid(s)
                row.append(F.cosine_similarity((a[:, None] * patches[i]).sum(0), text[j], dim=0))
            rows.append(torch.stack(row))
        logits = scale.exp() * torch.stack(rows)
        target = torch.arange(BATCH)
        return {"contrastive": ((F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2, 1)}

    def frozen(key):
        return key == "model.image.projection" or (train == "embedder" and key.startswith("model."))

    run(name, model, parameters | {"loss.logit_scale": scale}, clip_inputs, terms, frozen)


def lit(name, projection):
    """Zhai 2022: CLIP's loss; of the image tower at most the projection learns."""
    model = Model()
    scale = logit_scale()

    def terms(step, given):
        return {"contrastive": (ClipLoss()(model.embed(given["image"]), model.embed_text(given["tokens"]), scale.exp()), 1)}

    def frozen(key):
        return key.startswith("model.image.") and not (projection and key == "model.image.projection")

    run(name, model, {"loss.logit_scale": scale}, clip_inputs, terms, frozen)


def clipself():
    """Wu 2024, section 3.2, with RoIAlign (He 2017) sample by sample."""
    view, max_split, max_cells = 12, 6, 5
    model = Model()
    with torch.no_grad():
        for value in model.image.parameters():
            value.copy_(value.float())
    teacher = copy.deepcopy(model.image)

    def cells(random):
        grids = [(m, n) for m in range(1, max_split + 1) for n in range(1, max_split + 1) if m <= 2 * n and n <= 2 * m]
        m, n = grids[random.below(len(grids))]
        boxes = [(r / m, (r + 1) / m, c / n, (c + 1) / n) for r in range(m) for c in range(n)]
        for i in range(len(boxes), 1, -1):
            j = random.below(i)
            boxes[i - 1], boxes[j] = boxes[j], boxes[i - 1]
        return boxes[:max_cells]

    def roi_align(grid, box):
        """grid: [H, W, E]."""
        height, width = grid.shape[:2]
        top, bottom, left, right = (b * s for b, s in zip(box, (height, height, width, width)))
        samples = []
        down, across = math.ceil(bottom - top - 1e-6), math.ceil(right - left - 1e-6)
        for i in range(down):
            for j in range(across):
                y = min(max(top - 0.5 + (i + 0.5) * (bottom - top) / down, 0), height - 1)
                x = min(max(left - 0.5 + (j + 0.5) * (right - left) / across, 0), width - 1)
                y0, x0 = int(y), int(x)
                y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
                upper = (1 - (x - x0)) * grid[y0, x0] + (x - x0) * grid[y0, x1]
                lower = (1 - (x - x0)) * grid[y1, x0] + (x - x0) * grid[y1, x1]
                samples.append((1 - (y - y0)) * upper + (y - y0) * lower)
        return torch.stack(samples).mean(0)

    def terms(step, given):
        losses = []
        for b, image in enumerate(given["image"]):
            patches = F.normalize(model.tokens(image[None])[0, 1:] @ model.image.proj, dim=-1)
            grid = patches.reshape(view // PATCH, view // PATCH, EMBED)
            for box in cells(Random(step, b)):
                top, bottom, left, right = (round(edge * view) for edge in box)
                cut = image[None, :, top:bottom, left:right]
                crop = F.interpolate(cut, size=(SIZE, SIZE), mode="bilinear", antialias=True)
                with torch.no_grad():
                    target = model.embed(crop, teacher)[0]
                losses.append(1 - F.cosine_similarity(roi_align(grid, box), target, dim=0))
        return {"region": (torch.stack(losses).mean(), 1)}

    def frozen(key):
        return key == "model.image.projection" or key.startswith("model.text.")

    run("nn_clipself", model, {}, lambda: {"image": pictures(BATCH, view), "tokens": captions()}, terms, frozen)


def cap(name, layers, contrastive):
    """Tschannen 2023, section 3, caption by caption; the decoder as in big_vision's cappa.py."""
    width, heads, hidden, parallel = 12, 2, 24, 0.5
    model = Model()
    shapes = {
        "token_embedding.weight": (VOCABULARY, width), "mask_token": (width,),
        "positional_embedding": (LENGTH - 1, width), "norm.weight": (width,), "norm.bias": (width,),
        "head.weight": (VOCABULARY, width), "head.bias": (VOCABULARY,),
    }
    for layer in range(layers):
        block = {f"norm_{i}.weight": (width,) for i in (1, 2, 3)}
        block |= {f"self_attention.{part}.weight": (width, width) for part in ("query", "key", "value", "out")}
        block |= {f"cross_attention.{part}.weight": (width, WIDTH) for part in ("key", "value")}
        block |= {f"cross_attention.{part}.weight": (width, width) for part in ("query", "out")}
        block |= {"fc_1.weight": (hidden, width), "fc_2.weight": (width, hidden)}
        shapes |= {f"blocks.{layer}.{key}": shape for key, shape in block.items()}
    parameters = {f"decoder.{key}": value for key, value in own(shapes).items()}
    scale = logit_scale()
    if contrastive:
        parameters["contrastive.logit_scale"] = scale

    def attention(w, x, memory, mask):
        q, k, v = x @ w("query").T, memory @ w("key").T, memory @ w("value").T
        mixed = []
        for h in range(heads):
            part = slice(h * width // heads, (h + 1) * width // heads)
            scores = q[:, part] @ k[:, part].T / math.sqrt(width // heads)
            mixed.append(F.softmax(scores.masked_fill(~mask, -math.inf), dim=-1) @ v[:, part])
        return torch.cat(mixed, -1) @ w("out").T

    def decode(patches, inputs, at_once):
        w = lambda key: parameters[f"decoder.{key}"]
        length = len(inputs)
        x = w("mask_token").expand(length, -1) if at_once else w("token_embedding.weight")[inputs]
        x = x + w("positional_embedding")[:length]
        mask = torch.ones(length, length, dtype=torch.bool)
        mask = mask if at_once else mask.tril()
        everywhere = torch.ones(length, len(patches), dtype=torch.bool)
        for layer in range(layers):
            p = lambda key: w(f"blocks.{layer}.{key}")
            norm = lambda x, i: F.layer_norm(x, (width,), p(f"norm_{i}.weight"))
            y = norm(x, 1)
            x = x + attention(lambda part: p(f"self_attention.{part}.weight"), y, y, mask)
            x = x + attention(lambda part: p(f"cross_attention.{part}.weight"), norm(x, 2), patches, everywhere)
            x = x + F.gelu(norm(x, 3) @ p("fc_1.weight").T, approximate="tanh") @ p("fc_2.weight").T
        x = F.layer_norm(x, (width,), w("norm.weight"), w("norm.bias"))
        return x @ w("head.weight").T + w("head.bias")

    def terms(step, given):
        random = Random(step, 0)
        choice = [random.uniform() < parallel for _ in range(BATCH)]
        patches = model.tokens(given["image"])[:, 1:]
        total = 0
        for b, tokens in enumerate(given["tokens"]):
            real = int((tokens != 0).sum())
            log_p = F.log_softmax(decode(patches[b], tokens[:-1], choice[b]), dim=-1)
            total = total - sum(log_p[t, tokens[t + 1]] for t in range(real - 1)) / (real - 1) / BATCH
        result = {"caption": (total, 2)}
        if contrastive:
            value = ClipLoss()(model.embed(given["image"]), model.embed_text(given["tokens"]), scale.exp())
            result["contrastive"] = (value, 0.5)
        return result

    def frozen(key):
        return not contrastive and (key.startswith("model.text.") or key == "model.image.projection")

    run(name, model, parameters, clip_inputs, terms, frozen)


torch.manual_seed(5)
slip()
xclip()
pacl("nn_pacl", "softmax", "embedder")
pacl("nn_pacl_all", "sigmoid", "all")
lit("nn_lit", projection=False)
lit("nn_lit_projection", projection=True)
clipself()
cap("nn_cap", layers=2, contrastive=False)
cap("nn_coca", layers=1, contrastive=True)
