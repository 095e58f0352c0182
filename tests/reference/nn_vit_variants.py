"""Expected outputs and gradients of what vit can do beyond CLIP's tower: timm's VisionTransformer for registers, LayerScale,
norms of queries and keys and gated MLPs, timm's Eva for rotary positions and sub-LN, open_clip for QuickGELU. Masked patches:
open_clip's towers of nn_backbones.py, whose fixture must be there. Weights are stored under silc's names.
"""

import functools

import nn_common
import timm.layers
import timm.models.eva
import timm.models.vision_transformer
import torch
from nn_common import record
from open_clip.transformer import QuickGELU, VisionTransformer
from safetensors.torch import load_file
from torch import nn

torch.manual_seed(4)

WIDTH, HEADS, PATCH, SIZE = 16, 2, 4, 16
NORM = functools.partial(timm.layers.LayerNorm, eps=1e-6)


def rename(name):
    for old, new in [
        ("patch_embed.proj.weight", "conv1.weight"),
        ("blocks.", "transformer.resblocks."),
        (".norm1.", ".ln_1."),
        (".norm2.", ".ln_2."),
        (".attn.q_norm", ".attn.ln_q"),
        (".attn.k_norm", ".attn.ln_k"),
        (".attn.norm", ".attn.ln_inner"),
        (".attn.qkv.weight", ".attn.in_proj_weight"),
        (".attn.qkv.bias", ".attn.in_proj_bias"),
        (".attn.proj", ".attn.out_proj"),
        (".ls1.", ".ls_1."),
        (".ls2.", ".ls_2."),
        (".mlp.norm", ".mlp.ln_inner"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    ]:
        name = name.replace(old, new)
    return name.replace("norm.", "ln_post.") if name.startswith("norm.") else name


def timm_record(tensors, prefix, tower, images, outputs):
    """As record(), for what silc keeps in other shapes."""
    plain = {}
    record(plain, prefix, tower, rename, {"images": images}, outputs)
    for kind in ["weight", "grad"]:
        base = f"{prefix}.{kind}."
        plain.pop(base + "patch_embed.proj.bias", None)
        cls = plain.pop(base + "cls_token", None)
        positions = plain.pop(base + "pos_embed", None)
        registers = plain.pop(base + "reg_token", None)
        if cls is not None:
            plain[base + "class_embedding"] = cls.flatten()
        if registers is not None:
            plain[base + "register_tokens"] = registers[0]
        if positions is not None:
            positions = positions[0]
            if cls is not None and tower.no_embed_class:
                # silc's class token has a position, here of value 0.
                first = torch.zeros_like(cls[0]) if kind == "weight" else cls[0]
                positions = torch.cat([first, positions])
            plain[base + "positional_embedding"] = positions
        for block in range(len(tower.blocks)):
            at = f"{base}transformer.resblocks.{block}."
            for part, target in [("weight", "mlp.c_fc.weight"), ("bias", "mlp.c_fc.bias")]:
                if at + f"mlp.c_fc_g.{part}" in plain:
                    plain[at + target] = torch.cat([plain.pop(at + f"mlp.c_fc_{half}.{part}") for half in "gx"])
            if at + "attn.q_bias" in plain:
                biases = [plain.pop(at + f"attn.{which}_bias") for which in "qkv"]
                plain[at + "attn.in_proj_bias"] = torch.cat(biases)
    tensors.update(plain)


def prepared(tower):
    nn_common.perturb(tower)
    nn.init.zeros_(tower.patch_embed.proj.bias)
    return tower


def registers(tensors):
    """DINOv2 with registers, at its largest size, with norms of queries and keys."""
    tower = prepared(timm.models.vision_transformer.VisionTransformer(
        SIZE, PATCH, embed_dim=WIDTH, depth=1, num_heads=HEADS, num_classes=0, reg_tokens=2, no_embed_class=True,
        init_values=0.3, qk_norm=True, mlp_ratio=4, mlp_layer=timm.layers.SwiGLUPacked, act_layer=nn.SiLU, norm_layer=NORM,
    ))
    images = torch.randn(2, 3, SIZE, SIZE)
    tokens = tower.forward_features(images)
    timm_record(tensors, "registers", tower, images, {"pooled": tower.forward_head(tokens), "patches": tokens[:, 3:]})


def eva(tensors, prefix, **options):
    tower = timm.models.eva.Eva(
        SIZE, PATCH, embed_dim=WIDTH, depth=1, num_heads=HEADS, num_classes=0, use_rot_pos_emb=True, dynamic_img_size=True,
        norm_layer=NORM, **options,
    )
    for block in tower.blocks:
        # A parameter like the others, as in silc.
        del block.attn.k_bias
        block.attn.k_bias = nn.Parameter(torch.zeros(WIDTH))
    prepared(tower)
    crop = torch.randn(2, 3, 8, 12)
    tensors[f"{prefix}.in.crop"] = crop
    tensors[f"{prefix}.out.crop"] = tower(crop)
    images = torch.randn(2, 3, SIZE, SIZE)
    tokens = tower.forward_features(images)
    timm_record(tensors, prefix, tower, images, {
        "pooled": tower.forward_head(tokens), "patches": tokens[:, tower.num_prefix_tokens:]
    })


def attention_pooling(tensors):
    """SigLIP's head and activation, with a register, which the head does not see."""
    tower = prepared(timm.models.vision_transformer.VisionTransformer(
        SIZE, PATCH, embed_dim=WIDTH // 2, depth=1, num_heads=HEADS, num_classes=0, class_token=False, reg_tokens=1,
        no_embed_class=True, global_pool="map", act_layer="gelu_tanh", norm_layer=NORM,
    ))
    images = torch.randn(2, 3, SIZE, SIZE)
    tokens = tower.forward_features(images)
    timm_record(tensors, "map", tower, images, {"pooled": tower.forward_head(tokens), "patches": tokens[:, 1:]})


def quick_gelu(tensors):
    tower = VisionTransformer(
        SIZE, PATCH, WIDTH // 2, 1, HEADS, 4.0, output_dim=8, output_tokens=True, act_layer=QuickGELU, ls_init_value=0.5
    )
    tower.proj = None
    nn_common.perturb(tower)
    images = torch.randn(2, 3, SIZE, SIZE)
    pooled, tokens = tower(images)
    record(tensors, "quick_gelu", tower, lambda name: name, {"images": images}, {"pooled": pooled, "patches": tokens})


def masked(tensors, prefix, weights, width, layers):
    """The towers of nn_backbones.py, with the mask token in place of some patches before positions are added (BEiT)."""
    def weight(name):
        return weights[f"{prefix}.weight.{name}"]

    tower = VisionTransformer(SIZE, PATCH, width, layers, HEADS, 4.0, output_dim=8)
    tower.proj = None
    if prefix == "conv":
        tower.conv1 = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.GroupNorm(8, 8), nn.GELU(),
            nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.GroupNorm(8, 16), nn.GELU(), nn.Conv2d(16, width, 1),
        )
    with torch.no_grad():
        for name, parameter in tower.named_parameters():
            parameter.copy_(weight(name.replace("conv1.", "stem.") if prefix == "conv" else name))
    images = weights[f"{prefix}.in.images"]
    mask = torch.rand(len(images), (SIZE // PATCH) ** 2) < 0.4
    token = torch.randn(width, requires_grad=True)
    x = tower.conv1(images).flatten(2).transpose(1, 2)
    x = torch.where(mask.unsqueeze(-1), token, x)
    x = torch.cat([tower.class_embedding.expand(len(x), 1, -1), x], 1) + tower.positional_embedding
    x = tower.ln_post(tower.transformer(tower.ln_pre(x)))
    seed = torch.randn_like(x)
    (x * seed).sum().backward()
    tensors.update({
        f"{prefix}.mask": mask.long(), f"{prefix}.token": token, f"{prefix}.tokens": x, f"{prefix}.seed": seed,
        f"{prefix}.token.grad": token.grad, f"{prefix}.class_embedding.grad": tower.class_embedding.grad,
    })


variants, rotary, masks = {}, {}, {}
registers(variants)
attention_pooling(variants)
eva(rotary, "eva", swiglu_mlp=True, mlp_ratio=2.5, scale_mlp=True, scale_attn_inner=True, ref_feat_shape=(3, 3),
    global_pool="token")
eva(rotary, "rotary", use_abs_pos_emb=False, class_token=False, global_pool="avg", use_fc_norm=False, mlp_ratio=2,
    ref_feat_shape=(4, 4))
quick_gelu(masks)
clip = load_file(nn_common.DATA / "nn_vit_open_clip.safetensors")
masked(masks, "cls", clip, 8, 2)
masked(masks, "conv", clip, 16, 1)
nn_common.save("nn_vit_variants", variants)
nn_common.save("nn_vit_rotary", rotary)
nn_common.save("nn_vit_masked", masks)
