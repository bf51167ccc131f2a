"""Position-sensitive regions on arrays (Dai et al. 2016, "R-FCN", equation 1).

Bin (p, q) of output channel c reads input channel c · P · Q + p · Q + q and no other. With the
channels seen as (C', P, Q), both operators are

    out[c, p, q] = Σ_h Σ_w Ay[p, h] · F[c, p, q, h, w] · Ax[q, w]

with axis matrices of interpolation (`align`) or of whole cells (`pool`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.ops.detection.kernels_align import Bands, Geometry, axes, bands
from pellucid.ops.detection.kernels_pool import Quantised, quantise


def align_bands(
    boxes: np.ndarray, geometry: Geometry, cells: tuple[int, int]
) -> tuple[Bands, Bands, np.ndarray]:
    """Axis matrices of bilinear interpolation. The last result marks the regions without points,
    whose averages are 0 / 0."""
    y, x = axes(boxes, geometry)
    nothing = y.points * x.points == 0
    along_y = bands(y, geometry.pooled[0], cells[0])
    return along_y, bands(x, geometry.pooled[1], cells[1]), nothing


def _whole(found: Quantised, d: np.dtype, cells: int) -> Bands:
    """Axis matrices of plain averages over whole cells."""
    cell = np.arange(cells)
    inside = (cell >= found.first[..., None]) & (cell < found.last[..., None])
    sizes = np.maximum(found.last - found.first, 1)[..., None]
    count = len(found.first)
    matrix = (inside / sizes).astype(d)
    return Bands(matrix, np.zeros(count, np.int64), np.full(count, cells))


def pool_bands(
    boxes: np.ndarray, geometry: Geometry, cells: tuple[int, int]
) -> tuple[Bands, Bands, np.ndarray]:
    """Axis matrices of averages over whole cells. The map's last row and column belong to no bin:
    so the operator is defined."""
    d, (p, q) = boxes.dtype, geometry.pooled
    y = quantise(boxes, 1, geometry.scale, p, cells[0] - 1, closed=False)
    x = quantise(boxes, 0, geometry.scale, q, cells[1] - 1, closed=False)
    return _whole(y, d, cells[0]), _whole(x, d, cells[1]), np.zeros(len(boxes), bool)


_BANDS = {"align": align_bands, "pool": pool_bands}


def _pieces(
    kind: str, boxes: np.ndarray, geometry: Geometry, cells: tuple[int, int]
) -> Iterator[tuple[int, int, np.ndarray, slice, np.ndarray, slice, bool]]:
    y, x, nothing = _BANDS[kind](boxes, geometry, cells)
    for k, image in enumerate(boxes[:, 0].astype(np.int64)):
        yield k, int(image), *y.of(k), *x.of(k), bool(nothing[k])


def average(
    kind: str, features: np.ndarray, boxes: np.ndarray, geometry: Geometry, out: np.ndarray
) -> None:
    """Averages over the bins: (N, C'PQ, H, W) and (K, 5) give `out` (K, C', P, Q)."""
    n, _, height, width = features.shape
    groups = features.reshape(n, -1, *geometry.pooled, height, width)
    for k, image, ay, rows, ax, columns, nothing in _pieces(kind, boxes, geometry, (height, width)):
        region = groups[image, ..., rows, columns]
        strip = np.einsum("ph,cpqhw->cpqw", ay, region)
        out[k] = np.nan if nothing else np.einsum("qw,cpqw->cpq", ax, strip)


def average_transpose(
    kind: str, grad: np.ndarray, boxes: np.ndarray, geometry: Geometry, out: np.ndarray
) -> None:
    """The transpose of `average`: `grad` (K, C', P, Q), summed into `out` (N, C'PQ, H, W)."""
    n, _, height, width = out.shape
    sums = np.zeros((n, grad.shape[1], *geometry.pooled, height, width), out.dtype)
    for k, image, ay, rows, ax, columns, _ in _pieces(kind, boxes, geometry, (height, width)):
        strip = np.einsum("qw,cpq->cpqw", ax, grad[k])
        sums[image, ..., rows, columns] += np.einsum("ph,cpqw->cpqhw", ay, strip)
    out[...] = sums.reshape(out.shape)
