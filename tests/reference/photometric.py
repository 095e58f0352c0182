"""Expected values of tests/engine/photometric_test.cpp: the functions of torchvision/transforms/_functional_tensor.py on
float tensors, written out.
"""

import nn_common
import torch
import torch.nn.functional as F


def grey(x):
    return 0.2989 * x[0:1] + 0.587 * x[1:2] + 0.114 * x[2:3]


def blend(x, other, factor):
    return (factor * x + (1 - factor) * other).clamp(0, 1)


def brightness(x, factor):
    return blend(x, torch.zeros_like(x), factor)


def contrast(x, factor):
    return blend(x, grey(x).mean(), factor)


def saturation(x, factor):
    return blend(x, grey(x), factor)


def rgb_to_hsv(x):
    r, g, b = x.unbind(0)
    highest, lowest = x.max(0).values, x.min(0).values
    colourless = highest == lowest
    chroma = highest - lowest
    ones = torch.ones_like(highest)
    s = chroma / torch.where(colourless, ones, highest)
    divisor = torch.where(colourless, ones, chroma)
    rc, gc, bc = (highest - r) / divisor, (highest - g) / divisor, (highest - b) / divisor
    hr = (highest == r) * (bc - gc)
    hg = ((highest == g) & (highest != r)) * (2 + rc - bc)
    hb = ((highest != g) & (highest != r)) * (4 + gc - rc)
    return torch.fmod((hr + hg + hb) / 6 + 1, 1), s, highest


def hsv_to_rgb(h, s, v):
    sector = torch.floor(6 * h)
    f = 6 * h - sector
    sector = sector.to(torch.int64) % 6
    p, q, t = ((v * (1 - s * part)).clamp(0, 1) for part in (torch.ones_like(f), f, 1 - f))
    table = torch.stack([torch.stack(c) for c in ((v, q, p, p, t, v), (t, v, v, q, p, p), (p, p, t, v, v, q))])
    return torch.stack([c.gather(0, sector[None])[0] for c in table])


def hue(x, turn):
    h, s, v = rgb_to_hsv(x)
    return hsv_to_rgb((h + turn) % 1, s, v)


def gaussian_blur(x, sigma, radius):
    places = torch.linspace(-radius, radius, 2 * radius + 1)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    weights = torch.outer(kernel, kernel).expand(3, 1, -1, -1)
    return F.conv2d(F.pad(x[None], [radius] * 4, mode="reflect"), weights, groups=3)[0]


def solarize(x):
    return torch.where(x >= 0.5, 1 - x, x)


def everything(x):
    """Hue, saturation, brightness, contrast, then the rest."""
    x = contrast(brightness(saturation(hue(x, 0.07), 0.9), 1.2), 0.8)
    return solarize(gaussian_blur(grey(x).expand(3, -1, -1), 0.9, 3))


def changed(function, *arguments):
    return 2 * function((picture + 1) / 2, *arguments) - 1


torch.manual_seed(7)
picture = 2 * torch.rand(3, 7, 7) - 1
# Grey, black, white, the six pure colours and ties of two channels: where the cases of the hue meet.
picture[:, 0, 0] = 0.3
special = [[-1, -1, -1], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1]]
for i, colour in enumerate(special):
    picture[:, 1, i] = torch.tensor(colour, dtype=torch.float)
picture[:, 2, 0] = torch.tensor([-1.0, 1, 1])
picture[:, 2, 1] = torch.tensor([1.0, -1, 1])
picture[:, 2, 2] = torch.tensor([0.2, -0.4, 0.2])

tensors = {
    "picture": picture,
    "brightness.1.4": changed(brightness, 1.4),
    "brightness.0.6": changed(brightness, 0.6),
    "contrast.1.4": changed(contrast, 1.4),
    "contrast.0.6": changed(contrast, 0.6),
    "saturation.1.2": changed(saturation, 1.2),
    "saturation.0.0": changed(saturation, 0.0),
    "hue.0.1": changed(hue, 0.1),
    "hue.-0.1": changed(hue, -0.1),
    "hue.0.5": changed(hue, 0.5),
    "hue.-0.5": changed(hue, -0.5),
    "greyscale": changed(lambda x: grey(x).expand(3, -1, -1)),
    "blur.0.4": changed(gaussian_blur, 0.4, 2),
    "blur.1.7": changed(gaussian_blur, 1.7, 6),
    "solarize": changed(solarize),
    "all": changed(everything),
}
nn_common.save("photometric", tensors)
