"""Sampling images at points between pixels, on arrays.

Along each axis a point lies between a few pixels (its taps), each with a weight that is a
polynomial in the distance from the first; the sample is the sum over all combinations of taps.
Derivatives in the point's coordinates are the same sums with the polynomials' derivatives, so
`Taps` takes an order of differentiation for each axis.

Half precision is rounded at every step, as PyTorch does here. Rules for points outside follow
PyTorch's too (aten/src/ATen/native/GridSampler.h).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pellucid.ops.nn.kernels_interpolation import cubic_weights

_BLOCK_BYTES = 1 << 19
_CUBIC = -0.75
_POLYNOMIALS = {
    "bilinear": ((-1, 1), (1, 0)),
    "bicubic": (
        (_CUBIC, -2 * _CUBIC, _CUBIC, 0),
        (_CUBIC + 2, -(_CUBIC + 3), 0, 1),
        (-(_CUBIC + 2), 2 * _CUBIC + 3, -_CUBIC, 0),
        (-_CUBIC, _CUBIC, 0, 0),
    ),
}
"""A tap's weight as a polynomial in the distance from the pixel before, highest power first."""


class Sampling(NamedTuple):
    """How to sample: "bilinear", "nearest" or "bicubic"; "zeros", "border" or "reflection"."""

    mode: str
    padding: str
    align_corners: bool


class Taps(NamedTuple):
    """Along one axis: pixels (taps, points), weights (taps, points), and which lie inside."""

    pixels: np.ndarray
    weights: np.ndarray
    inside: np.ndarray | None


def _reflected(x: np.ndarray, size: int, align_corners: bool) -> tuple[np.ndarray, np.ndarray]:
    """`x` thrown back at the image's edges until it is inside, and the sign of d result / d x."""
    low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
    if span == 0:
        return np.zeros_like(x), np.zeros_like(x)
    kind = x.dtype.type
    away = x - kind(low)
    sign = np.where(away < 0, kind(-1), kind(1))
    away = np.abs(away)
    rest, odd = np.fmod(away, kind(span)), np.floor(away / kind(span)) % 2 == 1
    return np.where(odd, kind(span) - rest, rest) + kind(low), np.where(odd, -sign, sign)


def _padded(x: np.ndarray, size: int, how: Sampling) -> tuple[np.ndarray, np.ndarray | float]:
    """Coordinates after padding, and the factor by which their derivatives change."""
    if how.padding == "zeros":
        return x, 1.0
    factor: np.ndarray | float = 1.0
    kind = x.dtype.type
    if how.padding == "reflection":
        x, factor = _reflected(x, size, how.align_corners)
    free = (x > 0) & (x < size - 1)
    return np.fmin(np.fmax(x, kind(0)), kind(size - 1)), free * factor


def _pixels(x: np.ndarray) -> np.ndarray:
    """Whole numbers as indices; what no index can hold (infinity, nan) lies far outside."""
    near = np.abs(x) < 2**30
    return np.where(near, x, -(2**30)).astype(np.intp)


def _weights(mode: str, apart: np.ndarray, order: int) -> np.ndarray:
    if mode == "bicubic" and not order:
        return cubic_weights(apart)
    rows = [np.polyder(np.asarray(row, np.float64), order) for row in _POLYNOMIALS[mode]]
    return np.stack([np.polyval(row.astype(apart.dtype), apart) for row in rows])


def taps(x: np.ndarray, size: int, how: Sampling, order: int) -> Taps:
    """The taps of points `x`, coordinates from -1 to 1 along an axis of `size` pixels."""
    one, half = x.dtype.type(1), x.dtype.type(0.5)
    slope = (size - how.align_corners) / 2
    x = (x + one) * x.dtype.type(slope)
    if not how.align_corners:
        x = x - half
    factor: np.ndarray | float = 1.0
    if how.mode != "bicubic":
        x, factor = _padded(x, size, how)
    if how.mode == "nearest":
        pixels = _pixels(np.rint(x))[None]
        weights = np.full(pixels.shape, 0 if order else 1, x.dtype)
    else:
        before = np.floor(x)
        weights = _weights(how.mode, x - before, order)
        if order:
            weights = (weights * (slope * factor) ** order).astype(x.dtype, copy=False)
        first, count = (-1, 4) if how.mode == "bicubic" else (0, 2)
        pixels = _pixels(before) + np.arange(first, first + count)[:, None]
        if how.mode == "bicubic" and how.padding != "zeros":
            pixels = _pixels(_padded(pixels.astype(x.dtype), size, how)[0])
    inside = (pixels >= 0) & (pixels < size)
    return Taps(pixels, weights, None if inside.all() else inside)


def _combinations(
    sizes: tuple[int, ...], grid: np.ndarray, how: Sampling, order: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of the pixel table and weights of all points, for each combination of taps.

    `grid` is (N, P, axes), its last axis innermost first. The table's last row stands for all
    pixels outside.
    """
    batch, count = grid.shape[:2]
    along = [
        taps(np.ascontiguousarray(grid[..., -1 - axis]).reshape(-1), size, how, order[axis])
        for axis, size in enumerate(sizes)
    ]
    pixels = math.prod(sizes)
    images = np.repeat(np.arange(batch) * pixels, count)
    for chosen in itertools.product(*[range(len(each.pixels)) for each in along]):
        rows: np.ndarray | int = 0
        weights: np.ndarray | int = 1
        outside: np.ndarray | None = None
        for size, each, tap in zip(sizes, along, chosen, strict=True):
            rows = rows * size + each.pixels[tap]
            weights = weights * each.weights[tap]
            if each.inside is not None:
                beyond = ~each.inside[tap]
                outside = beyond if outside is None else outside | beyond
        rows = rows + images
        if outside is not None:
            rows[outside] = batch * pixels
        yield rows, np.asarray(weights)


def sample(
    x: np.ndarray, grid: np.ndarray, how: Sampling, order: tuple[int, ...], out: np.ndarray
) -> None:
    """Write samples of images (N, C, *S) at points (N, *P, axes) into (N, C, *P)."""
    batch, channels = x.shape[:2]
    sizes = x.shape[2:]
    pixels = math.prod(sizes)
    table = np.zeros((batch * pixels + 1, channels), x.dtype)
    table[:-1].reshape(batch, pixels, channels)[:] = x.reshape(batch, channels, pixels).swapaxes(
        1, 2
    )
    points = grid.reshape(batch, math.prod(grid.shape[1:-1]), grid.shape[-1])
    result = np.zeros((batch * points.shape[1], channels), x.dtype)
    step = max(1, _BLOCK_BYTES // max(result[:1].nbytes, 1))
    scratch = np.empty_like(result[:step])
    for rows, weights in _combinations(sizes, points, how, order):
        for start in range(0, len(result), step):
            target = result[start : start + step]
            part = scratch[: len(target)]
            np.take(table, rows[start : start + step], axis=0, out=part, mode="clip")
            part *= weights[start : start + step, None]
            target += part
    out[:] = result.reshape(batch, points.shape[1], channels).swapaxes(1, 2).reshape(out.shape)


def spread(
    grad: np.ndarray, grid: np.ndarray, how: Sampling, order: tuple[int, ...], out: np.ndarray
) -> None:
    """The transpose of `sample` in the images: write (N, C, *S), made of gradients (N, C, *P)."""
    batch, channels = grad.shape[:2]
    sizes = out.shape[2:]
    length = batch * math.prod(sizes)
    points = grid.reshape(batch, math.prod(grid.shape[1:-1]), grid.shape[-1])
    found = list(_combinations(sizes, points, how, order))
    rows = np.concatenate([each for each, _ in found])
    weights = np.stack([each for _, each in found])
    for channel in range(channels):
        pulls = weights * grad[:, channel].reshape(1, -1)
        sums = np.bincount(
            rows, pulls.reshape(-1).astype(np.float64, copy=False), minlength=length + 1
        )[:-1]
        out[:, channel] = sums.reshape(batch, *sizes)
