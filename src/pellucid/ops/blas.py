"""`multiply`: the one place where operators hand matrices to NumPy's BLAS."""

from __future__ import annotations

import numpy as np

from pellucid.ops.quiet import quiet, restore
from pellucid.tensor.threads import ALONE_FROM, alone, together

_BLAS = frozenset("fdFD")
"""The codes of the dtypes that BLAS knows."""


def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """`np.matmul(a, b, out)` of arrays of one dtype, without warnings, on as many threads as pay.

    `out`, if given, has the product's shape and dtype and shares no memory with `a` and `b`.
    """
    rows, inner = a.shape[-2:]
    work = rows * inner * b.shape[-1]
    threads = alone(work) if work >= ALONE_FROM else 0
    try:
        plain = a.ndim == 2 == b.ndim and a.dtype.char in _BLAS
        if plain and out is not None and out.flags.c_contiguous:
            return np.dot(a, b, out)  # the same call of BLAS, with a third of the overhead
        token = quiet()
        try:
            return np.matmul(a, b, out)
        finally:
            restore(token)
    finally:
        if threads:
            together(threads)
