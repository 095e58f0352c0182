"""Times training steps of Python open_clip: its own CLIP model, loss and fused AdamW, on pictures made beforehand.

Prints one JSON object: seconds of each step, peak memory of the process, number of parameters.
"""

import argparse
import json
import pathlib
import resource
import sys
import time


sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from stand_ins import stand_in_for_torchvision  # noqa: E402

TEXT = dict(layers=12, width=512, heads=8, context_length=77)

# Image tower, text tower, embedding.
MODELS = {
    # That of bench.toml.
    "bench": (
        dict(layers=6, width=192, head_width=64, patch_size=8, image_size=64),
        dict(layers=4, width=128, heads=4, context_length=32),
        128,
    ),
    # Those of tests/gpu/benchmark.toml.
    "vit-b-16": (dict(layers=12, width=768, head_width=64, patch_size=16, image_size=224), TEXT, 512),
    "vit-s-16": (dict(layers=12, width=384, head_width=64, patch_size=16, image_size=224), TEXT, 512),
    "tiny": (
        dict(layers=2, width=64, head_width=32, patch_size=8, image_size=32),
        dict(layers=2, width=64, heads=8, context_length=16),
        512,
    ),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--objective", choices=["clip", "siglip"], default="clip")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--model", choices=MODELS, default="bench")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="through torch.compile")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--vocabulary", type=int, default=64)
    arguments = parser.parse_args()

    stand_in_for_torchvision()
    import torch
    from open_clip.loss import ClipLoss, SigLipLoss
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    device = torch.device(arguments.device)
    if device.type == "cpu":
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    vision, text, embed_dim = MODELS[arguments.model]
    side, length = vision["image_size"], text["context_length"]
    model = CLIP(
        embed_dim=embed_dim,
        vision_cfg=CLIPVisionCfg(**vision),
        text_cfg=CLIPTextCfg(**text, vocab_size=arguments.vocabulary),
        init_logit_bias=-10.0 if arguments.objective == "siglip" else None,
        output_dict=True,
    ).to(device)
    loss_function = ClipLoss() if arguments.objective == "clip" else SigLipLoss()
    decay = [p for p in model.parameters() if p.ndim >= 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=1e-3, fused=True
    )
    forward = torch.compile(model) if arguments.compile else model
    images = (torch.rand(arguments.batch, 3, side, side) * 2 - 1).to(device)
    tokens = torch.randint(1, arguments.vocabulary - 1, (arguments.batch, length))
    tokens[:, 12] = arguments.vocabulary - 1
    tokens[:, 13:] = 0
    tokens = tokens.to(device)

    seconds = []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=arguments.precision == "bf16"):
            output = forward(images, tokens)
            loss = loss_function(**output)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)
        loss.item()  # silc reads its loss each step, too; and the clock is right on a GPU
        seconds.append(time.perf_counter() - start)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "device_peak_memory": torch.cuda.max_memory_reserved() if device.type == "cuda" else None,
                "parameters": sum(p.numel() for p in model.parameters()),
            }
        )
    )


if __name__ == "__main__":
    main()
