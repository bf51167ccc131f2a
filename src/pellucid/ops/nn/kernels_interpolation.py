"""Interpolation on arrays: an axis at a time, a product with a matrix of few entries a row.

An output position is a weighted sum of `taps` input positions, so an axis is described by two small
tables (taps, out_size): which positions, and their weights. The transpose of such a matrix has few
entries a row as well, which makes the gradient the same computation with other tables.

Positions and weights follow PyTorch's kernels (aten/src/ATen/native/UpSample.h and
cpu/UpSampleKernel.cpp); cubic weights are Keys' (1981), with a = -0.75, and a = -0.5 when
antialiased.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

_BLOCK_BYTES = 1 << 18
_CUBIC = -0.75
_CUBIC_ANTIALIASED = -0.5


class Axis(NamedTuple):
    """How one axis is resampled; the key under which its tables are kept.

    `scale` is output over input size where the caller gave it, else None. `single` asks for
    positions in float32, as PyTorch computes them for every dtype but float64.
    """

    kind: str  # nearest, nearest-exact, linear, cubic, and the antialiased ones: *-aa
    in_size: int
    out_size: int
    scale: float | None
    align_corners: bool
    single: bool
    transposed: bool = False

    @property
    def result_size(self) -> int:
        """How long the axis is afterwards."""
        return self.in_size if self.transposed else self.out_size

    def flipped(self) -> Axis:
        """The transpose, which resamples gradients."""
        return self._replace(transposed=not self.transposed)


class Tables(NamedTuple):
    """Input positions and weights of each output position, both (taps, out_size)."""

    positions: np.ndarray
    weights: np.ndarray


def _step(axis: Axis, real: type[np.floating]) -> np.floating:
    """Input positions per output position."""
    if axis.align_corners:
        return real(axis.in_size - 1) / real(axis.out_size - 1) if axis.out_size > 1 else real(0)
    if axis.scale is not None and axis.scale > 0:
        return real(1.0 / axis.scale)
    return real(axis.in_size) / real(axis.out_size)


def _sources(axis: Axis, real: type[np.floating]) -> np.ndarray:
    """Where each output position lies between input positions (pixel centres at .5)."""
    step, places = _step(axis, real), np.arange(axis.out_size).astype(real)
    if axis.align_corners:
        return step * places
    return step * (places + real(0.5)) - real(0.5)


def _nearest(axis: Axis, real: type[np.floating]) -> Tables:
    step, places = _step(axis, real), np.arange(axis.out_size).astype(real)
    if axis.kind == "nearest-exact":
        found = np.maximum(step * (places + real(0.5)) - real(0.5), real(0)) + real(0.5)
    else:
        found = step * places
    positions = np.minimum(np.floor(found.astype(np.float32)).astype(np.intp), axis.in_size - 1)
    return Tables(positions[None], np.ones((1, axis.out_size), real))


def _between(axis: Axis, real: type[np.floating]) -> tuple[np.ndarray, np.ndarray]:
    """The input position before each output position, and the distance from it (0 to 1)."""
    source = _sources(axis, real)
    if axis.kind == "linear" and not axis.align_corners:
        source = np.maximum(source, real(0))
    before = np.minimum(np.floor(source).astype(np.intp), axis.in_size - 1)
    return before, np.clip(source - before.astype(real), real(0), real(1))


def _linear(axis: Axis, real: type[np.floating]) -> Tables:
    before, apart = _between(axis, real)
    after = np.minimum(before + 1, axis.in_size - 1)
    return Tables(np.stack([before, after]), np.stack([real(1) - apart, apart]))


def cubic_weights(apart: np.ndarray, a: float = _CUBIC) -> np.ndarray:
    """The weights of the four positions around a point `apart` from the second: (4, *)."""
    a = apart.dtype.type(a)
    rest = 1 - apart
    far = [((a * x - 5 * a) * x + 8 * a) * x - 4 * a for x in (apart + 1, rest + 1)]
    near = [((a + 2) * x - (a + 3)) * x * x + 1 for x in (apart, rest)]
    return np.stack([far[0], near[0], near[1], far[1]])


def _cubic(axis: Axis, real: type[np.floating]) -> Tables:
    before, apart = _between(axis, real)
    positions = before + np.arange(-1, 3)[:, None]
    return Tables(np.clip(positions, 0, axis.in_size - 1), cubic_weights(apart))


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _keys(x: np.ndarray) -> np.ndarray:
    x, a = np.abs(x), x.dtype.type(_CUBIC_ANTIALIASED)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0)).astype(x.dtype)


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0).astype(x.dtype)


_FILTERS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "linear-aa": (2, _triangle),
    "cubic-aa": (4, _keys),
    "lanczos-aa": (6, _lanczos),
}


def _antialiased(axis: Axis, real: type[np.floating]) -> Tables:
    """A filter as wide as an output pixel: when the image shrinks, every input pixel counts."""
    taps, filter = _FILTERS[axis.kind]
    step, half = _step(axis, real), real(0.5)
    stretch = max(step, real(1))
    support = real(taps) * half * stretch
    centre = step * (np.arange(axis.out_size).astype(real) + half)
    low = np.maximum(np.trunc(centre - support + half).astype(np.intp), 0)
    high = np.minimum(np.trunc(centre + support + half).astype(np.intp), axis.in_size)
    counts = np.clip(high - low, 0, math.ceil(support) * 2 + 1)
    offsets = np.arange(max(int(counts.max(initial=1)), 1))[:, None]
    weights = filter(((offsets + low).astype(real) - centre + half) / stretch)
    weights[offsets >= counts] = 0
    total = weights.sum(axis=0, dtype=real)
    weights = np.divide(weights, total, out=weights, where=total != 0)
    return Tables(np.minimum(offsets + low, axis.in_size - 1), weights)


def _transpose(tables: Tables, size: int) -> Tables:
    """Tables of the transposed matrix, which has `size` rows."""
    columns = np.broadcast_to(np.arange(tables.positions.shape[1]), tables.positions.shape)
    used = tables.weights != 0
    rows, columns, weights = tables.positions[used], columns[used], tables.weights[used]
    order = np.lexsort((columns, rows))
    rows, columns, weights = rows[order], columns[order], weights[order]
    counts = np.bincount(rows, minlength=size)
    taps = np.arange(rows.size) - (np.cumsum(counts) - counts)[rows]
    shape = (max(int(counts.max(initial=1)), 1), size)
    positions, found = np.zeros(shape, np.intp), np.zeros(shape, weights.dtype)
    positions[taps, rows] = columns
    found[taps, rows] = weights
    positions = np.where(np.arange(shape[0])[:, None] < counts, positions, positions[:1])
    return Tables(positions, found)


@lru_cache(maxsize=256)
def tables(axis: Axis) -> Tables:
    """Positions and weights along an axis."""
    real = np.float32 if axis.single else np.float64
    if axis.transposed:
        return _transpose(tables(axis.flipped()), axis.in_size)
    if axis.kind.startswith("nearest"):
        return _nearest(axis, real)
    if axis.kind == "linear":
        return _linear(axis, real)
    return _cubic(axis, real) if axis.kind == "cubic" else _antialiased(axis, real)


def resample(
    x: np.ndarray, axes: dict[int, Axis], out: np.ndarray, rounded: np.dtype | None = None
) -> None:
    """Write `x`, resampled along each of `axes` (dimension to `Axis`), into `out`.

    Axes that shrink come first, then the innermost: steps along inner axes are the slow ones, and
    are taken while the array is small. Weights are rounded to the dtype `rounded`, if given.
    """
    order = sorted(axes, key=lambda d: (axes[d].result_size > x.shape[d], -d))
    for number, dimension in enumerate(order):
        shape = list(x.shape)
        shape[dimension] = axes[dimension].result_size
        last = number == len(order) - 1 and out.flags.c_contiguous
        target = out if last else np.empty(shape, x.dtype)
        along = tables(axes[dimension])
        if rounded is not None:
            weights = along.weights.astype(rounded)
            if axes[dimension].kind == "linear":
                weights[0] = rounded.type(1) - weights[1]
            along = along._replace(weights=weights)
        _along(x, dimension, along, target)
        x = target
    if x is not out:
        np.copyto(out, x)


def _along(x: np.ndarray, dimension: int, along: Tables, out: np.ndarray) -> None:
    """One axis: a few outer indices at a time, so that the taps are added up in cache."""
    outer = math.prod(x.shape[:dimension])
    inner = math.prod(x.shape[dimension + 1 :])
    source = x.reshape(outer, x.shape[dimension], inner)
    result = out.reshape(outer, out.shape[dimension], inner)
    if not result.size:
        return
    weights = along.weights.astype(x.dtype)[:, :, None]
    plain = bool((along.weights == 1).all()) and len(along.positions) == 1
    step = max(1, _BLOCK_BYTES // max(result[:1].nbytes, 1))
    scratch = np.empty_like(result[:step]) if len(weights) > 1 else None
    for start in range(0, outer, step):
        part, target = source[start : start + step], result[start : start + step]
        np.take(part, along.positions[0], axis=1, out=target, mode="clip")
        if not plain:
            np.multiply(target, weights[0], out=target)
        for positions, weight in zip(along.positions[1:], weights[1:], strict=True):
            assert scratch is not None
            tap = scratch[: len(part)]
            np.take(part, positions, axis=1, out=tap, mode="clip")
            np.multiply(tap, weight, out=tap)
            np.add(target, tap, out=target)


# -- bytes: fixed-point weights, as image libraries compute


@lru_cache(maxsize=64)
def _fixed_point(axis: Axis) -> tuple[Tables, int]:
    """Tables with int32 weights, and how many of their bits stand behind the point."""
    positions, weights = tables(axis)
    merged = weights.copy()
    for tap in range(1, len(positions)):  # positions cut at the border count as one
        same = positions[tap] == positions[tap - 1]
        merged[tap] += np.where(same, merged[tap - 1], 0)
        merged[tap - 1][same] = 0
    largest, bits = float(merged.max()), 0
    while bits < 22 and int(0.5 + largest * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    scaled = merged * (1 << bits)
    whole = np.trunc(scaled + np.where(scaled < 0, -0.5, 0.5)).astype(np.int32)
    return Tables(positions, whole), bits


def resample_bytes(x: np.ndarray, axes: dict[int, Axis], out: np.ndarray) -> None:
    """`resample` of uint8 in integers, rounded after each axis; innermost axes first."""
    for dimension in sorted(axes, reverse=True):
        if axes[dimension].result_size == x.shape[dimension]:
            continue
        along, bits = _fixed_point(axes[dimension])
        shape = [1] * x.ndim
        shape[dimension] = -1
        total = np.full((1,) * x.ndim, 1 << (bits - 1), np.int32)
        for positions, weight in zip(*along, strict=True):
            total = total + x.take(positions, axis=dimension) * weight.reshape(shape)
        x = np.clip(total >> bits, 0, 255).astype(np.uint8)
    np.copyto(out, x)
