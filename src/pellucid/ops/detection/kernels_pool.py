"""RoI Pooling on arrays (Girshick 2015, "Fast R-CNN", section 2.1), and its kin R-FCN's averages.

A box is rounded to whole cells, and its bins, from floor(p · bin) to ceil((p + 1) · bin), to whole
cells again; bins overlap by a cell where the division leaves a remainder. Rounding is C's `round`:
halves away from zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pellucid.ops.detection import compiled

_LOWEST = -float(np.finfo(np.float32).max)
"""Where the search for a maximum starts, for every dtype: what lies below is not seen."""
_FAR = 1 << 40


class Quantised(NamedTuple):
    """Boxes in whole cells, before and after clipping to the map. (K,) and (K, bins), int64."""

    start: np.ndarray
    end: np.ndarray
    first: np.ndarray
    last: np.ndarray
    """Bins from cell `first` to before cell `last`; empty where they meet."""


def round_half_away(values: np.ndarray) -> np.ndarray:
    """C's `round`: 2.5 is 3 and -2.5 is -3, where NumPy's goes to the even neighbour."""
    whole = np.trunc(values)
    return whole + np.sign(values) * (np.abs(values - whole) >= 0.5)


def quantise(
    boxes: np.ndarray, axis: int, scale: float, bins: int, limit: int, closed: bool
) -> Quantised:
    """The bins of (K, 5) boxes along `axis` (0 for x, 1 for y), clipped to [0, limit].

    `closed` counts the last cell too: a box from 2 to 4 has three cells, otherwise two.
    """
    d = boxes.dtype.type
    with np.errstate(over="ignore"):
        ends = boxes[:, [1 + axis, 3 + axis]] * d(scale)
    ends = np.clip(round_half_away(ends.astype(np.float64)), -_FAR, _FAR).astype(np.int64)
    start, end = ends[:, 0], ends[:, 1]
    side = np.maximum(end - start + closed, 1).astype(boxes.dtype)
    size = (side / d(bins))[:, None]
    place = np.arange(bins + 1, dtype=boxes.dtype)
    first = np.floor(place[:-1] * size).astype(np.int64) + start[:, None]
    last = np.ceil(place[1:] * size).astype(np.int64) + start[:, None]
    return Quantised(start, end, np.clip(first, 0, limit), np.clip(last, 0, limit))


def pool(
    features: np.ndarray,
    boxes: np.ndarray,
    scale: float,
    out: np.ndarray,
    choices: np.ndarray,
) -> None:
    """The largest cell of each bin: (N, C, H, W) and (K, 5) give `out` (K, C, P, Q), and where it
    lies in the flattened map. Empty bins give 0 and -1. The first of equals wins; NaN never does.
    """
    height, width = features.shape[2:]
    p, q = out.shape[2:]
    y = quantise(boxes, 1, scale, p, height, closed=True)
    x = quantise(boxes, 0, scale, q, width, closed=True)
    if compiled.suits(out, features):
        cells = [np.ascontiguousarray(np.stack(axis[2:], axis=-1)) for axis in (y, x)]
        compiled.kernels().largest(features, compiled.images(boxes), *cells, out, choices)
        return
    maps = np.ascontiguousarray(features.transpose(0, 2, 3, 1))
    channels = maps.shape[3]
    best = np.empty((p, q, channels), out.dtype)
    place = np.empty((p, q, channels), np.int32)
    seen, won = np.empty_like(best), np.empty_like(place)
    for k, image in enumerate(boxes[:, 0].astype(np.int64)):
        best.fill(_LOWEST)
        place.fill(0)
        top, bottom, left, right = y.first[k], y.last[k], x.first[k], x.last[k]
        high = max(int((bottom - top).max(initial=0)), 0)
        wide = max(int((right - left).max(initial=0)), 0)
        # Tap (i, j) is the cell i below and j right of each bin's first; in bins with fewer cells
        # the last one again, which wins nothing. Taps count from 1, so the larger number that won
        # is the later one.
        for number in range(high * wide):
            rows = np.clip(np.minimum(top + number // wide, bottom - 1), 0, None)
            columns = np.clip(np.minimum(left + number % wide, right - 1), 0, None)
            np.copyto(seen, maps[image, rows[:, None], columns])
            np.multiply(np.greater(seen, best), np.int32(number + 1), out=won)
            np.maximum(place, won, out=place)
            np.fmax(best, seen, out=best)
        tap = place - 1
        cell = (top[:, None, None] + tap // max(wide, 1)) * width
        cell += left[:, None] + tap % max(wide, 1)
        empty = (bottom <= top)[:, None] | (right <= left)
        best[empty] = 0
        out[k] = best.transpose(2, 0, 1)
        cell[empty] = -1
        choices[k] = np.where(place > 0, cell, -1).transpose(2, 0, 1)


def _flat(choices: np.ndarray, boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Where the chosen cells lie in the flattened (N, C, H, W)."""
    images = boxes[:, 0].astype(np.int64)[:, None] * shape[1] + np.arange(shape[1])
    return choices + images[:, :, None, None] * (shape[2] * shape[3])


def spread(grad: np.ndarray, choices: np.ndarray, boxes: np.ndarray, out: np.ndarray) -> None:
    """Each bin's value at its chosen cell, summed into `out` (N, C, H, W)."""
    if compiled.suits(grad, out):
        compiled.kernels().spread(grad, choices, compiled.images(boxes), out)
        return
    chosen = choices >= 0
    places = _flat(choices, boxes, out.shape)[chosen]
    out[...] = np.bincount(places, grad[chosen], out.size).reshape(out.shape)


def gather(features: np.ndarray, choices: np.ndarray, boxes: np.ndarray, out: np.ndarray) -> None:
    """The value of each chosen cell, 0 where there is none: the transpose of `spread`."""
    places = np.where(choices >= 0, _flat(choices, boxes, features.shape), 0)
    found = features.reshape(-1)[places] if places.size else np.zeros(choices.shape)
    out[...] = np.where(choices >= 0, found, 0)
