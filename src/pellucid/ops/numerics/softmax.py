"""softmax and its logarithm along one axis, and their slopes, written into `out`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops import native

Array = np.ndarray
_KERNELS = {
    "softmax": ("softmax_rows", False),
    "log_softmax": ("softmax_rows", True),
    "softmax_slope": ("softmax_rows_slope", False),
    "log_softmax_slope": ("softmax_rows_slope", True),
}
_PART = 32768
"""Elements computed together, so that every pass after the first finds them in the cache."""


def softmax(x: Array, out: Array, axis: int) -> None:
    """exp(x) / Σ exp(x), the maximum taken off first."""
    np.subtract(x, x.max(axis=axis, keepdims=True), out)
    np.exp(out, out)
    np.divide(out, out.sum(axis=axis, keepdims=True), out)


def softmax_slope(grad: Array, output: Array, out: Array, axis: int) -> None:
    """output · (grad − Σ grad · output)."""
    product = np.multiply(grad, output)
    np.multiply(output, product.sum(axis=axis, keepdims=True), out)
    np.subtract(product, out, out)


def log_softmax(x: Array, out: Array, axis: int, stored: np.dtype | None = None) -> None:
    """x − log Σ exp(x). With `stored` the sum and its logarithm are rounded to that dtype."""
    np.subtract(x, x.max(axis=axis, keepdims=True), out)
    total = np.exp(out).sum(axis=axis, keepdims=True)
    if stored is None:
        np.log(total, total)
    else:
        total = np.log(total.astype(stored).astype(out.dtype)).astype(stored).astype(out.dtype)
    np.subtract(out, total, out)


def log_softmax_slope(grad: Array, output: Array, out: Array, axis: int) -> None:
    """grad − exp(output) · Σ grad."""
    total = grad.sum(axis=axis, keepdims=True)
    shares = np.exp(output)
    shares *= total
    np.subtract(grad, shares, out)


def along(axis: int, function: Callable[..., None], *arrays: Array, **settings: Any) -> None:
    """`function(*arrays, axis=axis)` for a few rows at a time; the last array is the output.

    Rows are cut along the first axis, unless that is the one computed along. 0-dim arrays are taken
    as arrays of one element.
    """
    out = arrays[-1]
    if not out.size:
        return
    kernel = _KERNELS.get(function.__name__)
    plain = all(value is None for value in settings.values())
    if kernel and plain and axis == out.ndim - 1 and native.takes_rows(out, *arrays[:-1]):
        name, logarithm = kernel
        flat = [a.reshape(-1, a.shape[-1]) for a in arrays]
        getattr(native.rows(), name)(*flat, logarithm=logarithm)
        return
    if not arrays[-1].ndim:
        arrays, axis = tuple(a.reshape(1) for a in arrays), 0
    rows = len(arrays[-1])
    step = rows if axis == 0 else max(1, _PART * rows // arrays[-1].size)
    with np.errstate(all="ignore"):
        for start in range(0, rows, step):
            function(*[a[start : start + step] for a in arrays], axis=axis, **settings)
