"""Expected outputs and gradients of the backbones: open_clip's towers for CLIP's variants, timm's for mean and attention
pooling, which open_clip takes from there. Weights are stored under silc's names.
"""

import functools

import nn_common
import timm.models.vision_transformer
import torch
import torch.nn.functional as F
from open_clip.transformer import TextTransformer, VisionTransformer
from nn_common import record
from torch import nn

torch.manual_seed(2)

WIDTH, LAYERS, HEADS, PATCH, SIZE = 8, 2, 2, 4, 16


def clip_image(tensors):
    tower = VisionTransformer(SIZE, PATCH, WIDTH, LAYERS, HEADS, 4.0, output_dim=8, output_tokens=True)
    tower.proj = None
    nn_common.perturb(tower)
    images = torch.randn(2, 3, SIZE, SIZE)
    pooled, tokens = tower(images)
    record(tensors, "cls", tower, lambda name: name, {"images": images}, {"pooled": pooled, "patches": tokens})


def resized(tensors):
    """Views of another size: open_clip resamples position embeddings when it loads a checkpoint, by this interpolation."""
    tower = VisionTransformer(SIZE, PATCH, WIDTH, 1, HEADS, 4.0, output_dim=8, output_tokens=True)
    tower.proj = None
    nn_common.perturb(tower)
    images = torch.randn(2, 3, SIZE // 2, SIZE // 2)
    old, new = SIZE // PATCH, SIZE // 2 // PATCH
    grid = tower.positional_embedding[1:].T.reshape(1, WIDTH, old, old)
    grid = F.interpolate(grid, size=(new, new), mode="bicubic", antialias=True, align_corners=False)
    position = torch.cat([tower.positional_embedding[:1], grid.reshape(WIDTH, -1).T])
    x = tower.conv1(images).flatten(2).transpose(1, 2)
    x = torch.cat([tower.class_embedding.expand(2, 1, -1), x], 1) + position
    x = tower.ln_post(tower.transformer(tower.ln_pre(x)))
    record(tensors, "resized", tower, lambda name: name, {"images": images}, {"pooled": x[:, 0], "patches": x[:, 1:]})


def timm_name(name):
    if name == "patch_embed.proj.bias":
        return None
    for old, new in [
        ("patch_embed.proj.weight", "conv1.weight"),
        ("pos_embed", "positional_embedding"),
        ("blocks.", "transformer.resblocks."),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    ]:
        name = name.replace(old, new)
    if name.startswith("transformer."):
        for old, new in [
            ("norm1", "ln_1"),
            ("norm2", "ln_2"),
            ("attn.qkv.weight", "attn.in_proj_weight"),
            ("attn.qkv.bias", "attn.in_proj_bias"),
            ("attn.proj", "attn.out_proj"),
        ]:
            name = name.replace(old, new)
    elif name.startswith("norm."):
        name = name.replace("norm.", "ln_post.")
    return name


def timm_image(tensors, prefix, pooling):
    tower = timm.models.vision_transformer.VisionTransformer(
        SIZE, PATCH, embed_dim=WIDTH, depth=LAYERS, num_heads=HEADS, num_classes=0, class_token=False, global_pool=pooling,
        fc_norm=False, norm_layer=functools.partial(nn.LayerNorm, eps=1e-5),
    )
    nn_common.perturb(tower)
    nn.init.zeros_(tower.patch_embed.proj.bias)
    images = torch.randn(3, 3, SIZE, SIZE)
    patches = tower.forward_features(images)
    outputs = {"pooled": tower.forward_head(patches), "patches": patches}
    if pooling == "map":
        # The attention of each token alone on itself is its value: one call for each token.
        outputs["local"] = torch.stack([tower.attn_pool(token) for token in patches.split(1, dim=1)], 1)
    record(tensors, prefix, tower, timm_name, {"images": images}, outputs)


def conv_stem(tensors):
    """Xiao et al. 2021 with GroupNorm, written out."""
    width, layers = 16, 1
    convolutions = [nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.Conv2d(8, 16, 3, 2, 1, bias=False)]
    stem = nn.Sequential(
        convolutions[0], nn.GroupNorm(8, 8), nn.GELU(), convolutions[1], nn.GroupNorm(8, 16), nn.GELU(),
        nn.Conv2d(16, width, 1),
    )
    tower = VisionTransformer(SIZE, PATCH, width, layers, HEADS, 4.0, output_dim=8)
    tower.proj = None
    tower.conv1 = stem
    nn_common.perturb(tower)
    images = torch.randn(2, 3, SIZE, SIZE)
    record(tensors, "conv", tower, lambda name: name.replace("conv1.", "stem."), {"images": images}, {"pooled": tower(images)})


def clip_text(tensors, prefix, causal, pooling):
    tower = TextTransformer(
        8, 20, WIDTH, HEADS, LAYERS, output_dim=None, no_causal_mask=not causal, pool_type=pooling, output_tokens=False
    )
    nn_common.perturb(tower)
    tokens = torch.tensor([[18, 3, 4, 19, 0, 0, 0, 0], [18, 7, 19, 0, 0, 0, 0, 0], [18, 1, 2, 3, 4, 5, 6, 19]])
    pooled = tower(tokens)
    if pooling == "none":
        kept = (tokens != 0).unsqueeze(-1)
        pooled = (pooled * kept).sum(1) / kept.sum(1)
    record(tensors, prefix, tower, lambda name: name, {"tokens": tokens}, {"pooled": pooled})


image, other, text = {}, {}, {}
clip_image(image)
resized(image)
timm_image(other, "mean", "avg")
timm_image(other, "map", "map")
conv_stem(image)
clip_text(text, "eot", True, "argmax")
clip_text(text, "last", False, "last")
clip_text(text, "mean", True, "none")
nn_common.save("nn_vit_open_clip", image)
nn_common.save("nn_vit_timm", other)
nn_common.save("nn_text_transformer", text)
