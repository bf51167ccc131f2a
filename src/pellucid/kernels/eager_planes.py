"""Batch normalisation of contiguous arrays (N, C, L), what eager operators use."""

from __future__ import annotations

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.planes import plane_sums
from pellucid.kernels.pointwise import Expression, pointwise

_SCALED: Expression = (
    "add", ("mul", ("sub", ("in", 0), ("in", 1)), ("in", 2)), ("in", 3),
)  # fmt: skip
_UNBIASED: Expression = ("mul", ("sub", ("in", 0), ("in", 1)), ("in", 2))
_SPREAD: Expression = (
    "mul",
    ("sub", ("add", ("mul", ("sub", ("in", 0), ("in", 2)), ("in", 3)), ("in", 1)), ("in", 4)),
    ("in", 5),
)
"""((x - mean) * along + grad - average) * factor"""


def _at(x: np.ndarray) -> int:
    return int(x.ctypes.data)


def sums(
    x: np.ndarray, centre: np.ndarray, grad: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of x - centre and its square for each channel, or with `grad` those of grad and
    grad * (x - centre); of planes in float32, over the batch in float64.
    """
    n, c, size = x.shape
    found = np.empty((2, n, c), np.float32)
    pool.run(plane_sums(grad=grad is not None), _at(x), 0 if grad is None else _at(grad),
             _at(centre), _at(found[0]), _at(found[1]), n * c, c, size)  # fmt: skip
    total, products = found.sum(axis=1, dtype=np.float64)
    return total, products


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance of each channel (float64)."""
    count = x.shape[0] * x.shape[2]
    rough = (sums(x, np.zeros(x.shape[1], np.float32))[0] / count).astype(np.float32)
    total, squares = sums(x, rough)
    shift = total / count  # what rounding the mean left over
    return rough + shift, squares / count - shift * shift


def _by_channel(expression: Expression, arrays: list[np.ndarray], out: np.ndarray) -> None:
    """An expression of arrays (N, C, L) and of numbers for each channel (1, C, 1)."""
    n, c, size = out.shape
    whole = [array.shape == out.shape for array in arrays]
    kinds = "".join("v" if each else "s" for each in whole)
    steps = [c * size if each else 0 for each in whole], [size if each else 1 for each in whole]
    inner = [1 if each else 0 for each in whole]
    words = [n, c * size, *steps[0], c, size, *steps[1], 0, 1, *inner]
    table = np.array(words, np.int64)
    kernel = pointwise(expression=expression, kinds=kinds, rank=2)
    pool.run(kernel, _at(out), size, n * c, _at(table), *[_at(array) for array in arrays])


def scale(
    x: np.ndarray, mean: np.ndarray, factor: np.ndarray, shift: np.ndarray | None, out: np.ndarray
) -> None:
    """(x - mean) * factor + shift of each channel."""
    if shift is None:
        _by_channel(_UNBIASED, [x, mean, factor], out)
    else:
        _by_channel(_SCALED, [x, mean, factor, shift], out)


def input_gradient(
    x: np.ndarray, grad: np.ndarray, numbers: tuple[np.ndarray, ...], out: np.ndarray
) -> None:
    """((x - mean) * along + grad - average) * factor of each channel; `numbers` are these four."""
    _by_channel(_SPREAD, [x, grad, *numbers], out)
