"""Parameters and FLOPs of open_clip's models at the sizes of experiments/paper-sizes.toml, by PyTorch's FlopCounterMode on the
meta device, which tests/end_to_end/count_test.cpp holds `silc-engine count` to.

    python tests/reference/model_sizes.py tests/data/model_sizes.json

Needs torch, open_clip_torch and timm. Vocabularies are 32 000, as in the experiment. What silc's towers have beside open_clip's is said by
the test: a projection of the pooled picture, which SigLIP leaves out.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from stand_ins import stand_in_for_torchvision

stand_in_for_torchvision()

import open_clip  # noqa: E402
import torch  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

MODELS = {
    "B/16": "ViT-B-16-SigLIP-256",
    "SO400M/16": "ViT-SO400M-16-SigLIP2-256",
    "g/16": "ViT-gopt-16-SigLIP2-256",
}
BATCH = 2
LOCAL = 96  # pixels of SILC's local views


def model(name):
    config = open_clip.get_model_config(name)
    config["text_cfg"] = {**config["text_cfg"], "vocab_size": 32000, "context_length": 64}
    config["text_cfg"].pop("hf_tokenizer_name", None)
    with torch.device("meta"):
        return open_clip.CustomTextCLIP(**{key: value for key, value in config.items() if key != "custom_text"})


def count(parameters):
    return sum(parameter.numel() for parameter in parameters)


def flops(run):
    # The scores of attention are kept and not computed again: model FLOPs, without the recomputation of fused kernels.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        run()
    return counter.get_total_flops()


def sizes(name):
    net = model(name)
    pictures = torch.empty(BATCH, 3, 256, 256, device="meta")
    texts = torch.empty(BATCH, 64, dtype=torch.long, device="meta")
    blocks = net.visual.trunk.blocks
    attention = blocks[0].attn
    return {
        "image_parameters": count(net.visual.parameters()),
        "text_parameters": count(net.text.parameters()),
        "image_forward": flops(lambda: net.encode_image(pictures)) // BATCH,
        "text_forward": flops(lambda: net.encode_text(texts)) // BATCH,
        "image_training": flops(lambda: net.encode_image(pictures).sum().backward()) // BATCH,
        "text_training": flops(lambda: net.encode_text(texts).sum().backward()) // BATCH,
        "image_width": attention.qkv.in_features,
        "image_layers": len(blocks),
        "image_heads": attention.num_heads,
        "image_hidden": blocks[0].mlp.fc1.out_features,
        "text_width": net.text.token_embedding.embedding_dim,
        "text_layers": len(net.text.transformer.resblocks),
    }


if __name__ == "__main__":
    result = {"open_clip": open_clip.__version__, "torch": torch.__version__}
    result["models"] = {size: {"open_clip": name, **sizes(name)} for size, name in MODELS.items()}
    pathlib.Path(sys.argv[1]).write_text(json.dumps(result, indent=1) + "\n")
