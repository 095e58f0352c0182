"""Expected outputs, gradients and running statistics of the convolutional backbones: timm's ResNet and ConvNeXt, open_clip's
ModifiedResNet, cut down to two stages. Weights are stored under silc's names.
"""

import functools

import nn_common
import timm.models.convnext
import timm.models.resnet
import torch
import torch.nn.functional as F
from nn_common import record
from open_clip.modified_resnet import AttentionPool2d, ModifiedResNet
from torch import nn

torch.manual_seed(5)

SIZE = 24  # a last feature map of 3 × 3 cells


def keep_buffers(tensors, prefix, module):
    for name, buffer in module.named_buffers():
        if not name.endswith("num_batches_tracked"):
            tensors[f"{prefix}.buffer.{name}"] = buffer


def residual(tensors, prefix, block, width=4):
    tower = timm.models.resnet.ResNet(block, (1, 1, 1, 1), num_classes=0)
    tower.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
    tower.bn1 = nn.BatchNorm2d(width)
    stages, _ = timm.models.resnet.make_blocks(
        (block, block), (width, 2 * width), (1, 2), width, norm_layer=nn.BatchNorm2d
    )
    for name, stage in stages:
        setattr(tower, name, stage)
    tower.layer3, tower.layer4 = nn.Identity(), nn.Identity()
    nn_common.perturb(tower)
    images, crop = torch.randn(2, 3, SIZE, SIZE), torch.randn(2, 3, 12, 20)
    features = tower.train().forward_features(images)
    outputs = {"pooled": features.mean((2, 3)), "patches": features.flatten(2).transpose(1, 2)}
    record(tensors, prefix, tower, lambda name: name, {"images": images, "crop": crop}, outputs)
    keep_buffers(tensors, prefix, tower)
    tower.eval()
    tensors[f"{prefix}.out.eval"] = tower.forward_head(tower.forward_features(images))
    tensors[f"{prefix}.out.crop"] = tower.forward_head(tower.forward_features(crop))


def clip(tensors, prefix, width=4, heads=2):
    tower = ModifiedResNet([1, 1, 1, 1], 8, heads, SIZE * 4, width)
    tower.layer3, tower.layer4 = nn.Identity(), nn.Identity()
    tower.attnpool = AttentionPool2d(SIZE // 8, 8 * width, heads)
    nn_common.perturb(tower)
    features = {}
    tower.attnpool.register_forward_pre_hook(lambda module, inputs: features.update(map=inputs[0]))
    images, crop = torch.randn(2, 3, SIZE, SIZE), torch.randn(2, 3, 16, 20)
    pooled = tower.train()(images)
    cells = features["map"].flatten(2).transpose(1, 2)
    pool = tower.attnpool
    outputs = {"pooled": pooled, "patches": cells, "local": pool.c_proj(pool.v_proj(cells))}
    record(tensors, prefix, tower, lambda name: name, {"images": images, "crop": crop}, outputs)
    keep_buffers(tensors, prefix, tower)
    tower.eval()
    tensors[f"{prefix}.out.eval"] = tower(images)
    # Views of another size: positions resampled as open_clip resamples those of its transformers.
    trained = pool.positional_embedding
    grid = trained[1:].T.reshape(1, -1, SIZE // 8, SIZE // 8)
    grid = F.interpolate(grid, size=(2, 2), mode="bicubic", antialias=True, align_corners=False)
    pool.positional_embedding = nn.Parameter(torch.cat([trained[:1], grid.flatten(2)[0].T]))
    tensors[f"{prefix}.out.crop"] = tower(crop)


def convnext_name(name):
    name = name.replace("head.norm.", "norm.")
    return name.replace(".mlp.fc1.", ".mlp.c_fc.").replace(".mlp.fc2.", ".mlp.c_proj.")


def convnext(tensors, prefix, widths=(8, 12)):
    tower = timm.models.convnext.ConvNeXt(
        num_classes=0, depths=(1, 2, 1, 1), dims=(*widths, 16, 16), ls_init_value=0.5
    )
    tower.stages = tower.stages[:2]
    tower.head.norm = type(tower.head.norm)(widths[-1])
    nn_common.perturb(tower)
    images, crop = torch.randn(2, 3, SIZE, SIZE), torch.randn(2, 3, 8, 20)
    features = tower.forward_features(images)
    cells = tower.head.norm(features).flatten(2).transpose(1, 2)
    outputs = {"pooled": tower.forward_head(features), "patches": cells}
    record(tensors, prefix, tower, convnext_name, {"images": images, "crop": crop}, outputs)
    tensors[f"{prefix}.out.crop"] = tower(crop)


for file, name, make in [
    ("nn_resnet_bottleneck", "bottleneck", functools.partial(residual, block=timm.models.resnet.Bottleneck)),
    ("nn_resnet_basic", "basic", functools.partial(residual, block=timm.models.resnet.BasicBlock)),
    ("nn_resnet_clip", "clip", clip),
    ("nn_convnext", "convnext", convnext),
]:
    fixture = {}
    make(fixture, name)
    nn_common.save(file, fixture)
