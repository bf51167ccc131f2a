"""Padding on arrays, one dimension at a time: which input position each output position shows.

`positions(size, low, high, mode)` answers that; negative amounts cut. In the middle it is a run of
the input, copied whole; at the borders there are few, taken one by one. The transpose adds the
borders back where they came from.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np


class Run(NamedTuple):
    """One dimension: input positions of the left border, the middle run, and the right border."""

    left: tuple[int, ...]
    middle: tuple[int, int]
    right: tuple[int, ...]


@lru_cache(maxsize=512)
def positions(size: int, low: int, high: int, mode: str) -> Run:
    """What a dimension of `size`, padded by `low` and `high`, shows at each place."""
    first, end = max(0, -low), size + min(0, high)
    before, after = range(-max(low, 0), 0), range(size, size + max(high, 0))
    if mode == "reflect":
        left, right = [-i for i in before], [2 * (size - 1) - i for i in after]
    elif mode == "replicate":
        left, right = [first for _ in before], [end - 1 for _ in after]
        if low > 0:
            left = [0 for _ in before]
        if high > 0:
            right = [size - 1 for _ in after]
    else:
        length = end - first
        left = [first + i % length for i in before]
        right = [first + (i - size) % length for i in after]
    return Run(tuple(left), (first, max(first, end)), tuple(right))


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    return (slice(None),) * axis + (index,)


def pad(x: np.ndarray, axis: int, run: Run) -> np.ndarray:
    """`x` with dimension `axis` padded."""
    parts = [x[_along(axis, slice(*run.middle))]]
    if run.left:
        parts.insert(0, np.take(x, run.left, axis))
    if run.right:
        parts.append(np.take(x, run.right, axis))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)


def pad_transpose(grad: np.ndarray, axis: int, run: Run, size: int) -> np.ndarray:
    """The transpose of `pad`: gradients added up at the input positions that were shown."""
    shape = (*grad.shape[:axis], size, *grad.shape[axis + 1 :])
    out = np.zeros(shape, grad.dtype)
    offset = len(run.left)
    length = run.middle[1] - run.middle[0]
    out[_along(axis, slice(*run.middle))] = grad[_along(axis, slice(offset, offset + length))]
    borders = [*enumerate(run.left), *enumerate(run.right, offset + length)]
    for place, source in borders:
        out[_along(axis, source)] += grad[_along(axis, place)]
    return out
