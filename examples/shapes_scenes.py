"""Generated scenes: discs, boxes, triangles and rings on a noisy ground, with their masks.

Scene number `i` of seed `s` is the same on every machine and in every run.
"""

import numpy as np

CLASSES = ("background", "disc", "box", "triangle", "ring")
SIZE = 96
"""Pixels of a side."""


def _shape(kind, x, y, radius, turn, rows, columns):
    """Which pixels a shape covers, (SIZE, SIZE) bool."""
    c, s = np.cos(turn), np.sin(turn)
    u, v = (columns - x) * c + (rows - y) * s, (rows - y) * c - (columns - x) * s
    far = np.hypot(u, v)
    if kind == 1:
        return far <= radius
    if kind == 2:
        return (np.abs(u) <= radius) & (np.abs(v) <= radius * 0.7)
    if kind == 3:
        return (v <= radius * 0.6) & (v >= np.abs(u) * 1.5 - radius)
    return (far <= radius) & (far >= radius * 0.55)


def scene(seed, number):
    """image (3, SIZE, SIZE) float32 from 0 to 1, boxes (L, 4), labels (L,), masks (L, SIZE, SIZE).

    Boxes end where the last pixel ends: x2 - x1 is the width in pixels.
    """
    draw = np.random.default_rng([seed, number])
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    ground = draw.uniform(0.2, 0.5, 3)[:, None, None]
    image = ground + draw.normal(0, 0.05, (3, SIZE, SIZE))
    masks, labels = [], []
    for _ in range(draw.integers(1, 4)):
        kind = int(draw.integers(1, len(CLASSES)))
        radius = draw.uniform(9, 22)
        x, y = draw.uniform(radius * 0.7, SIZE - radius * 0.7, 2)
        mask = _shape(kind, x, y, radius, draw.uniform(0, np.pi), rows, columns)
        colour = draw.uniform(0.5, 1.0, 3)[:, None, None]
        image = np.where(mask, colour + draw.normal(0, 0.05, image.shape), image)
        for earlier in masks:
            earlier &= ~mask  # what lies in front hides what is behind
        masks.append(mask)
        labels.append(kind)
    seen = [place for place, mask in enumerate(masks) if mask.sum() >= 40]
    kept = np.stack([masks[place] for place in seen]) if seen else np.zeros((0, SIZE, SIZE), bool)
    boxes = np.zeros((len(seen), 4), np.float32)
    for place, mask in enumerate(kept):
        ys, xs = np.nonzero(mask)
        boxes[place] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    return (
        np.clip(image, 0, 1).astype(np.float32),
        boxes,
        np.array([labels[place] for place in seen], np.int64),
        kept.astype(np.uint8),
    )
