"""Resampling on arrays, one dimension at a time: each output is a weighted sum of a few inputs.

`taps(size, out_size, rule)` lists, for each output, which inputs and with which weights. Where the
number of taps is fixed (nearest, linear, cubic) the inputs are taken tap by tap, and their indices
rise with the output's, so the transpose sums runs. Antialiasing has as many taps as inputs fall
under the widened kernel: it is a matrix product.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Rule(NamedTuple):
    """How one dimension is resampled: "nearest", "nearest-exact", "linear", "cubic" or "lanczos".

    `scale` is the factor given by the user, or 0 to take the ratio of the sizes.
    """

    mode: str
    align_corners: bool
    scale: float
    antialias: bool
    kind: str
    """Name of the NumPy dtype in which coordinates are computed."""


def _step(size: int, out_size: int, rule: Rule) -> np.floating:
    """Distance between outputs in units of inputs."""
    d = np.dtype(rule.kind).type
    if rule.align_corners:
        return d(size - 1) / d(out_size - 1) if out_size > 1 else d(0)
    return d(1.0 / rule.scale) if rule.scale > 0 else d(size) / d(out_size)


@lru_cache(maxsize=256)
def taps(size: int, out_size: int, rule: Rule) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs (O, T) of each output, and their weights (O, T); None for the weight 1."""
    places = np.arange(out_size)
    if rule.mode.startswith("nearest"):
        return _nearest(size, out_size, rule)[:, None], None
    d = np.dtype(rule.kind).type
    step = _step(size, out_size, rule)
    if rule.align_corners:
        source = step * places.astype(d)
    else:
        source = step * (places.astype(d) + d(0.5)) - d(0.5)
    if rule.mode == "linear":
        source = np.maximum(source, d(0))
        first = np.minimum(source.astype(np.int64), size - 1)
        part = np.clip(source - first.astype(d), d(0), d(1))
        second = np.minimum(first + 1, size - 1)
        return np.stack([first, second], 1), np.stack([d(1) - part, part], 1)
    first = np.minimum(np.floor(source).astype(np.int64), size - 1)
    part = np.clip(source - first.astype(d), d(0), d(1))
    indices = np.clip(first[:, None] + np.arange(-1, 3), 0, size - 1)
    return indices, np.stack(cubic_weights(part, -0.75), 1)


def _nearest(size: int, out_size: int, rule: Rule) -> np.ndarray:
    places = np.arange(out_size)
    if rule.mode == "nearest-exact":
        step = _step(size, out_size, rule)
        found = np.floor((places + np.float32(0.5)).astype(step.dtype) * step)
    elif out_size == size:
        return places
    elif out_size == 2 * size:
        return places >> 1
    else:
        step = _step(size, out_size, rule)
        found = np.floor(places.astype(step.dtype) * step)
    return np.minimum(found.astype(np.int64), size - 1)


def cubic_weights(t: np.ndarray, a: float) -> list[np.ndarray]:
    """Weights of the four inputs around a point at distance `t` from the second (Keys 1981)."""

    def near(x: np.ndarray) -> np.ndarray:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: np.ndarray) -> np.ndarray:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


_SUPPORT = {"linear": 2, "cubic": 4, "lanczos": 6}


def _filter(mode: str, x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    if mode == "linear":
        return np.maximum(1 - x, 0)
    if mode == "lanczos":
        return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)
    a = -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


@lru_cache(maxsize=64)
def antialiasing(size: int, out_size: int, rule: Rule) -> np.ndarray:
    """The matrix (O, S) of a kernel widened to the distance between outputs."""
    step = float(_step(size, out_size, rule))
    width = max(step, 1.0)
    support = _SUPPORT[rule.mode] * 0.5 * width
    matrix = np.zeros((out_size, size))
    for place in range(out_size):
        centre = step * (place + 0.5)
        first = max(int(centre - support + 0.5), 0)
        end = min(int(centre + support + 0.5), size)
        weights = _filter(rule.mode, (np.arange(first, end) - centre + 0.5) / width)
        total = weights.sum()
        matrix[place, first:end] = weights / total if total else weights
    return matrix.astype(rule.kind)


def resample(x: np.ndarray, axis: int, out_size: int, rule: Rule) -> np.ndarray:
    """`x` with dimension `axis` resampled to `out_size`."""
    size = x.shape[axis]
    if rule.antialias:
        matrix = antialiasing(size, out_size, rule)
        return np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
    indices, weights = taps(size, out_size, rule)
    if weights is None:
        return np.take(x, indices[:, 0], axis)
    along = [1] * x.ndim
    along[axis] = -1
    out = np.take(x, indices[:, 0], axis)
    out *= weights[:, 0].reshape(along).astype(x.dtype)
    for tap in range(1, indices.shape[1]):
        part = np.take(x, indices[:, tap], axis)
        part *= weights[:, tap].reshape(along).astype(x.dtype)
        out += part
    return out


def resample_transpose(grad: np.ndarray, axis: int, size: int, rule: Rule) -> np.ndarray:
    """The transpose of `resample`: gradients added up at the inputs that were used."""
    out_size = grad.shape[axis]
    if rule.antialias:
        matrix = antialiasing(size, out_size, rule)
        return np.moveaxis(np.moveaxis(grad, axis, -1) @ matrix, -1, axis)
    indices, weights = taps(size, out_size, rule)
    out = np.zeros((*grad.shape[:axis], size, *grad.shape[axis + 1 :]), grad.dtype)
    along = [1] * grad.ndim
    along[axis] = -1
    for tap in range(indices.shape[1]):
        part = grad
        if weights is not None:
            part = grad * weights[:, tap].reshape(along).astype(grad.dtype)
        run = indices[:, tap]
        starts = np.flatnonzero(np.diff(run, prepend=-1))
        if starts.size != run.size:
            part = np.add.reduceat(part, starts, axis)
        out[(slice(None),) * axis + (run[starts],)] += part
    return out


def scaled_size(size: int, scale: float) -> int:
    """The output's size for a factor."""
    return math.floor(size * scale)
