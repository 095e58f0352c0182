"""Random numbers and patch masks of a training step, as silc draws them (core/include/silc/random.h, Progress::random) and as
the published code makes masks from them: loader.py of iBOT, masking.py and collate.py of DINOv2.
"""

import math

import torch


class Random:
    """Philox 4x32 with 10 rounds (Salmon et al. 2011), keyed and counted as in random.h."""

    MASK = 0xFFFFFFFF

    def __init__(self, seed, stream, index, step):
        self.key = [seed & self.MASK, (seed >> 32) ^ (stream * 0x9E3779B9 & self.MASK)]
        self.counter = [0, step, index & self.MASK, index >> 32]
        self.block = []

    def bits(self):
        if not self.block:
            counter, key = list(self.counter), list(self.key)
            for _ in range(10):
                first, second = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
                counter = [
                    second >> 32 ^ counter[1] ^ key[0],
                    second & self.MASK,
                    first >> 32 ^ counter[3] ^ key[1],
                    first & self.MASK,
                ]
                key = [key[0] + 0x9E3779B9 & self.MASK, key[1] + 0xBB67AE85 & self.MASK]
            self.counter[0] += 1
            self.block = counter
        return self.block.pop(0)

    def uniform(self, low=0.0, high=1.0):
        return low + (high - low) * ((self.bits() >> 8) * 2.0**-24)

    def below(self, bound):
        return self.bits() * bound >> 32

    def shuffle(self, values):
        for last in range(len(values), 1, -1):
            other = self.below(last)
            values[last - 1], values[other] = values[other], values[last - 1]


OBJECTIVE_STREAM = 5
COUNT, ORDER, BLOCKS, SCATTER = range(4)


def draw(seed, step, purpose, sample):
    return Random(seed, OBJECTIVE_STREAM, purpose << 32 | sample, step)


def block_mask(random, height, width, count, min_area):
    """ImageFolderMask of iBOT and MaskingGenerator of DINOv2."""
    mask = torch.zeros(height, width, dtype=torch.bool)
    masked = 0
    while masked < count:
        room = count - masked
        delta = 0
        for _ in range(10):
            area = random.uniform(min_area, room)
            aspect = math.exp(random.uniform(math.log(0.3), math.log(1 / 0.3)))
            h, w = int(round(math.sqrt(area * aspect))), int(round(math.sqrt(area / aspect)))
            if w < width and h < height:
                top, left = random.below(height - h + 1), random.below(width - w + 1)
                fresh = h * w - int(mask[top : top + h, left : left + w].sum())
                if 0 < fresh <= room:
                    mask[top : top + h, left : left + w] = True
                    delta = fresh
            if delta > 0:
                break
        if delta == 0:
            break
        masked += delta
    return mask.flatten()


def ibot_masks(seed, step, samples, side, probability, ratio):
    masks = []
    for sample in range(samples):
        random = draw(seed, step, COUNT, sample)
        masked = random.uniform() < probability
        count = int(side * side * random.uniform(*ratio)) if masked else 0
        masks.append(block_mask(draw(seed, step, BLOCKS, sample), side, side, count, (side // 3) ** 2))
    return torch.stack(masks)


def dinov2_masks(seed, step, samples, side, probability, ratio):
    masked = int(samples * probability)
    bounds = torch.linspace(*ratio, masked + 1, dtype=torch.float64)
    counts = [0] * samples
    for sample in range(masked):
        share = draw(seed, step, COUNT, sample).uniform(float(bounds[sample]), float(bounds[sample + 1]))
        counts[sample] = int(side * side * share)
    draw(seed, step, ORDER, 0).shuffle(counts)
    return torch.stack([block_mask(draw(seed, step, BLOCKS, s), side, side, counts[s], 4) for s in range(samples)])


def random_masks(seed, step, samples, patches, ratio):
    masks = torch.zeros(samples, patches, dtype=torch.bool)
    for sample in range(samples):
        order = list(range(patches))
        draw(seed, step, SCATTER, sample).shuffle(order)
        masks[sample, order[: round(patches * ratio)]] = True
    return masks
