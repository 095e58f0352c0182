"""Times training steps of Python open_clip: its own CLIP model, loss and fused AdamW, on pictures made beforehand.

Prints one JSON object: seconds of each step, peak memory of the process, number of parameters.
"""

import argparse
import importlib.abc
import importlib.machinery
import json
import resource
import sys
import time
import types
from unittest import mock


class TorchvisionStandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """open_clip imports torchvision for its transforms, which are not measured here."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: mock.MagicMock(name=name) if not name.startswith("__") else None
        return module

    def exec_module(self, module):
        module.__path__ = []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--objective", choices=["clip", "siglip"], default="clip")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--vocabulary", type=int, default=64)
    arguments = parser.parse_args()

    try:
        import torchvision  # noqa: F401
    except ImportError:
        sys.meta_path.append(TorchvisionStandIn())
    import torch
    from open_clip.loss import ClipLoss, SigLipLoss
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = CLIP(
        embed_dim=128,
        vision_cfg=CLIPVisionCfg(layers=6, width=192, head_width=64, patch_size=8, image_size=64),
        text_cfg=CLIPTextCfg(layers=4, width=128, heads=4, context_length=32, vocab_size=arguments.vocabulary),
        init_logit_bias=-10.0 if arguments.objective == "siglip" else None,
        output_dict=True,
    )
    loss_function = ClipLoss() if arguments.objective == "clip" else SigLipLoss()
    decay = [p for p in model.parameters() if p.ndim >= 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=1e-3, fused=True
    )
    images = torch.rand(arguments.batch, 3, 64, 64) * 2 - 1
    tokens = torch.randint(1, arguments.vocabulary - 1, (arguments.batch, 32))
    tokens[:, 12] = arguments.vocabulary - 1
    tokens[:, 13:] = 0

    seconds = []
    for _ in range(arguments.steps):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bf16"):
            output = model(images, tokens)
            loss = loss_function(**output)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)
        seconds.append(time.perf_counter() - start)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "parameters": sum(p.numel() for p in model.parameters()),
            }
        )
    )


if __name__ == "__main__":
    main()
