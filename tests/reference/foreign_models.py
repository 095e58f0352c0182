"""Small random models in the formats of others, with what their own Python makes of pictures and texts.

    python tests/reference/foreign_models.py [CASE...]              tests/data/foreign/CASE
    python tests/reference/foreign_models.py --full DIR [CASE...]   the sizes of released models, below DIR

A case is a folder with the model in its family's layout, expected.safetensors, and case.json, which says where the model
lies, what somebody who imports it has to say because the files do not (keys of an experiment file), and what is special.
expected.safetensors has, where the model has them:

    pixels    [B, 3, S, S]  normalized pictures
    tokens    [B, T] int64  padded as the family pads
    pooled    [B, D]        the image tower's feature before projection
    patches   [B, N, D]     patch tokens after the last norm
    localized [B, N, D]     of attention pooling: what the head gives for each patch token alone
    image     [B, E]        normalized embeddings
    text      [B, E]
    logits    [B, B]        pictures in rows, scale and bias applied
    pixels_resized, pooled_resized   pictures of another size, position embeddings resampled as the family does

It needs Python with torch, open_clip_torch, timm, transformers and safetensors. big_vision's forward pass is written in
numpy after its models/vit.py, models/proj/image_text/text_transformer.py and two_towers.py.
"""

import argparse
import dataclasses
import io
import json
import math
import pathlib
import shutil
import sys
import tempfile
import zipfile
import zlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from stand_ins import stand_in_for_torchvision  # noqa: E402

stand_in_for_torchvision()

import open_clip.model  # noqa: E402
import transformers  # noqa: E402
from timm.models.vision_transformer import VisionTransformer  # noqa: E402

transformers.utils.logging.disable_progress_bar()

DATA = pathlib.Path(__file__).resolve().parent.parent / "data/foreign"
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@dataclasses.dataclass
class Size:
    """Of both towers. Widths differ in the small model, so that no tower fits the other's weights."""

    image_size: int = 16
    patch: int = 4
    width: int = 16
    layers: int = 2
    heads: int = 2
    hidden: int = 64
    text_width: int = 12
    text_layers: int = 2
    text_heads: int = 3
    text_hidden: int = 48
    vocabulary: int = 64
    context: int = 8
    embed: int = 8
    batch: int = 2

    @property
    def grid(self):
        return self.image_size // self.patch


SMALL = Size()
SMALL_SIGLIP = Size(hidden=60, text_width=16, text_heads=2, text_hidden=60, embed=16)
BASE_CLIP = Size(224, 32, 768, 12, 12, 3072, 512, 12, 8, 2048, 49408, 77, 512)
BASE_SIGLIP = Size(256, 16, 768, 12, 12, 3072, 768, 12, 12, 3072, 32000, 64, 768)
SO400M = Size(256, 16, 1152, 27, 16, 4304, 1152, 27, 16, 4304, 256000, 64, 1152)
BASE_DINOV2 = Size(518, 14, 768, 12, 12, 3072)


def pictures(size, image_size=None):
    side = image_size or size.image_size
    return torch.randn(size.batch, 3, side, side)


def clip_tokens(size):
    """Start, words, end, zeros. The end token has the greatest id."""
    tokens = torch.zeros(size.batch, size.context, dtype=torch.long)
    for i, row in enumerate(tokens):
        words = size.context - 3 - 2 * i
        row[0] = size.vocabulary - 2
        row[1 : 1 + words] = torch.randint(1, size.vocabulary - 2, (words,))
        row[1 + words] = size.vocabulary - 1
    return tokens


def siglip_tokens(size, pad=1):
    """Words and the end token, which is padding at the same time: the model sees all of it."""
    tokens = torch.full((size.batch, size.context), pad, dtype=torch.long)
    for i, row in enumerate(tokens):
        words = size.context - 2 - 2 * i
        row[:words] = torch.randint(2, size.vocabulary, (words,))
    return tokens


def randomize(module):
    """Values by which every parameter matters and activations differ: no bias is 0, no gain 1, no table small."""
    tables = (
        "positional_embedding",
        "position_embedding",
        "position_embeddings",
        "pos_embed",
        "class_embedding",
        "cls_token",
        "token_embedding",
        "reg_token",
        "register_tokens",
        "mask_token",
        "latent",
        "probe",
    )
    norms = {id(norm.weight) for norm in module.modules() if isinstance(norm, (nn.LayerNorm, nn.BatchNorm2d))}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("logit_scale"):
                parameter.fill_(math.log(11))
            elif name.endswith("logit_bias"):
                parameter.fill_(-3.5)
            elif id(parameter) in norms:
                parameter.normal_(1, 0.2)
            elif name.split(".")[-1] in ("gamma", "lambda1"):
                parameter.normal_(0.7, 0.2)
            elif any(part in tables for part in name.split(".")):
                parameter.normal_(0, 0.5)
            elif parameter.dim() == 1:
                parameter.normal_(0, 0.2)
            else:
                parameter.normal_(0, (parameter.numel() / parameter.shape[0]) ** -0.5)
    return module.eval()


def normalize(x):
    return F.normalize(x, dim=-1)


class Case:
    """Writes the folder of a case."""

    def __init__(self, folder, name):
        self.folder = folder / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def write(self, path, expected, given=None, notes=""):
        kept = {key: value.detach().clone().contiguous() for key, value in expected.items()}
        save_file(kept, self.folder / "expected.safetensors")
        case = {"path": path, "given": given or {}, "notes": notes}
        (self.folder / "case.json").write_text(json.dumps(case, indent=2) + "\n")
        for file in self.folder.rglob("*"):
            file.chmod(0o755 if file.is_dir() else 0o644)

    def model_folder(self):
        folder = self.folder / "model"
        folder.mkdir()
        return folder


def write_json(path, content):
    path.write_text(json.dumps(content, indent=2) + "\n")


# What a state dict of open_clip does not tell: heads (of 64 channels in released models), and the activation.
def given_for(size, activation=None, text=True):
    given = {"model.image.heads": size.heads}
    if text:
        given["model.text.heads"] = size.text_heads
    if activation:
        given["model.image.mlp"] = activation
        if text:
            given["model.text.mlp"] = activation
    return given




def open_clip_config(size, vision=None, text=None, **top):
    return {
        "embed_dim": size.embed,
        **top,
        "vision_cfg": {
            "image_size": size.image_size,
            "layers": size.layers,
            "width": size.width,
            "head_width": size.width // size.heads,
            "patch_size": size.patch,
            **(vision or {}),
        },
        "text_cfg": {
            "context_length": size.context,
            "vocab_size": size.vocabulary,
            "width": size.text_width,
            "heads": size.text_heads,
            "layers": size.text_layers,
            **(text or {}),
        },
    }


def open_clip_model(config):
    config = dict(config)
    kind = open_clip.model.CustomTextCLIP if config.pop("custom_text", False) else open_clip.model.CLIP
    return randomize(kind(**config, output_dict=False))


def with_logits(expected, scale, bias=0):
    expected["logits"] = scale.exp() * expected["image"] @ expected["text"].T + bias
    return expected


@torch.no_grad()
def clip_expected(model, size):
    pixels, tokens = pictures(size), clip_tokens(size)
    pooled, patches = pooled_and_patches(model, pixels)
    bias = 0 if model.logit_bias is None else model.logit_bias
    return with_logits(
        {
            "pixels": pixels,
            "tokens": tokens,
            "pooled": pooled,
            "patches": patches,
            "image": model.encode_image(pixels, normalize=True),
            "text": model.encode_text(tokens, normalize=True),
        },
        model.logit_scale,
        bias,
    )


def pooled_and_patches(model, pixels):
    projection = model.visual.proj
    model.visual.proj, model.visual.output_tokens = None, True
    pooled, patches = model.visual(pixels)
    model.visual.proj, model.visual.output_tokens = projection, False
    return pooled, patches


def resized(model, config, size):
    """The same weights for pictures of another size, by open_clip's own resampling of position embeddings."""
    other = dict(config, vision_cfg=dict(config["vision_cfg"], image_size=size.image_size * 3 // 2))
    larger = open_clip_model(other)
    state = dict(model.state_dict())
    open_clip.model.resize_pos_embed(state, larger)
    larger.load_state_dict(state)
    pixels = pictures(size, size.image_size * 3 // 2)
    with torch.no_grad():
        return {"pixels_resized": pixels, "pooled_resized": pooled_and_patches(larger, pixels)[0]}


def write_hub(case, config, state, mean, std, interpolation, resize_mode):
    """As open_clip.push_to_hf_hub.save_for_hf, without the tokenizer's files."""
    folder = case.model_folder()
    save_file(
        {key: value.detach().contiguous() for key, value in state.items()}, folder / "open_clip_model.safetensors"
    )
    write_json(
        folder / "open_clip_config.json",
        {
            "model_cfg": config,
            "preprocess_cfg": {"mean": mean, "std": std, "interpolation": interpolation, "resize_mode": resize_mode},
        },
    )


def open_clip_gelu(case, size):
    config = open_clip_config(size)
    model = open_clip_model(config)
    save_file(model.state_dict(), case.folder / "model.safetensors")
    case.write(
        "model.safetensors", {**clip_expected(model, size), **resized(model, config, size)}, given_for(size, "gelu")
    )


def open_clip_quick_gelu(case, size):
    model = open_clip_model(open_clip_config(size, quick_gelu=True))
    save_file(model.state_dict(), case.folder / "model.safetensors")
    case.write("model.safetensors", clip_expected(model, size), given_for(size, "quick_gelu"))


def open_clip_hub(case, size):
    config = open_clip_config(size, quick_gelu=True)
    model = open_clip_model(config)
    write_hub(case, config, model.state_dict(), CLIP_MEAN, CLIP_STD, "bicubic", "shortest")
    case.write("model", clip_expected(model, size))


def open_clip_hub_gelu(case, size):
    config = open_clip_config(size)
    model = open_clip_model(config)
    write_hub(case, config, model.state_dict(), CLIP_MEAN, CLIP_STD, "bicubic", "shortest")
    case.write("model", clip_expected(model, size))


def open_clip_checkpoint(case, size):
    model = open_clip_model(open_clip_config(size))
    expected = clip_expected(model, size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0)
    model.logit_scale.grad = torch.ones(())  # the others have no state, which keeps the file small
    optimizer.step()
    torch.save(
        {
            "epoch": 3,
            "name": "a run",
            "state_dict": {f"module.{key}": value for key, value in model.state_dict().items()},
            "optimizer": optimizer.state_dict(),
        },
        case.folder / "epoch_3.pt",
    )
    case.write("epoch_3.pt", expected, given_for(size, "gelu"))


def open_clip_rounded(case, size, dtype):
    """Weights of two bytes; what is expected are the rounded weights in fp32."""
    model = open_clip_model(open_clip_config(size))
    state = {key: value.to(dtype) for key, value in model.state_dict().items()}
    model.load_state_dict({key: value.float() for key, value in state.items()})
    save_file(state, case.folder / "model.safetensors")
    case.write("model.safetensors", clip_expected(model, size), given_for(size, "gelu"))


def open_clip_fp16(case, size):
    open_clip_rounded(case, size, torch.float16)


def open_clip_bf16(case, size):
    open_clip_rounded(case, size, torch.bfloat16)


class PublishedClip(open_clip.model.CLIP):
    """OpenAI's archives hold three numbers as tensors, and the mask in the code alone."""

    __jit_unused_properties__ = ["attn_mask"]

    @property
    def attn_mask(self):
        length = self.context_length.item()
        return torch.full((length, length), float("-inf")).triu_(1)


def openai_script(case, size):
    model = open_clip_model(open_clip_config(size, quick_gelu=True))
    del model._buffers["attn_mask"]
    model.__class__ = PublishedClip
    for name, value in [
        ("input_resolution", size.image_size),
        ("context_length", size.context),
        ("vocab_size", size.vocabulary),
    ]:
        model.__dict__.pop(name, None)
        model.register_buffer(name, torch.tensor(value))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if is_half_at_openai(name):
                parameter.copy_(parameter.half())
    expected = clip_expected(model, size)
    script = torch.jit.trace_module(
        model, {"encode_image": pictures(size), "encode_text": clip_tokens(size)}, check_trace=False
    )
    for name, parameter in script.named_parameters():
        if is_half_at_openai(name):
            parameter.data = parameter.data.half()
    write_script(script, case.folder / "model.pt")
    case.write(
        "model.pt",
        expected,
        {"model.image.heads": size.heads, "model.text.heads": size.text_heads},
        "TorchScript with weights of linear layers in fp16 and norms and tables in fp32, as OpenAI publishes its models. "
        "These are recognized by input_resolution, context_length and vocab_size, and have QuickGELU.",
    )


def is_half_at_openai(name):
    """clip.model.convert_weights: convolutions, linear layers, attention and projections."""
    return not any(part in name for part in ("ln_", "embedding", "logit_scale"))


def write_script(script, path):
    written = io.BytesIO()
    torch.jit.save(script, written)
    # Without the debug records, which hold the paths of the machine that wrote them.
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry))


def open_clip_custom_text(case, size):
    model = open_clip_model(open_clip_config(size, custom_text=True))
    save_file(model.state_dict(), case.folder / "model.safetensors")
    case.write("model.safetensors", clip_expected(model, size), given_for(size, "gelu"), "names text.*")


def open_clip_average(case, size):
    config = open_clip_config(size, {"pool_type": "avg"})
    model = open_clip_model(config)
    write_hub(case, config, model.state_dict(), CLIP_MEAN, CLIP_STD, "bicubic", "shortest")
    case.write(
        "model",
        clip_expected(model, size),
        notes="the mean of the patch tokens, beside a class token that the blocks see",
    )


def open_clip_no_pre_norm(case, size):
    model = open_clip_model(open_clip_config(size, {"no_ln_pre": True}, init_logit_bias=-10))
    save_file(model.state_dict(), case.folder / "model.safetensors")
    case.write(
        "model.safetensors",
        clip_expected(model, size),
        given_for(size, "gelu"),
        "no ln_pre; logit_bias of SigLIP's loss",
    )


def open_clip_resnet(case, size):
    """ModifiedResNet, with 1/64 of RN50's channels, in fp16 to keep the file small."""
    config = open_clip_config(size, {"layers": [1, 1, 1, 1], "width": 4, "image_size": 64}, quick_gelu=True)
    config["vision_cfg"].update(patch_size=None, head_width=64)
    model = open_clip_model(config)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.2)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
        state = {
            key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()
        }
        model.load_state_dict({key: value.float() for key, value in state.items()})
        pixels, tokens = pictures(size, 64), clip_tokens(size)
        expected = {"pixels": pixels, "tokens": tokens, "image": model.encode_image(pixels, normalize=True)}
        expected = with_logits({**expected, "text": model.encode_text(tokens, normalize=True)}, model.logit_scale)
    save_file(state, case.folder / "model.safetensors")
    case.write("model.safetensors", expected, {"model.text.heads": size.text_heads, "model.text.mlp": "quick_gelu"})


class TimmTower(nn.Module):
    """open_clip.timm_model.TimmModel around a model that timm has no name for."""

    def __init__(self, size, activation):
        super().__init__()
        self.trunk = VisionTransformer(
            size.image_size,
            size.patch,
            num_classes=0,
            global_pool="map",
            embed_dim=size.width,
            depth=size.layers,
            num_heads=size.heads,
            mlp_ratio=size.hidden / size.width,
            class_token=False,
            act_layer=activation,
        )
        self.head = nn.Sequential()

    def forward(self, x):
        return self.head(self.trunk(x))


def open_clip_siglip(case, size, name="vit_base_patch16_siglip_256", activation=None, text=None):
    text = {
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
        "mlp_ratio": size.text_hidden / size.text_width,
        **(text or {}),
        "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    config = open_clip_config(size, text=text, init_logit_bias=-10, custom_text=True)
    model = open_clip_model(config)
    model.visual = TimmTower(size, activation)
    randomize(model)
    config["vision_cfg"] = {
        "image_size": size.image_size,
        "timm_model_name": name,
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    }
    write_hub(case, config, model.state_dict(), [0.5] * 3, [0.5] * 3, "bicubic", "squash")
    return model, timm_siglip_expected(model, size)


@torch.no_grad()
def timm_siglip_expected(model, size):
    pixels, tokens = pictures(size), siglip_tokens(size)
    trunk = model.visual.trunk
    patches = trunk.forward_features(pixels)
    pool = trunk.attn_pool
    values = F.linear(patches, pool.kv.weight[size.width :], pool.kv.bias[size.width :])
    mixed = pool.proj(values)
    return with_logits(
        {
            "pixels": pixels,
            "tokens": tokens,
            "pooled": trunk(pixels),
            "patches": patches,
            "localized": mixed + pool.mlp(pool.norm(mixed)),
            "image": model.encode_image(pixels, normalize=True),
            "text": model.encode_text(tokens, normalize=True),
        },
        model.logit_scale,
        model.logit_bias,
    )


def open_clip_siglip_hub(case, size):
    _, expected = open_clip_siglip(case, size)
    given = {} if size.width > 64 else {"model.image.heads": size.heads}
    case.write("model", expected, given, "exact GELU in both towers, as open_clip runs vit_base_patch16_siglip_256")


def open_clip_siglip_tanh_hub(case, size):
    _, expected = open_clip_siglip(
        case, size, "vit_so400m_patch16_siglip_256", "gelu_tanh", {"act_kwargs": {"approximate": "tanh"}}
    )
    case.write(
        "model",
        expected,
        {"model.image.heads": size.heads},
        "tanh GELU in both towers, as open_clip runs vit_so400m_patch16_siglip_256",
    )


def open_clip_siglip_file(case, size):
    _, expected = open_clip_siglip(
        case, size, "vit_so400m_patch16_siglip_256", "gelu_tanh", {"act_kwargs": {"approximate": "tanh"}}
    )
    (case.folder / "model/open_clip_model.safetensors").rename(case.folder / "model.safetensors")
    shutil.rmtree(case.folder / "model")
    case.write(
        "model.safetensors",
        expected,
        given_for(size, "gelu_tanh"),
        "names visual.trunk.* and text.*, without the folder's configuration",
    )




def preprocessor(kind, side, mean, std, resample, crop):
    sizes = (
        {"crop_size": {"height": side, "width": side}, "do_center_crop": True, "size": {"shortest_edge": side}}
        if crop
        else {"size": {"height": side, "width": side}}
    )
    return {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": mean,
        "image_processor_type": kind,
        "image_std": std,
        "resample": resample,
        "rescale_factor": 1 / 255,
        **sizes,
    }


def leave_out_defaults(folder):
    """Many released configurations hold only what differs from the defaults of their classes."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    kind = type(transformers.AutoConfig.for_model(config["model_type"]))
    for part in ("vision_config", "text_config"):
        defaults = kind.sub_configs[part]().to_dict()
        config[part] = {
            key: value for key, value in config[part].items() if key == "model_type" or value != defaults.get(key)
        }
    write_json(path, config)


def hf_clip_config(size, activation, eos):
    return transformers.CLIPConfig(
        projection_dim=size.embed,
        vision_config={
            "hidden_size": size.width,
            "intermediate_size": size.hidden,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "image_size": size.image_size,
            "patch_size": size.patch,
            "hidden_act": activation,
            "projection_dim": size.embed,
        },
        text_config={
            "hidden_size": size.text_width,
            "intermediate_size": size.text_hidden,
            "num_hidden_layers": size.text_layers,
            "num_attention_heads": size.text_heads,
            "vocab_size": size.vocabulary,
            "max_position_embeddings": size.context,
            "hidden_act": activation,
            "projection_dim": size.embed,
            "eos_token_id": eos,
            "bos_token_id": size.vocabulary - 2 if eos > 2 else 0,
            "pad_token_id": 1,
        },
    )


@torch.no_grad()
def hf_clip_expected(model, size):
    pixels, tokens = pictures(size), clip_tokens(size)
    seen = model.vision_model(pixel_values=pixels)
    out = model(input_ids=tokens, pixel_values=pixels)
    patches = model.vision_model.post_layernorm(seen.last_hidden_state[:, 1:])
    return {
        "pixels": pixels,
        "tokens": tokens,
        "pooled": seen.pooler_output,
        "patches": patches,
        "image": out.image_embeds,
        "text": out.text_embeds,
        "logits": out.logits_per_image,
    }


def hf_clip_quick_gelu(case, size):
    model = randomize(transformers.CLIPModel(hf_clip_config(size, "quick_gelu", 2)))
    folder = case.model_folder()
    model.config.save_pretrained(folder)
    state = dict(model.state_dict())
    # Files of older versions, such as openai/clip-vit-base-patch32, hold these.
    for tower, count in [("text_model", size.context), ("vision_model", size.grid**2 + 1)]:
        state[f"{tower}.embeddings.position_ids"] = torch.arange(count).expand(1, -1)
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors", {"format": "pt"})
    write_json(
        folder / "preprocessor_config.json",
        preprocessor("CLIPImageProcessor", size.image_size, CLIP_MEAN, CLIP_STD, 3, True),
    )
    case.write(
        "model", hf_clip_expected(model, size), notes="eos_token_id 2, with which the text is pooled at its greatest id"
    )


def hf_clip_sharded(case, size):
    model = randomize(transformers.CLIPModel(hf_clip_config(size, "gelu", size.vocabulary - 1)))
    folder = case.model_folder()
    model.save_pretrained(
        folder, max_shard_size=sum(value.numel() * 4 for value in model.state_dict().values()) * 2 // 3
    )
    write_json(
        folder / "preprocessor_config.json",
        preprocessor("CLIPImageProcessor", size.image_size, CLIP_MEAN, CLIP_STD, 3, True),
    )
    case.write("model", hf_clip_expected(model, size), notes="gelu; model.safetensors.index.json names the files")


def hf_siglip_config(kind, size, **vision):
    return kind(
        vision_config={
            "hidden_size": size.width,
            "intermediate_size": size.hidden,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "patch_size": size.patch,
            **vision,
        },
        text_config={
            "hidden_size": size.text_width,
            "intermediate_size": size.text_hidden,
            "num_hidden_layers": size.text_layers,
            "num_attention_heads": size.text_heads,
            "vocab_size": size.vocabulary,
            "max_position_embeddings": size.context,
            "projection_size": size.embed,
        },
    )


def hf_map_localized(head, patches, width):
    values = F.linear(patches, head.attention.in_proj_weight[2 * width :], head.attention.in_proj_bias[2 * width :])
    mixed = head.attention.out_proj(values)
    return mixed + head.mlp(head.layernorm(mixed))


def hf_siglip_default(case, size):
    hf_siglip(case, size)
    leave_out_defaults(case.folder / "model")


def hf_siglip(case, size):
    model = randomize(
        transformers.SiglipModel(hf_siglip_config(transformers.SiglipConfig, size, image_size=size.image_size))
    )
    folder = case.model_folder()
    model.save_pretrained(folder, max_shard_size="100GB")
    write_json(
        folder / "preprocessor_config.json",
        preprocessor("SiglipImageProcessor", size.image_size, [0.5] * 3, [0.5] * 3, 3, False),
    )
    pixels, tokens = pictures(size), siglip_tokens(size)
    with torch.no_grad():
        seen = model.vision_model(pixel_values=pixels)
        out = model(input_ids=tokens, pixel_values=pixels)
        case.write(
            "model",
            {
                "pixels": pixels,
                "tokens": tokens,
                "pooled": seen.pooler_output,
                "patches": seen.last_hidden_state,
                "localized": hf_map_localized(model.vision_model.head, seen.last_hidden_state, size.width),
                "image": out.image_embeds,
                "text": out.text_embeds,
                "logits": out.logits_per_image,
            },
        )


def hf_siglip2_naflex(case, size):
    model = randomize(
        transformers.Siglip2Model(hf_siglip_config(transformers.Siglip2Config, size, num_patches=size.grid**2))
    )
    folder = case.model_folder()
    model.save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {
            "do_convert_rgb": True,
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5] * 3,
            "image_processor_type": "Siglip2ImageProcessor",
            "image_std": [0.5] * 3,
            "max_num_patches": size.grid**2,
            "patch_size": size.patch,
            "resample": 2,
            "rescale_factor": 1 / 255,
        },
    )
    pixels, tokens = pictures(size), siglip_tokens(size, pad=0)
    # A patch is a row of its pixels, channels innermost.
    cut = pixels.unfold(2, size.patch, size.patch).unfold(3, size.patch, size.patch)  # [B, C, H, W, P, P]
    rows = cut.permute(0, 2, 3, 4, 5, 1).reshape(size.batch, size.grid**2, -1)
    shape = torch.tensor([[size.grid, size.grid]] * size.batch)
    mask = torch.ones(size.batch, size.grid**2, dtype=torch.long)
    with torch.no_grad():
        seen = model.vision_model(pixel_values=rows, pixel_attention_mask=mask, spatial_shapes=shape)
        out = model(input_ids=tokens, pixel_values=rows, pixel_attention_mask=mask, spatial_shapes=shape)
        case.write(
            "model",
            {
                "pixels": pixels,
                "tokens": tokens,
                "pooled": seen.pooler_output,
                "patches": seen.last_hidden_state,
                "localized": hf_map_localized(model.vision_model.head, seen.last_hidden_state, size.width),
                "image": out.image_embeds,
                "text": out.text_embeds,
                "logits": out.logits_per_image,
            },
            notes="NaFlex, on a square picture with the grid that position embeddings are for. Padding is token 0",
        )


def hf_dinov2_model(size, registers=0, **more):
    kind = (
        (transformers.Dinov2WithRegistersConfig, transformers.Dinov2WithRegistersModel)
        if registers
        else (transformers.Dinov2Config, transformers.Dinov2Model)
    )
    if registers:
        more["num_register_tokens"] = registers
    config = kind[0](
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        mlp_ratio=4,
        image_size=size.image_size,
        patch_size=size.patch,
        **more,
    )
    return randomize(kind[1](config))


@torch.no_grad()
def dinov2_expected(model, size, registers=0):
    pixels = pictures(size)
    out = model(pixel_values=pixels)
    return {"pixels": pixels, "pooled": out.pooler_output, "patches": out.last_hidden_state[:, 1 + registers :]}


def write_hf_dinov2(case, size, registers=0, **more):
    model = hf_dinov2_model(size, registers, **more)
    folder = case.model_folder()
    model.save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        preprocessor("BitImageProcessor", size.image_size, IMAGENET_MEAN, IMAGENET_STD, 3, True),
    )
    case.write("model", dinov2_expected(model, size, registers))


def hf_dinov2(case, size):
    write_hf_dinov2(case, size)


def hf_dinov2_registers(case, size):
    write_hf_dinov2(case, size, registers=4)


def hf_dinov2_swiglu(case, size):
    write_hf_dinov2(case, size, use_swiglu_ffn=True)




def timm_vit(case, size):
    model = randomize(
        VisionTransformer(
            size.image_size, size.patch, num_classes=10, embed_dim=size.width, depth=size.layers, num_heads=size.heads
        )
    )
    torch.save(model.state_dict(), case.folder / "model.pth")
    pixels = pictures(size)
    with torch.no_grad():
        features = model.forward_features(pixels)
    case.write(
        "model.pth",
        {"pixels": pixels, "pooled": features[:, 0], "patches": features[:, 1:]},
        given_for(size, "gelu", text=False),
        "has a head of classes, which is no part of the tower",
    )


def native_dinov2_state(model):
    """Names of facebookresearch/dinov2, from which transformers' conversion script goes the other way."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        published = load_file(pathlib.Path(folder) / "model.safetensors")
    names = [
        ("embeddings.position_embeddings", "pos_embed"),
        ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
        ("embeddings.", ""),
        ("encoder.layer.", "blocks."),
        ("layernorm.", "norm."),
        ("layer_scale1.lambda1", "ls1.gamma"),
        ("layer_scale2.lambda1", "ls2.gamma"),
        ("attention.output.dense", "attn.proj"),
        ("attention.attention.", "attn."),
        ("mlp.weights_in", "mlp.w12"),
        ("mlp.weights_out", "mlp.w3"),
    ]
    state = {}
    for key, value in published.items():
        for old, new in names:
            key = key.replace(old, new)
        state[key] = value
    for i in range(model.config.num_hidden_layers):
        for kind in ("weight", "bias"):
            state[f"blocks.{i}.attn.qkv.{kind}"] = torch.cat(
                [state.pop(f"blocks.{i}.attn.{part}.{kind}") for part in ("query", "key", "value")]
            )
    return state


def dinov2_native(case, size, registers=0, **more):
    model = hf_dinov2_model(size, registers, **more)
    torch.save(native_dinov2_state(model), case.folder / "model.pth")
    case.write("model.pth", dinov2_expected(model, size, registers), given_for(size, text=False))


def dinov2_native_registers(case, size):
    dinov2_native(case, size, registers=4)


def dinov2_native_swiglu(case, size):
    dinov2_native(case, size, use_swiglu_ffn=True)




class BigVision:
    """Parameters as big_vision saves them, "/" between names. Blocks keep names of their own until the file is written."""

    def __init__(self):
        self.parameters = {}

    def add(self, name, *shape, kind="kernel", inner=1):
        """`inner` leading dimensions are summed over."""
        r = torch.randn(*shape).numpy()
        scale = {"kernel": int(np.prod(shape[:inner])) ** -0.5, "bias": 0.2, "gain": 0.2, "table": 0.5}[kind]
        self.parameters[name] = (r * np.float32(scale) + np.float32(kind == "gain")).astype(np.float32)

    def norm(self, name, width):
        self.add(f"{name}/scale", width, kind="gain")
        self.add(f"{name}/bias", width, kind="bias")

    def dense(self, name, inner, outer):
        self.add(f"{name}/kernel", inner, outer)
        self.add(f"{name}/bias", outer, kind="bias")

    def attention(self, name, width, heads):
        for part in ("query", "key", "value"):
            self.add(f"{name}/{part}/kernel", width, heads, width // heads)
            self.add(f"{name}/{part}/bias", heads, width // heads, kind="bias")
        self.add(f"{name}/out/kernel", heads, width // heads, width, inner=2)
        self.add(f"{name}/out/bias", width, kind="bias")

    def mlp(self, name, width, hidden):
        self.dense(f"{name}/Dense_0", width, hidden)
        self.dense(f"{name}/Dense_1", hidden, width)

    def encoder(self, name, width, hidden, layers, heads):
        for i in range(layers):
            block = f"{name}/encoderblock_{i}"
            self.norm(f"{block}/LayerNorm_0", width)
            self.attention(f"{block}/MultiHeadDotProductAttention_0", width, heads)
            self.norm(f"{block}/LayerNorm_1", width)
            self.mlp(f"{block}/MlpBlock_0", width, hidden)
        self.norm(f"{name}/encoder_norm", width)

    def image(self, prefix, size, pool, head):
        self.add(f"{prefix}embedding/kernel", size.patch, size.patch, 3, size.width, inner=3)
        self.add(f"{prefix}embedding/bias", size.width, kind="bias")
        self.add(f"{prefix}pos_embedding", 1, size.grid**2, size.width, kind="table")
        if pool == "tok":
            self.add(f"{prefix}cls", 1, 1, size.width, kind="table")
        self.encoder(f"{prefix}Transformer", size.width, size.hidden, size.layers, size.heads)
        if pool == "map":
            self.add(f"{prefix}MAPHead_0/probe", 1, 1, size.width, kind="table")
            self.attention(f"{prefix}MAPHead_0/MultiHeadDotProductAttention_0", size.width, size.heads)
            self.norm(f"{prefix}MAPHead_0/LayerNorm_0", size.width)
            self.mlp(f"{prefix}MAPHead_0/MlpBlock_0", size.width, size.hidden)
        if head:
            self.dense(f"{prefix}head", size.width, head)

    def text(self, prefix, size):
        self.add(f"{prefix}Embed_0/embedding", size.vocabulary, size.text_width, kind="table")
        self.add(f"{prefix}pos_embedding", 1, size.context, size.text_width, kind="table")
        self.encoder(f"{prefix}Encoder_0", size.text_width, size.text_hidden, size.text_layers, size.text_heads)
        self.dense(f"{prefix}head", size.text_width, size.embed)

    # The forward pass.

    def at(self, name):
        return self.parameters[name]

    def run_norm(self, name, x):
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + np.float32(1e-6)) * self.at(f"{name}/scale") + self.at(f"{name}/bias")

    def run_dense(self, name, x):
        return x @ self.at(f"{name}/kernel") + self.at(f"{name}/bias")

    def project(self, name, x):  # [B, N, D] → [B, H, N, D/H]
        kernel = self.at(f"{name}/kernel")
        y = (x @ kernel.reshape(kernel.shape[0], -1)).reshape(*x.shape[:2], *kernel.shape[1:]) + self.at(f"{name}/bias")
        return y.transpose(0, 2, 1, 3)

    def combine(self, name, y):  # [B, N, D] → [B, N, D]
        kernel = self.at(f"{name}/out/kernel")
        return y @ kernel.reshape(-1, kernel.shape[-1]) + self.at(f"{name}/out/bias")

    def run_attention(self, name, queries, x):
        q, k, v = (
            self.project(f"{name}/query", queries),
            self.project(f"{name}/key", x),
            self.project(f"{name}/value", x),
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32(math.sqrt(q.shape[-1]))
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return self.combine(name, (weights @ v).transpose(0, 2, 1, 3).reshape(*queries.shape))

    def run_mlp(self, name, x):
        h = self.run_dense(f"{name}/Dense_0", x)
        h = np.float32(0.5) * h * (1 + np.tanh(np.float32(math.sqrt(2 / math.pi)) * (h + np.float32(0.044715) * h**3)))
        return self.run_dense(f"{name}/Dense_1", h)

    def run_encoder(self, name, x, layers):
        for i in range(layers):
            block = f"{name}/encoderblock_{i}"
            y = self.run_norm(f"{block}/LayerNorm_0", x)
            x = x + self.run_attention(f"{block}/MultiHeadDotProductAttention_0", y, y)
            x = x + self.run_mlp(f"{block}/MlpBlock_0", self.run_norm(f"{block}/LayerNorm_1", x))
        return self.run_norm(f"{name}/encoder_norm", x)

    def run_head(self, name, x):
        return x + self.run_mlp(f"{name}/MlpBlock_0", self.run_norm(f"{name}/LayerNorm_0", x))

    def run_image(self, prefix, pixels, size, pool):
        kernel = self.at(f"{prefix}embedding/kernel")
        cut = pixels.reshape(size.batch, 3, size.grid, size.patch, size.grid, size.patch).transpose(0, 2, 4, 3, 5, 1)
        x = cut.reshape(size.batch, size.grid**2, -1) @ kernel.reshape(-1, size.width) + self.at(
            f"{prefix}embedding/bias"
        )
        x = x + self.at(f"{prefix}pos_embedding")
        if pool == "tok":
            x = np.concatenate([np.tile(self.at(f"{prefix}cls"), (size.batch, 1, 1)), x], 1)
        x = self.run_encoder(f"{prefix}Transformer", x, size.layers)
        if pool == "tok":
            return {"pooled": x[:, 0], "patches": x[:, 1:]}
        if pool == "gap":
            return {"pooled": x.mean(1), "patches": x}
        head = f"{prefix}MAPHead_0"
        probe = np.tile(self.at(f"{head}/probe"), (size.batch, 1, 1))
        attention = f"{head}/MultiHeadDotProductAttention_0"
        values = self.project(f"{attention}/value", x).transpose(0, 2, 1, 3).reshape(x.shape)
        return {
            "pooled": self.run_head(head, self.run_attention(attention, probe, x))[:, 0],
            "patches": x,
            "localized": self.run_head(head, self.combine(attention, values)),
        }

    def run_text(self, prefix, tokens, size):
        x = self.at(f"{prefix}Embed_0/embedding")[tokens] + self.at(f"{prefix}pos_embedding")
        return self.run_dense(f"{prefix}head", self.run_encoder(f"{prefix}Encoder_0", x, size.text_layers)[:, -1])

    # Files.

    def scanned(self):
        """vit.pyloop_to_scan: the blocks of an encoder in one, layers in front."""
        stacked, rest = {}, {}
        for name, value in self.parameters.items():
            before, mark, after = name.partition("encoderblock_")
            if mark:
                layer, after = after.split("/", 1)
                stacked.setdefault(f"{before}encoderblock/{after}", {})[int(layer)] = value
            else:
                rest[name] = value
        return rest | {name: np.stack([layers[i] for i in range(len(layers))]) for name, layers in stacked.items()}


def two_towers(size, pool, head):
    model = BigVision()
    model.image("params/img/", size, pool, head)
    model.text("params/txt/", size)
    model.parameters["params/t"] = np.full(1, math.log(11), np.float32)
    model.parameters["params/b"] = np.full(1, -3.5, np.float32)
    return model


def two_towers_expected(model, size, pool, head):
    pixels, tokens = pictures(size), siglip_tokens(size)
    seen = {
        key: torch.from_numpy(np.ascontiguousarray(value))
        for key, value in model.run_image("params/img/", pixels.numpy(), size, pool).items()
    }
    image = model.run_dense("params/img/head", seen["pooled"].numpy()) if head else seen["pooled"].numpy()
    text = model.run_text("params/txt/", tokens.numpy(), size)
    expected = {
        "pixels": pixels,
        "tokens": tokens,
        **seen,
        "image": normalize(torch.from_numpy(image)),
        "text": normalize(torch.from_numpy(text)),
    }
    return with_logits(expected, torch.from_numpy(model.at("params/t")), torch.from_numpy(model.at("params/b")))


def big_vision_siglip(case, size):
    model = two_towers(size, "map", None)
    np.savez(case.folder / "model.npz", **model.parameters)
    case.write("model.npz", two_towers_expected(model, size, "map", None))


def big_vision_siglip_scanned(case, size):
    model = two_towers(size, "map", None)
    np.savez(case.folder / "model.npz", **model.scanned())
    case.write(
        "model.npz", two_towers_expected(model, size, "map", None), notes="encoderblock/... with layers in front"
    )


def big_vision_siglip_bf16(case, size):
    """numpy writes JAX's bfloat16 as two bytes that it knows nothing of."""
    model = two_towers(size, "map", None)
    written = {}
    for name, value in model.parameters.items():
        rounded = torch.from_numpy(value).bfloat16()
        written[name] = rounded.view(torch.int16).numpy().view("V2")
        model.parameters[name] = rounded.float().numpy()
    np.savez(case.folder / "model.npz", **written)
    case.write("model.npz", two_towers_expected(model, size, "map", None), notes="bfloat16, which numpy writes as V2")


def big_vision_mean_pooled(case, size):
    model = two_towers(size, "gap", size.embed)
    np.savez(case.folder / "model.npz", **model.parameters)
    case.write(
        "model.npz",
        two_towers_expected(model, size, "gap", size.embed),
        notes="global average pooling, and a head on the image tower",
    )


def vit_expected(model, size):
    pixels = pictures(size)
    seen = model.run_image("", pixels.numpy(), size, "tok")
    return {"pixels": pixels, **{key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in seen.items()}}


def big_vision_vit(case, size):
    model = BigVision()
    model.image("", size, "tok", 10)
    np.savez(case.folder / "model.npz", **model.parameters)
    case.write(
        "model.npz",
        vit_expected(model, size),
        notes="no params/ in front; class token, its position not among pos_embedding; a head of 10 classes",
    )


def augreg_vit(case, size):
    """The first ViT code, google-research/vision_transformer: modules are numbered through, positions are the encoder's and
    hold the class token's."""
    model = BigVision()
    model.image("", size, "tok", 10)
    written = {}
    for name, value in model.parameters.items():
        for old, new in [
            ("MultiHeadDotProductAttention_0", "MultiHeadDotProductAttention_1"),
            ("LayerNorm_1", "LayerNorm_2"),
            ("MlpBlock_0", "MlpBlock_3"),
        ]:
            name = name.replace(old, new)
        written[name] = value
    own = torch.randn(1, 1, size.width).numpy()
    written["Transformer/posembed_input/pos_embedding"] = np.concatenate([own, written.pop("pos_embedding")], 1)
    model.parameters["cls"] = model.parameters["cls"] + own
    np.savez(case.folder / "model.npz", **written)
    case.write(
        "model.npz",
        vit_expected(model, size),
        notes="names of google-research/vision_transformer; the class token has a position",
    )


CLIPS = [
    open_clip_gelu,
    open_clip_quick_gelu,
    open_clip_hub,
    open_clip_hub_gelu,
    open_clip_checkpoint,
    open_clip_fp16,
    open_clip_bf16,
    openai_script,
    open_clip_custom_text,
    open_clip_average,
    open_clip_no_pre_norm,
    hf_clip_quick_gelu,
    hf_clip_sharded,
    hf_dinov2,
    hf_dinov2_registers,
    hf_dinov2_swiglu,
    timm_vit,
    dinov2_native,
    dinov2_native_registers,
    dinov2_native_swiglu,
    big_vision_vit,
    augreg_vit,
    open_clip_resnet,
]
SIGLIPS = [
    open_clip_siglip_hub,
    open_clip_siglip_tanh_hub,
    open_clip_siglip_file,
    hf_siglip,
    hf_siglip2_naflex,
    big_vision_siglip,
    big_vision_siglip_scanned,
    big_vision_siglip_bf16,
    big_vision_mean_pooled,
]
SMALL_CASES = {write.__name__: (write, SMALL) for write in CLIPS} | {
    write.__name__: (write, SMALL_SIGLIP) for write in SIGLIPS
}
FULL_CASES = {
    "vit_b_32_open_clip": (open_clip_hub_gelu, BASE_CLIP),
    "vit_b_32_openai": (openai_script, BASE_CLIP),
    "vit_b_32_hf": (hf_clip_quick_gelu, BASE_CLIP),
    "siglip_b_16_256_open_clip": (open_clip_siglip_hub, BASE_SIGLIP),
    "siglip_b_16_256_big_vision": (big_vision_siglip, BASE_SIGLIP),
    "siglip2_b_16_256_hf": (hf_siglip_default, dataclasses.replace(BASE_SIGLIP, vocabulary=256000)),
    "siglip2_so400m_16_256_hf": (hf_siglip, SO400M),
    "dinov2_b_14_hf": (hf_dinov2, BASE_DINOV2),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--full", type=pathlib.Path, metavar="DIR")
    arguments = parser.parse_args()
    cases = FULL_CASES if arguments.full else SMALL_CASES
    for name, (write, size) in cases.items():
        if arguments.cases and name not in arguments.cases:
            continue
        torch.manual_seed(zlib.crc32(name.encode()))  # so that a new case leaves the others as they are
        write(Case(arguments.full or DATA, name), size)
        print(name)


if __name__ == "__main__":
    main()
