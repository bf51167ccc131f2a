"""RoI Align point by point: where the values at the points are needed, not only their average.

The maximum over the points of a bin is not a matrix product, and neither is an average over a map
that holds infinities or NaN: a zero of the axis matrices would spread them. Here every point is
interpolated from its four cells. Points off the map count as zeros, as in the average.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pellucid.ops.detection.kernels_align import (
    Axis,
    Geometry,
    Taps,
    axes,
    channels_last,
    samples,
    taps,
)


class Line(NamedTuple):
    """The points of one region along one axis: their taps, and bin b's points from `edges[b]` to
    before `edges[b + 1]`. `points` is how many a bin has, those far off the map included.
    """

    taps: Taps
    edges: np.ndarray
    points: float

    def matrix(self, cells: int) -> np.ndarray:
        """(S, cells): what each cell weighs in each point."""
        inside, low, high, weight = self.taps
        found = np.zeros((len(low), cells), weight.dtype)
        point = np.arange(len(low))
        found[point, low] = (1 - weight) * inside
        found[point, high] += weight * inside
        return found


def _line(axis: Axis, region: int, bins: int, cells: int) -> Line:
    one = Axis(*(part[region : region + 1] for part in axis))
    found = samples(one, bins, cells)
    edges = np.searchsorted(found.bin, np.arange(bins + 1))
    return Line(taps(found.position, cells), edges, float(axis.points[region]))


def lines(
    boxes: np.ndarray, geometry: Geometry, cells: tuple[int, int]
) -> Iterator[tuple[int, int, Line, Line]]:
    """For each region: its number, its image, its points along y and along x."""
    along_y, along_x = axes(boxes, geometry)
    for region in range(len(boxes)):
        y = _line(along_y, region, geometry.pooled[0], cells[0])
        x = _line(along_x, region, geometry.pooled[1], cells[1])
        yield region, int(boxes[region, 0]), y, x


def interpolated(image: np.ndarray, y: Line, x: Line) -> np.ndarray:
    """The values of (H, W, C) at all points: (Sy, Sx, C)."""
    ly, lx = y.taps.weight[:, None, None], x.taps.weight[:, None]
    with np.errstate(invalid="ignore"):
        rows = image[y.taps.low] * (1 - ly) + image[y.taps.high] * ly
        found = rows[:, x.taps.low] * (1 - lx) + rows[:, x.taps.high] * lx
    found[~y.taps.inside] = 0
    found[:, ~x.taps.inside] = 0
    return found


def _bins(y: Line, x: Line) -> Iterator[tuple[int, int, slice, slice]]:
    """The bins that have points near the map, and which points these are."""
    for p in range(len(y.edges) - 1):
        for q in range(len(x.edges) - 1):
            rows = slice(int(y.edges[p]), int(y.edges[p + 1]))
            columns = slice(int(x.edges[q]), int(x.edges[q + 1]))
            if rows.stop > rows.start and columns.stop > columns.start:
                yield p, q, rows, columns


def average(features: np.ndarray, boxes: np.ndarray, geometry: Geometry, out: np.ndarray) -> None:
    """What `kernels_align.align` computes: (N, C, H, W) and (K, 5) give `out` (K, C, P, Q)."""
    maps = channels_last(features)
    out.fill(0)
    for k, image, y, x in lines(boxes, geometry, features.shape[2:]):
        values = interpolated(maps[image], y, x)
        for p, q, rows, columns in _bins(y, x):
            with np.errstate(invalid="ignore"):
                out[k, :, p, q] = values[rows, columns].sum(axis=(0, 1)) / (y.points * x.points)


def largest(
    features: np.ndarray,
    boxes: np.ndarray,
    geometry: Geometry,
    out: np.ndarray,
    choices: np.ndarray,
) -> None:
    """The largest value at a point of each bin, and which point (row times Sx plus column, -1 for
    none): `out` and `choices` are (K, C, P, Q)."""
    maps = channels_last(features)
    out.fill(0)
    choices.fill(-1)
    for k, image, y, x in lines(boxes, geometry, features.shape[2:]):
        values = interpolated(maps[image], y, x)
        across = values.shape[1]
        for p, q, rows, columns in _bins(y, x):
            part = values[rows, columns]
            wide = part.shape[1]
            flat = part.reshape(-1, part.shape[2])
            best = flat.argmax(axis=0)
            out[k, :, p, q] = flat[best, np.arange(flat.shape[1])]
            choices[k, :, p, q] = (rows.start + best // wide) * across + columns.start + best % wide


def spread(
    grad: np.ndarray, choices: np.ndarray, boxes: np.ndarray, geometry: Geometry, out: np.ndarray
) -> None:
    """Each bin's value (K, C, P, Q) to the cells of its chosen point, summed into (N, C, H, W)."""
    out.fill(0)
    cells = out.shape[2:]
    for k, image, y, x in lines(boxes, geometry, cells):
        along_y, along_x = y.matrix(cells[0]), x.matrix(cells[1])
        at_points = np.zeros((out.shape[1], len(along_y), len(along_x)), grad.dtype)
        channel, p, q = np.nonzero(choices[k] >= 0)
        place = choices[k][channel, p, q]
        flat = at_points.reshape(out.shape[1], -1)
        flat[channel, place] = grad[k][channel, p, q]
        out[image] += along_y.T @ at_points @ along_x


def gather(
    features: np.ndarray,
    choices: np.ndarray,
    boxes: np.ndarray,
    geometry: Geometry,
    out: np.ndarray,
) -> None:
    """The value at each bin's chosen point: the transpose of `spread`."""
    maps = channels_last(features)
    out.fill(0)
    for k, image, y, x in lines(boxes, geometry, features.shape[2:]):
        values = interpolated(maps[image], y, x)
        flat = values.reshape(-1, values.shape[2])
        channel, p, q = np.nonzero(choices[k] >= 0)
        out[k][channel, p, q] = flat[choices[k][channel, p, q], channel]
