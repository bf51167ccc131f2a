"""Kernels over regions of arrays, one call at a time: what eager operators use.

Arrays are float32; features (N, C, H, W) of any strides are brought channels last on the way in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.pack import aligned
from pellucid.kernels.regions import (
    region_align,
    region_align_transpose,
    region_pool,
    region_spread,
    table_room,
)
from pellucid.kernels.target import current
from pellucid.kernels.vectors import swap_axes


class Regions(NamedTuple):
    """K regions: the image of each (K,), along y and x where bins start, their size and points
    (K, 3) float32, and which points may meet the map (K, bins, 2) int64.
    """

    images: np.ndarray
    y: np.ndarray
    x: np.ndarray
    y_ranges: np.ndarray
    x_ranges: np.ndarray


def _at(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def _whole(count: int) -> int:
    """`count` rounded up to whole vectors."""
    return -(-count // current().lanes) * current().lanes


def _channels_last(features: np.ndarray) -> tuple[np.ndarray, int]:
    """Features as (N, H, W, cs), and cs, a whole number of vectors: as they lie if they lie so."""
    n, c, h, w = features.shape
    row = _whole(c)
    last = features.transpose(0, 2, 3, 1)
    if row == c and last.flags.c_contiguous:
        return last, row
    out = aligned(n * h * w * row)
    if features.flags.c_contiguous:
        pool.run(swap_axes(), _at(features), _at(out), n, c, h * w, h * w, row, c * h * w,
                 h * w * row)  # fmt: skip
    else:
        out.reshape(n, h, w, row)[..., :c] = last
    return out, row


def align(features: np.ndarray, regions: Regions, out: np.ndarray) -> None:
    """Averages over the bins: `out` is (K, C, P, Q), contiguous."""
    (_, c, h, w), (k, _, p, q) = features.shape, out.shape
    source, row = _channels_last(features)
    room = _whole(table_room((p, q), (h, w), current().lanes) + (w + p * q) * row)
    scratch = aligned(pool.num_threads() * room)
    pool.run(region_align(), _at(source), _at(out), *map(_at, regions), _at(scratch), k, c, row, h,
             w, p, q, room)  # fmt: skip


def align_transpose(grad: np.ndarray, regions: Regions, out: np.ndarray) -> None:
    """The transpose of `align`: grad (K, C, P, Q) summed into contiguous `out` (N, C, H, W)."""
    (n, c, h, w), (k, _, p, q) = out.shape, grad.shape
    grad = np.ascontiguousarray(grad)
    units = max(min(pool.num_threads(), c // current().lanes), 1)
    wide = _whole(-(-c // units))
    tables = table_room((p, q), (h, w), current().lanes)
    room = _whole(tables) + (w + p * q + n * h * w) * wide
    scratch = aligned(-(-c // wide) * room)
    pool.run(region_align_transpose(), _at(grad), _at(out), *map(_at, regions), _at(scratch), k, n,
             c, wide, h, w, p, q, room)  # fmt: skip


def largest(
    features: np.ndarray, images: np.ndarray, y: np.ndarray, x: np.ndarray, out: np.ndarray,
    places: np.ndarray,
) -> None:  # fmt: skip
    """The largest cell of each bin and its place: `out` and `places` (int32) are (K, C, P, Q), `y`
    (K, P, 2) and `x` (K, Q, 2) the cells of the bins, int64.
    """
    (_, c, h, w), (k, _, p, q) = features.shape, out.shape
    source, row = _channels_last(features)
    scratch = aligned(pool.num_threads() * p * q * row * 2)
    pool.run(region_pool(), _at(source), _at(out), _at(places), _at(images), _at(y), _at(x),
             _at(scratch), k, c, row, h, w, p, q)  # fmt: skip


def spread(grad: np.ndarray, places: np.ndarray, images: np.ndarray, out: np.ndarray) -> None:
    """grad (K, C, P, Q) summed at its places (int32, -1 for none) in contiguous `out`."""
    (n, c, h, w), (k, _, p, q) = out.shape, grad.shape
    grad, places = np.ascontiguousarray(grad), np.ascontiguousarray(places)
    pool.run(region_spread(), _at(grad), _at(places), _at(images), _at(out), k, n, c, h * w, p * q)
