"""What RoI Pooling and RoI Align do with one box: rounding, bins, points, weights.

All places are in cells, with whole numbers at the cells' centres: cell (column, row) = (3, 5)
reaches from 2.5 to 3.5 and from 4.5 to 5.5. The functions that compute are the operators' own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pellucid.ops.detection.align import geometry_of
from pellucid.ops.detection.kernels_align import axes, samples, taps
from pellucid.ops.detection.kernels_pool import quantise
from pellucid.tensor.tensor import Tensor, adopt
from pellucid.vision.ops.roi_align import roi_align
from pellucid.vision.ops.roi_pool import roi_pool


class Span(NamedTuple):
    """From `start` to `end`, in cells."""

    start: float
    end: float


class Tap(NamedTuple):
    """One of the four cells around a point, and what it weighs there."""

    column: int
    row: int
    weight: float
    value: float


@dataclass(frozen=True)
class Pooling:
    """RoI Pooling of a box: whole cells from `first` to `last` (both count) along x and y, and the
    bins' (first, last) cells; an empty bin has last < first. `chosen` (P, Q, 2) holds the (column,
    row) of each bin's largest cell, -1 for none."""

    columns: tuple[int, int]
    rows: tuple[int, int]
    bins_x: tuple[tuple[int, int], ...]
    bins_y: tuple[tuple[int, int], ...]
    chosen: np.ndarray
    result: np.ndarray


@dataclass(frozen=True)
class Aligning:
    """RoI Align of a box: the region sampled, its bins' borders along x and y, and the points: one
    (x, y) grid, of which those far off the map are left out."""

    x: Span
    y: Span
    borders_x: np.ndarray
    borders_y: np.ndarray
    points_x: np.ndarray
    points_y: np.ndarray
    grid: tuple[int, int]
    """Points of each bin along y and x."""
    result: np.ndarray


@dataclass(frozen=True)
class Region:
    """One box on one channel of a feature map, as both operators see it."""

    image: np.ndarray
    """(H, W)."""
    box: tuple[float, float, float, float]
    x: Span
    """Where the scaled box lies."""
    y: Span
    spatial_scale: float
    sampling_ratio: int
    aligned: bool
    mode: str
    channel: int
    pooling: Pooling
    aligning: Aligning
    point: tuple[float, float]
    taps: tuple[Tap, ...]

    @property
    def point_value(self) -> float:
        """What interpolation gives at the point."""
        return sum(tap.weight * tap.value for tap in self.taps)


def bilinear(image: np.ndarray, x: float, y: float) -> tuple[Tap, ...]:
    """The cells around (x, y) with their weights (He et al. 2017, figure 3); none off the map."""
    height, width = image.shape
    down, across = taps(np.array([y]), height), taps(np.array([x]), width)
    if not (down.inside[0] and across.inside[0]):
        return ()
    ly, lx = float(down.weight[0]), float(across.weight[0])
    found: dict[tuple[int, int], float] = {}
    for row, wy in ((int(down.low[0]), 1 - ly), (int(down.high[0]), ly)):
        for column, wx in ((int(across.low[0]), 1 - lx), (int(across.high[0]), lx)):
            found[column, row] = found.get((column, row), 0.0) + wy * wx
    return tuple(Tap(c, r, weight, float(image[r, c])) for (c, r), weight in found.items())


def _pooling(image: Tensor, rows: Tensor, size: tuple[int, int], scale: float) -> Pooling:
    height, width = image._array.shape
    boxes = rows._array
    y = quantise(boxes, 1, scale, size[0], height, closed=True)
    x = quantise(boxes, 0, scale, size[1], width, closed=True)
    bins_x = tuple((int(a), int(b) - 1) for a, b in zip(x.first[0], x.last[0], strict=True))
    bins_y = tuple((int(a), int(b) - 1) for a, b in zip(y.first[0], y.last[0], strict=True))
    chosen = np.full((*size, 2), -1)
    for p, (top, bottom) in enumerate(bins_y):
        for q, (left, right) in enumerate(bins_x):
            part = image._array[top : bottom + 1, left : right + 1]
            if part.size and not np.isnan(part).all():
                row, column = np.unravel_index(np.nanargmax(part), part.shape)
                chosen[p, q] = left + column, top + row
    result = roi_pool(image[None, None], rows, size, scale)._array[0, 0]
    # A box whose corners are swapped still has one cell.
    columns = int(x.start[0]), max(int(x.end[0]), int(x.start[0]))
    lines = int(y.start[0]), max(int(y.end[0]), int(y.start[0]))
    return Pooling(columns, lines, bins_x, bins_y, chosen, result)


def _aligning(
    image: Tensor,
    rows: Tensor,
    size: tuple[int, int],
    scale: float,
    ratio: int,
    aligned: bool,
    mode: str,
) -> Aligning:
    height, width = image._array.shape
    along_y, along_x = axes(rows._array, geometry_of(scale, size, ratio, aligned))
    found_y, found_x = samples(along_y, size[0], height), samples(along_x, size[1], width)
    borders_y = along_y.start[0] + np.arange(size[0] + 1) * along_y.bin[0]
    borders_x = along_x.start[0] + np.arange(size[1] + 1) * along_x.bin[0]
    grid = max(int(along_y.points[0]), 0), max(int(along_x.points[0]), 0)
    result = roi_align(image[None, None], rows, size, scale, ratio, aligned, mode)
    return Aligning(
        Span(float(borders_x[0]), float(borders_x[-1])),
        Span(float(borders_y[0]), float(borders_y[-1])),
        borders_x,
        borders_y,
        found_x.position,
        found_y.position,
        grid,
        result._array[0, 0],
    )


def region(
    image: Tensor,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    mode: str,
    channel: int,
    point: tuple[float, float] | None,
) -> Region:
    """Both operators on one box (x1, y1, x2, y2) of an image (H, W), float32 or float64."""
    rows = adopt(np.array([[0, *box]], image._array.dtype))
    pooling = _pooling(image, rows, size, spatial_scale)
    aligning = _aligning(image, rows, size, spatial_scale, sampling_ratio, aligned, mode)
    if point is None:
        point = _first_inside(aligning, image._array.shape)
    x1, y1, x2, y2 = (each * spatial_scale - 0.5 for each in box)
    return Region(
        image._array,
        box,
        Span(x1, x2),
        Span(y1, y2),
        spatial_scale,
        sampling_ratio,
        aligned,
        mode,
        channel,
        pooling,
        aligning,
        point,
        bilinear(image._array, *point),
    )


def _first_inside(aligning: Aligning, shape: tuple[int, ...]) -> tuple[float, float]:
    """The first point on the map, or the region's first corner where there is none."""
    found = []
    for points, cells, span in (
        (aligning.points_x, shape[1], aligning.x),
        (aligning.points_y, shape[0], aligning.y),
    ):
        inside = points[(points >= -1) & (points <= cells)]
        found.append(float(inside[0]) if inside.size else span.start)
    return found[0], found[1]
