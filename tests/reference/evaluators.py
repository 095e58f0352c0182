"""Expected metrics of the evaluators, computed in other ways than silc does: by sorting, by resizing with
torch.nn.functional.interpolate, and by counting pixels one by one.

Needs Python with torch, numpy and safetensors. Writes tests/data/evaluators.safetensors.
"""

import numpy as np
import torch
import torch.nn.functional as F
from nn_common import save

IMAGES, CAPTIONS, CLASSES, TEMPLATES, WIDTH = 37, 3, 8, 2, 6
GRID_HEIGHT, GRID_WIDTH = 3, 4
HEIGHT, WIDE = 14, 18
IGNORE = 255


def unit(shape):
    return F.normalize(torch.randn(shape), dim=-1)


def class_weights(prompts):
    """open_clip's build_zero_shot_classifier: mean over templates of normalised embeddings, normalised."""
    return F.normalize(F.normalize(prompts, dim=-1).mean(dim=1), dim=-1)


def accuracies(images, classes, labels):
    """acc1, acc5 and mean_per_class_recall, as CLIP_benchmark has them (topk; balanced accuracy)."""
    top = (images @ classes.T).topk(5, dim=1).indices.numpy()
    labels = labels.numpy()
    hit1 = [labels[i] == top[i, 0] for i in range(len(labels))]
    hit5 = [labels[i] in top[i] for i in range(len(labels))]
    recalls = [np.mean([hit1[i] for i in range(len(labels)) if labels[i] == c]) for c in sorted(set(labels))]
    return np.mean(hit1), np.mean(hit5), np.mean(recalls)


def recalls(images, texts, owner):
    """Recall at 1, 5 and 10 in both directions, from fully sorted lists."""
    scores = (texts.double() @ images.double().T).numpy()
    by_text = np.argsort(-scores, axis=1, kind="stable")
    by_image = np.argsort(-scores.T, axis=1, kind="stable")
    found = []
    for k in (1, 5, 10):
        found.append(np.mean([owner[t] in by_text[t, :k] for t in range(len(owner))]))
    for k in (1, 5, 10):
        found.append(np.mean([any(owner[t] == i for t in by_image[i, :k]) for i in range(len(images))]))
    return found


def segmentation(patches, classes, masks):
    """miou and pixel_accuracy, pixel by pixel."""
    scores = patches @ classes.T
    scores = scores.permute(0, 2, 1).reshape(len(patches), CLASSES, GRID_HEIGHT, GRID_WIDTH)
    prediction = F.interpolate(scores, size=masks.shape[1:], mode="bilinear", align_corners=False).argmax(1)
    both, truth, predicted = np.zeros(CLASSES), np.zeros(CLASSES), np.zeros(CLASSES)
    for t, p in zip(masks.flatten().tolist(), prediction.flatten().tolist()):
        if t == IGNORE:
            continue
        truth[t] += 1
        predicted[p] += 1
        both[t] += t == p
    ious = [both[c] / (truth[c] + predicted[c] - both[c]) for c in range(CLASSES) if truth[c] + predicted[c] > 0]
    return np.mean(ious), both.sum() / truth.sum()


def main():
    torch.manual_seed(5)
    prompts = unit((CLASSES, TEMPLATES, WIDTH))
    classes = class_weights(prompts)
    labels = torch.randint(0, CLASSES - 1, (IMAGES,))  # the last class never occurs
    images = F.normalize(0.6 * classes[labels] + unit((IMAGES, WIDTH)), dim=-1)
    owner = torch.arange(IMAGES).repeat_interleave(CAPTIONS)
    texts = F.normalize(images[owner] + 2.5 * unit((IMAGES * CAPTIONS, WIDTH)), dim=-1)
    masks = torch.randint(0, CLASSES - 1, (IMAGES, 2, 3)).repeat_interleave(7, 1).repeat_interleave(6, 2)
    cells = masks[:, [2, 7, 11]][:, :, [2, 7, 11, 16]].reshape(IMAGES, -1)
    patches = F.normalize(0.7 * classes[cells] + unit((IMAGES, GRID_HEIGHT * GRID_WIDTH, WIDTH)), dim=-1)
    masks[torch.rand(masks.shape) < 0.2] = IGNORE
    assert masks.shape[1:] == (HEIGHT, WIDE)
    save(
        "evaluators",
        {
            "prompts": prompts,
            "labels": labels,
            "images": images,
            "texts": texts,
            "patches": patches,
            "masks": masks,
            "classification": torch.tensor(accuracies(images, classes, labels), dtype=torch.float32),
            "recalls": torch.tensor(recalls(images, texts, owner.numpy()), dtype=torch.float32),
            "segmentation": torch.tensor(segmentation(patches, classes, masks), dtype=torch.float32),
        },
    )


if __name__ == "__main__":
    main()
