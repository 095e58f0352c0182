"""Expected values of tests/engine, from PyTorch itself. Run: python tests/reference/engine.py"""

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode


def numbers(tensor):
    return ", ".join(f"{value:.9g}" for value in tensor.flatten().tolist())


def adamw():
    """Two parameters; the second has no gradient in the first step and does not decay (a vector)."""
    matrix = torch.nn.Parameter(torch.linspace(-1, 1, 6).reshape(2, 3))
    vector = torch.nn.Parameter(torch.linspace(0.5, 1, 3))
    optimizer = torch.optim.AdamW(
        [{"params": [matrix], "weight_decay": 0.1}, {"params": [vector], "weight_decay": 0.0}],
        lr=1e-2,
        betas=(0.9, 0.98),
        eps=1e-6,
    )
    for step in range(5):
        optimizer.zero_grad(set_to_none=True)
        matrix.grad = torch.cos(torch.arange(6.0) + step).reshape(2, 3)
        if step > 0:
            vector.grad = torch.sin(torch.arange(3.0) + step)
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 / (step + 1)
        optimizer.step()
    print("adamw matrix:", numbers(matrix.detach()))
    print("adamw vector:", numbers(vector.detach()))


def adamw_groups():
    """The same with scaled learning rates (0.1 and 2) and weight decay (3)."""
    matrix = torch.nn.Parameter(torch.linspace(-1, 1, 6).reshape(2, 3))
    vector = torch.nn.Parameter(torch.linspace(0.5, 1, 3))
    groups = [{"params": [matrix], "weight_decay": 0.3}, {"params": [vector], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.98), eps=1e-6)
    for step in range(5):
        optimizer.zero_grad(set_to_none=True)
        matrix.grad = torch.cos(torch.arange(6.0) + step).reshape(2, 3)
        if step > 0:
            vector.grad = torch.sin(torch.arange(3.0) + step)
        for group, scale in zip(optimizer.param_groups, (0.1, 2)):
            group["lr"] = scale * 1e-2 / (step + 1)
        optimizer.step()
    print("adamw groups matrix:", numbers(matrix.detach()))
    print("adamw groups vector:", numbers(vector.detach()))


def count(function):
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def flops():
    def linear(frozen):
        x = torch.randn(5, 7, 11, requires_grad=not frozen)
        w = torch.randn(13, 11, requires_grad=True)
        b = torch.randn(13, requires_grad=True)
        F.linear(x, w, b).sum().backward()

    def convolution(input_gradient):
        x = torch.randn(2, 3, 16, 16, requires_grad=input_gradient)
        w = torch.randn(8, 3, 3, 3, requires_grad=True)
        F.conv2d(x, w, stride=2, padding=1).sum().backward()

    def batched():
        a = torch.randn(4, 5, 6, requires_grad=True)
        b = torch.randn(4, 6, 7, requires_grad=True)
        torch.einsum("bij,bjk->bik", a, b).sum().backward()

    def attention():
        # The kernel for CUDA stands for that of the CPU, which FlopCounterMode does not know.
        q, k, v = (2, 3, 10, 8), (2, 3, 12, 8), (2, 3, 12, 8)
        from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

        return sdpa_flop_count(q, k, v) + sdpa_backward_flop_count(q, q, k, v)

    def depthwise():
        x = torch.randn(2, 6, 9, 9, requires_grad=True)
        w = torch.randn(6, 1, 7, 7, requires_grad=True)
        F.conv2d(x, w, padding=3, groups=6).sum().backward()

    print("flops linear:", count(lambda: linear(False)))
    print("flops linear, input without gradient:", count(lambda: linear(True)))
    print("flops convolution:", count(lambda: convolution(True)))
    print("flops convolution, input without gradient:", count(lambda: convolution(False)))
    print("flops batched product:", count(batched))
    print("flops attention:", attention())
    # The gradient by the weight counts here as if there were no groups.
    print("flops depthwise convolution:", count(depthwise))


def resize():
    """A picture of 7 × 5 pixels, its crop of 6 × 4 at (1, 0), to 3 × 3."""
    picture = (torch.arange(7 * 5 * 3) * 37 % 256).reshape(5, 7, 3).permute(2, 0, 1).float()
    crop = picture[None, :, 0:4, 1:7]
    small = F.interpolate(crop, size=(3, 3), mode="bilinear", antialias=True, align_corners=False)
    print("resize:", numbers(small / 127.5 - 1))


def clip():
    a = torch.nn.Parameter(torch.zeros(2))
    b = torch.nn.Parameter(torch.zeros(1))
    a.grad, b.grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
    norm = torch.nn.utils.clip_grad_norm_([a, b], 1.0)
    print("clip:", float(norm), numbers(a.grad), numbers(b.grad))


adamw()
adamw_groups()
flops()
resize()
clip()
