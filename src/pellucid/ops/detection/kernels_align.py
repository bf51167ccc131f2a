"""RoI Align on arrays (He et al. 2017, "Mask R-CNN", section 3).

The sampling points of a region form a grid, and bilinear weights are products of one weight along y
and one along x. So the average over each bin is two small matrix products,

    out = Ay · F · Axᵀ,    dF += Ayᵀ · dout · Ax

where row p of Ay (P, H) holds, summed over the points of bin p, what each feature row weighs.
Only the rows and columns that the region touches take part. Features stand channels-last,
(N, H, W, C), so that channels are the long, contiguous side of both products. Regions are visited
in order, on one thread: results and gradients are the same in every run.

Coordinates are computed in the features' own precision and in torchvision's order of operations, so
that points fall on the same side of every border.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_REGIONS = 256
"""Regions whose axis matrices are made at a time."""
_FARTHEST = float(1 << 62)


class Geometry(NamedTuple):
    """How regions are laid on the feature map. `least` is the smallest side of a region, None for
    no such rule; `ratio` the points along each side of a bin, 0 or less for about one a cell.
    """

    scale: float
    pooled: tuple[int, int]
    ratio: int
    offset: float
    least: float | None


class Axis(NamedTuple):
    """Bins of K regions along one axis: where they start (K,), their size (K,), and how many points
    sample each bin (K,), as floating-point numbers like the coordinates.
    """

    start: np.ndarray
    bin: np.ndarray
    points: np.ndarray


class Samples(NamedTuple):
    """Sampling points along one axis that may meet the feature map, in order of region and bin."""

    region: np.ndarray
    bin: np.ndarray
    number: np.ndarray
    """Which point of its bin it is."""
    position: np.ndarray


class Taps(NamedTuple):
    """The two cells that a point lies between, and the weight of the higher one; `inside` says
    which points are on the map (up to one cell beyond its first centre and last)."""

    inside: np.ndarray
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray


def axes(boxes: np.ndarray, geometry: Geometry) -> tuple[Axis, Axis]:
    """The bins of (K, 5) boxes along y and along x."""
    d = boxes.dtype.type
    with np.errstate(over="ignore", invalid="ignore"):
        corners = boxes[:, 1:] * d(geometry.scale) - d(geometry.offset)
    found = []
    for first, bins in ((1, geometry.pooled[0]), (0, geometry.pooled[1])):
        start = corners[:, first]
        side = corners[:, first + 2] - start
        if geometry.least is not None:
            side = np.maximum(side, d(geometry.least))
        size = side / d(bins)
        points = np.full_like(size, geometry.ratio) if geometry.ratio > 0 else np.ceil(size)
        found.append(Axis(start, size, points))
    return found[0], found[1]


def ranges(axis: Axis, bins: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """The first point of each bin (K, bins) that may lie on a map of `cells`, and the one after the
    last. A region may be far larger than the map.
    """
    with np.errstate(all="ignore"):
        begin = _begin(axis, bins).astype(np.float64)
        step = axis.bin.astype(np.float64) / axis.points
        points = np.clip(axis.points.astype(np.float64), 0, _FARTHEST)
        # Two points of slack on either side: these bounds need not round as the positions do.
        first = (-1 - begin) / step[:, None] - 2.5
        last = (cells - begin) / step[:, None] + 2.5
    known = (step > 0)[:, None] & np.isfinite(first) & np.isfinite(last)
    most = np.broadcast_to(points[:, None], first.shape)
    first = np.where(known, np.clip(np.floor(first), 0, most), 0).astype(np.int64)
    last = np.where(known, np.clip(np.ceil(last), 0, most), most).astype(np.int64)
    return first, last


def _begin(axis: Axis, bins: int) -> np.ndarray:
    """Where each bin begins: (K, bins)."""
    return axis.start[:, None] + np.arange(bins, dtype=axis.start.dtype) * axis.bin[:, None]


def samples(axis: Axis, bins: int, cells: int) -> Samples:
    """The points of each bin that may lie on a map of `cells`; those that certainly miss it are
    never listed.
    """
    d = axis.start.dtype.type
    first, last = ranges(axis, bins, cells)
    sizes = np.maximum(last - first, 0).reshape(-1)
    row = np.repeat(np.arange(first.size), sizes)
    ends = np.cumsum(sizes)
    number = np.arange(len(row)) - np.repeat(ends - sizes, sizes) + first.reshape(-1)[row]
    region = row // bins
    with np.errstate(all="ignore"):
        half = (number + 0.5).astype(axis.start.dtype) * axis.bin[region]
        begin = _begin(axis, bins).reshape(-1)
        position = begin[row] + half / axis.points[region].astype(d)
    return Samples(region, row % bins, number, position)


def taps(position: np.ndarray, cells: int) -> Taps:
    """Between which cells the points lie. Beyond the last centre the map goes on as it ends."""
    inside = (position >= -1) & (position <= cells)
    clamped = np.maximum(np.where(inside, position, 0), 0)
    low = clamped.astype(np.int64)
    last = low >= cells - 1
    low[last] = cells - 1
    weight = np.where(last, 0, clamped - low).astype(position.dtype)
    return Taps(inside, low, np.where(last, low, low + 1), weight)


class Bands(NamedTuple):
    """The axis matrices of K regions: `matrix` (K, P, B), whose columns are the cells from
    `first[k]` to before `end[k]`; the columns after that are zero."""

    matrix: np.ndarray
    first: np.ndarray
    end: np.ndarray

    def of(self, region: int) -> tuple[np.ndarray, slice]:
        """One region's matrix and the cells it stands for."""
        first, end = int(self.first[region]), int(self.end[region])
        return self.matrix[region, :, : end - first], slice(first, end)


def bands(axis: Axis, bins: int, cells: int) -> Bands:
    """What each cell weighs in the average over each bin."""
    count = len(axis.start)
    points = samples(axis, bins, cells)
    found = taps(points.position, cells)
    region, place = points.region[found.inside], points.bin[found.inside]
    low, high = found.low[found.inside], found.high[found.inside]
    weight = found.weight[found.inside].astype(np.float64)
    first, end = np.full(count, cells), np.zeros(count, np.int64)
    np.minimum.at(first, region, low)
    np.maximum.at(end, region, high + 1)
    first = np.minimum(first, end)
    width = int((end - first).max(initial=0))
    row = (region * bins + place) * width - first[region]
    share = 1 / axis.points.astype(np.float64)[region]
    total = count * bins * width
    flat = np.bincount(row + low, (1 - weight) * share, total)
    flat += np.bincount(row + high, weight * share, total)
    matrix = flat.reshape(count, bins, width).astype(axis.start.dtype)
    return Bands(matrix, first, end)


def _pieces(
    boxes: np.ndarray, geometry: Geometry, cells: tuple[int, int]
) -> Iterator[tuple[int, int, np.ndarray, slice, np.ndarray, slice]]:
    """For each region: its number, image, Ay with its rows, Ax with its columns."""
    for start in range(0, len(boxes), _REGIONS):
        part = boxes[start : start + _REGIONS]
        along_y, along_x = axes(part, geometry)
        y = bands(along_y, geometry.pooled[0], cells[0])
        x = bands(along_x, geometry.pooled[1], cells[1])
        for region in range(len(part)):
            yield start + region, int(part[region, 0]), *y.of(region), *x.of(region)


def channels_last(features: np.ndarray) -> np.ndarray:
    """(N, C, H, W) as a contiguous (N, H, W, C): without a copy where memory is so already."""
    return np.ascontiguousarray(features.transpose(0, 2, 3, 1))


def align(features: np.ndarray, boxes: np.ndarray, geometry: Geometry, out: np.ndarray) -> None:
    """Averages over the bins: (N, C, H, W) and (K, 5) give `out` (K, C, P, Q)."""
    maps = channels_last(features)
    height, width, channels = maps.shape[1:]
    p = geometry.pooled[0]
    for k, image, ay, rows, ax, columns in _pieces(boxes, geometry, (height, width)):
        region = maps[image, rows, columns]
        if region.size:
            strip = np.matmul(ay, region.reshape(len(region), -1)).reshape(p, -1, channels)
            out[k] = np.matmul(ax, strip).transpose(2, 0, 1)
        else:  # off the map
            out[k] = 0


def align_transpose(
    grad: np.ndarray, boxes: np.ndarray, geometry: Geometry, out: np.ndarray
) -> None:
    """The transpose of `align`: `grad` (K, C, P, Q), summed into `out` (N, C, H, W)."""
    images, channels, height, width = out.shape
    sums = np.zeros((images, height, width, channels), out.dtype)
    p = geometry.pooled[0]
    for k, image, ay, rows, ax, columns in _pieces(boxes, geometry, (height, width)):
        region = sums[image, rows, columns]
        if region.size:
            values = np.ascontiguousarray(grad[k].transpose(1, 2, 0))
            strip = np.matmul(ax.T, values)
            region += np.matmul(ay.T, strip.reshape(p, -1)).reshape(region.shape)
    out[...] = sums.transpose(0, 3, 1, 2)
