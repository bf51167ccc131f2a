"""Adding into places that may be named several times: the loop under `index_add`, embeddings, …

`np.add.at` on one flat dimension takes about 2 ns for each element. Long rows are faster added one
by one, since each addition then runs over memory in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_LONG_ROW = 192
"""Rows with at least this many elements are added one by one."""


def add_rows(target: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """`target[rows[i]] += values[i]` for every i in turn, repeated rows included.

    `target` is (N, K) and row-major, `rows` (n,) with numbers from 0 to N - 1, `values` (n, K).
    """
    width = target.shape[1]
    if not values.size:
        return
    if width >= _LONG_ROW:
        add = np.add
        for row, value in zip(rows.tolist(), values, strict=True):
            place = target[row]
            add(place, value, place)
        return
    places = rows if width == 1 else (rows[:, None] * width + np.arange(width)).reshape(-1)
    np.add.at(target.reshape(-1), places, values.reshape(-1))


def add_at(target: np.ndarray, key: tuple[Any, ...], values: np.ndarray) -> None:
    """`target[key] += values`, repeated places included.

    `key` holds full slices and integer arrays of one shape (bounds checked, negative ones count
    from the end); `values` has the shape of `target[key]`.
    """
    axes = [axis for axis, each in enumerate(key) if not isinstance(each, slice)]
    arrays = [np.asarray(key[axis]) for axis in axes]
    shape = arrays[0].shape
    if not values.size:
        return
    front = np.moveaxis(target, axes, range(len(axes)))
    rows = np.zeros(shape, np.int64)
    for size, array in zip(front.shape, arrays, strict=False):
        rows = rows * size + np.where(array < 0, array + size, array)
    if axes[0] and axes[-1] - axes[0] + 1 == len(axes):
        places = range(axes[0], axes[0] + len(shape))
        values = np.moveaxis(values, places, range(len(shape)))
    flat = values.reshape(rows.size, -1)
    matrix = front.reshape(-1, flat.shape[1])
    if front.flags.c_contiguous:
        add_rows(matrix, rows.reshape(-1), flat)
    else:
        matrix = np.ascontiguousarray(matrix)
        add_rows(matrix, rows.reshape(-1), flat)
        front[...] = matrix.reshape(front.shape)
