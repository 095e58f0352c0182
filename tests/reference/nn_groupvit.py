"""Expected outputs and gradients of GroupViT in evaluation (no noise), written out after Xu et al. 2022, section 3, and what
its published code adds: an MLP over group tokens, cross-attention before the assignment, a 1 in the assignment's denominator.
"""

import nn_common
import torch
import torch.nn.functional as F
from nn_common import record
from open_clip.transformer import Transformer
from torch import nn

torch.manual_seed(6)

WIDTH, HEADS, PATCH, SIZE = 8, 2, 4, 16


class Pair(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, names, sizes):
        super().__init__()
        self.names = names
        for name, size_in, size_out in zip(names, sizes, sizes[1:]):
            setattr(self, name, nn.Linear(size_in, size_out))

    def forward(self, x):
        first, second = (getattr(self, name) for name in self.names)
        return second(F.gelu(first(x)))


def mixer(size_in, size_out):
    return Pair(["fc1", "fc2"], [size_in, WIDTH // 2, size_out])


def mlp():
    return Pair(["c_fc", "c_proj"], [WIDTH, 4 * WIDTH, WIDTH])


class Projections(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.proj = (nn.Linear(WIDTH, WIDTH) for _ in range(4))


class Grouping(nn.Module):
    def __init__(self, groups):
        super().__init__()
        for name in ["tokens", "post_tokens", "x", "mlp", "post", "new_x"]:
            setattr(self, f"norm_{name}", nn.LayerNorm(WIDTH))
        self.mlp_inter, self.mlp, self.mlp_channels = mixer(groups, groups), mlp(), mlp()
        self.attn, self.assign = Projections(), Projections()

    def cross_attention(self, groups, tokens):
        def heads(x):
            return x.reshape(len(x), -1, HEADS, WIDTH // HEADS).transpose(1, 2)

        q, k, v = (heads(p(x)) for p, x in zip(
            [self.attn.q_proj, self.attn.k_proj, self.attn.v_proj], [groups, tokens, tokens]))
        weights = (q @ k.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5).softmax(-1)
        return self.attn.proj((weights @ v).transpose(1, 2).flatten(2))

    def forward(self, tokens, groups):
        x = self.norm_x(tokens)
        g = self.norm_post_tokens(self.mlp_inter(self.norm_tokens(groups).transpose(1, 2)).transpose(1, 2))
        g = g + self.cross_attention(g, x)
        g = self.norm_post(g + self.mlp(self.norm_mlp(g)))
        soft = (self.assign.q_proj(g) @ self.assign.k_proj(x).transpose(1, 2) / WIDTH**0.5).softmax(1)
        hard = F.one_hot(soft.argmax(1), g.shape[1]).transpose(1, 2).float()
        hard = hard + soft - soft.detach()
        gathered = hard @ self.assign.v_proj(x) / (hard.sum(2, keepdim=True) + 1)
        g = g + self.assign.proj(gathered)
        return g + self.mlp_channels(self.norm_new_x(g)), soft


class Stage(nn.Module):
    def __init__(self, depth, groups, before):
        super().__init__()
        self.transformer = Transformer(WIDTH, depth, HEADS)
        self.groups = groups
        if groups:
            self.group_token = nn.Parameter(torch.randn(groups, WIDTH))
            self.grouping = Grouping(groups)
        if groups and before:
            self.projector_norm, self.projector = nn.LayerNorm(WIDTH), mixer(before, groups)

    def forward(self, x, before):
        if not self.groups:
            return self.transformer(x), None, None
        groups = self.group_token.expand(len(x), -1, -1)
        if before is not None:
            groups = groups + self.projector(self.projector_norm(before).transpose(1, 2)).transpose(1, 2)
        both = self.transformer(torch.cat([x, groups], 1))
        x, groups = both.split([x.shape[1], self.groups], 1)
        x, soft = self.grouping(x, groups)
        return x, groups, soft


class GroupViT(nn.Module):
    def __init__(self, depths=(1, 1, 1), groups=(4, 3)):
        super().__init__()
        self.conv1, self.patch_norm, self.norm = nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.positional_embedding = nn.Parameter(torch.randn((SIZE // PATCH) ** 2, WIDTH))
        self.stages = nn.ModuleList(
            Stage(depth, own, before) for depth, own, before in zip(depths, (*groups, 0), (0, *groups)))

    def forward(self, images):
        x = self.patch_norm(self.conv1(images).flatten(2).transpose(1, 2)) + self.positional_embedding
        groups, belongs = None, None
        for stage in self.stages:
            x, groups, soft = stage(x, groups)
            if soft is not None:
                belongs = soft.transpose(1, 2) if belongs is None else belongs @ soft.transpose(1, 2)
        x = self.norm(x)
        return x.mean(1), belongs @ x


tensors = {}
tower = GroupViT()
nn_common.perturb(tower)
images = torch.randn(2, 3, SIZE, SIZE)
pooled, patches = tower(images)
record(tensors, "groupvit", tower, lambda name: name, {"images": images}, {"pooled": pooled, "patches": patches})
nn_common.save("nn_groupvit", tensors)
