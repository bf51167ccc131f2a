"""`multiply`: the one place where operators hand matrices to NumPy's BLAS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid.ops.quiet import quiet, restore
from pellucid.tensor.threads import ALONE_FROM, alone, together

_BLAS = frozenset("fdFD")
"""The codes of the dtypes that BLAS knows."""


class _Sketch(threading.local):
    depth = 0
    skipped = 0
    wants: Callable[[Any], bool] | None = None


sketch = _Sketch()
"""While this thread's `depth` is not 0, products give zeros: only shapes are asked for. `skipped`
counts them. `wants`, asked for the arguments of each operator, says whether its products may.
"""


@contextmanager
def sketching() -> Iterator[None]:
    """Products and convolutions inside give zeros, in an instant."""
    sketch.depth += 1
    try:
        yield
    finally:
        sketch.depth -= 1


@contextmanager
def in_earnest() -> Iterator[None]:
    """Products inside are computed."""
    depth, sketch.depth = sketch.depth, 0
    try:
        yield
    finally:
        sketch.depth = depth


def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """`np.matmul(a, b, out)` of arrays of one dtype, without warnings, on as many threads as pay.

    `out`, if given, has the product's shape and dtype and shares no memory with `a` and `b`.
    """
    if sketch.depth:
        return _zeros(a, b, out)
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


def _zeros(a: np.ndarray, b: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    sketch.skipped += 1
    if out is None:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return np.zeros((*lead, a.shape[-2], b.shape[-1]), np.result_type(a, b))
    out[...] = 0
    return out
