"""Adding into places that may be named several times: the loop under `index_add`, `scatter_add`, …

`np.add.at` visits one element at a time. Where whole rows are added, sorting the row numbers and
summing each run with `np.add.reduceat` is many times faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_FEW = 32
"""Up to this many rows, one addition each in a loop is fastest."""


def add_rows(target: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """`target[rows[i]] += values[i]` for every i, repeated rows included.

    `target` is (N, K), `rows` (n,) with numbers from 0 to N - 1, `values` (n, K).
    """
    if not values.size:
        return
    if target.shape[1] == 1:
        np.add.at(target[:, 0], rows, values[:, 0])
        return
    if len(rows) <= _FEW:
        for row, value in zip(rows.tolist(), values, strict=True):
            target[row] += value
        return
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    if len(starts) == len(rows):
        target[rows] += values
    else:
        target[ordered[starts]] += np.add.reduceat(values[order], starts, axis=0)


def add_at(target: np.ndarray, key: tuple[Any, ...], values: np.ndarray) -> None:
    """`target[key] += values`, repeated places included.

    `key` holds full slices and integer arrays of one shape (bounds checked, negative ones count
    from the end); `values` has the shape of `target[key]`.
    """
    axes = [axis for axis, each in enumerate(key) if not isinstance(each, slice)]
    arrays = [np.asarray(key[axis]) for axis in axes]
    shape = arrays[0].shape
    front = np.moveaxis(target, axes, range(len(axes)))
    sizes = front.shape[: len(axes)]
    rows = np.zeros(shape, np.int64)
    for size, array in zip(sizes, arrays, strict=True):
        rows = rows * size + np.where(array < 0, array + size, array)
    inside = axes[-1] - axes[0] + 1 == len(axes)
    if inside and axes[0]:
        places = range(axes[0], axes[0] + len(shape))
        values = np.moveaxis(values, places, range(len(shape)))
    flat = values.reshape(rows.size, -1) if rows.size else values.reshape(0, 1)
    width = flat.shape[1]
    if front.flags.c_contiguous:
        add_rows(front.reshape(-1, width), rows.reshape(-1), flat)
        return
    copied = front.reshape(-1, width)
    if np.shares_memory(copied, target):
        add_rows(copied, rows.reshape(-1), flat)
        return
    add_rows(copied, rows.reshape(-1), flat)
    front[...] = copied.reshape(front.shape)
