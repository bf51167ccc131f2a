"""Elementwise expressions of arrays, one call at a time: what eager operators use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.pointwise import Expression, pointwise

_TABLE: dict[str, np.ndarray] = {}


def evaluate(expression: Expression, operands: Sequence[Any], out: np.ndarray) -> None:
    """An expression of float32 arrays that lie as `out` does, element after element, and of
    numbers. `out` may be one of the arrays.
    """
    arrays = [each if isinstance(each, np.ndarray) and each.size == out.size else
              np.full(1, each, np.float32) for each in operands]  # fmt: skip
    kinds = "".join("v" if array.size == out.size else "s" for array in arrays)
    table = _TABLE.get(kinds)
    if table is None:  # rank 0: only the inner strides
        table = _TABLE[kinds] = np.array([0, 1, *(kind == "v" for kind in kinds)], np.int64)
    kernel = pointwise(expression=expression, kinds=kinds, rank=0)
    addresses = [array.ctypes.data for array in arrays]
    pool.run(kernel, out.ctypes.data, out.size, 1, table.ctypes.data, *addresses)
