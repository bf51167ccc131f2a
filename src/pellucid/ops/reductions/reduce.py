"""What reductions share: dimensions, the dtype summed in, and sums that stay accurate.

`reduce` runs a function of an array over some of its axes. NumPy sums floats pairwise only along
the axis that is contiguous in memory; over the others it adds row after row, and the rounding
errors add up too. `add_up` therefore folds long sums: a few dozen rows at a time, then the sums
of those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from pellucid.ops import native
from pellucid.ops.arguments import dims_of, integers
from pellucid.ops.inplace import check_castable, copy_array
from pellucid.ops.quiet import quiet, restore
from pellucid.ops.spec import OutRule
from pellucid.tensor.dtype import REDUCED, dtype, float32
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.tensor import Tensor, empty

Axes = tuple[int, ...]
Compute = Callable[[np.ndarray, Axes, np.ndarray], Any]
"""`compute(array, axes, out)` writes into `out`, which keeps the reduced axes with size 1."""


class Plan(NamedTuple):
    """What a reduction needs to know about its dimensions.

    `axes` are those reduced, `layout` is the result's, `kept` the result's shape with the reduced
    axes as size 1, `each` the number of elements that make one of the result's.
    """

    axes: Axes
    layout: Layout
    kept: tuple[int, ...]
    each: int


_MOST_DIMS = 64


@lru_cache(maxsize=4096)
def _plan(shape: tuple[int, ...], dim: Any, keepdim: bool) -> Plan:
    if len(shape) > _MOST_DIMS:
        raise RuntimeError("only tensors with up to 64 dims are supported")
    axes = dims_of(dim, len(shape))
    kept = tuple([1 if i in axes else size for i, size in enumerate(shape)])
    left = kept if keepdim else tuple([size for i, size in enumerate(shape) if i not in axes])
    return Plan(axes, contiguous(left), kept, math.prod([shape[i] for i in axes]))


def plan_of(input: Tensor, dim: Any, keepdim: bool, name: str = "sum") -> Plan:
    """The plan of reducing `input` over `dim`: an int, several, or None and () for all.

    Raises: TypeError for a `dim` of another type, IndexError for one out of range, RuntimeError
    for one named twice.
    """
    if dim is not None and type(dim) is not int:
        single = not isinstance(dim, (tuple, list))
        dim = integers(name, "dim", 2, dim)
        dim = dim[0] if single else dim
    return _plan(input._layout.shape, dim, keepdim)


def work_array(input: Tensor, d: dtype) -> np.ndarray:
    """`input`'s data as dtype `d`; half precision as float32, in which it is summed."""
    inner = float32 if d in REDUCED else d
    if input.dtype is inner:
        return input._array
    out = np.empty(input._layout.shape, inner.numpy)
    copy_array(out, input._array)
    return out


def run(plan: Plan, array: np.ndarray, d: dtype, compute: Compute) -> Tensor:
    """A fresh tensor of dtype `d` with what `compute` makes of `array`."""
    out = empty(plan.layout, d)
    target = out._array if plan.layout.shape == plan.kept else out._array.reshape(plan.kept)
    token = quiet()
    try:
        if d in REDUCED:
            scratch = np.empty(plan.kept, np.float32)
            compute(array, plan.axes, scratch)
            target[...] = scratch
        else:
            compute(array, plan.axes, target)
    finally:
        restore(token)
    return out


def reduce(input: Tensor, dim: Any, keepdim: bool, d: dtype, compute: Compute) -> Tensor:
    """Reduce `input`, taken as dtype `d`, over `dim` (None or () means all)."""
    return run(plan_of(input, dim, keepdim), work_array(input, d), d, compute)


_SHORT = 4096
"""Arrays of at most so many elements are left to NumPy: their error stays small in any order."""
_NARROW = 8
"""Up to so many elements an innermost axis is short."""
_ROWS = 32
"""How many rows are added to each other before their sum is folded into the next level."""


def add_up(array: np.ndarray, axes: Axes, out: np.ndarray) -> None:
    """Sum over `axes` with an error that grows with the logarithm of the count."""
    if array.size <= _SHORT or array.dtype.kind not in "fc":
        np.add.reduce(array, axis=axes, out=out, keepdims=True)
    else:
        out[...] = _accurate(array, axes)


def _accurate(array: np.ndarray, axes: Axes) -> np.ndarray:
    """The sums, with the reduced axes as size 1.

    Axes are taken in the order of memory, neighbours that share their fate become one, and each is
    summed in turn: the innermost pairwise, the others folded. Repeated elements (stride 0, from
    `expand`) are multiplied.
    """
    shape, repeats = array.shape, 1
    for axis in axes:
        if array.strides[axis] == 0 and shape[axis] > 1:
            repeats *= shape[axis]
            array = array[(slice(None),) * axis + (slice(0, 1),)]
    order = sorted(range(array.ndim), key=lambda i: -abs(array.strides[i]))
    sizes: list[int] = []
    summed: list[bool] = []
    for axis in order:
        if array.shape[axis] == 1:
            continue
        if sizes and summed[-1] is (axis in axes):
            sizes[-1] *= array.shape[axis]
        else:
            sizes.append(array.shape[axis])
            summed.append(axis in axes)
    work = array.transpose(order).reshape(sizes)
    last = len(sizes) - 1
    for place in range(last - 1, -1, -1):
        if summed[place] and sizes[last] <= _NARROW:  # the outer axes while rows are still long
            work = _fold(work, place)
            summed[place] = False
    for place in range(last, -1, -1):
        if summed[place]:
            work = _add_columns(work) if place == last else _fold(work, place)
    kept = [1 if i in axes else shape[i] for i in order]
    found = work.reshape(kept).transpose(np.argsort(order))
    return found * found.dtype.type(repeats) if repeats > 1 else found


def _add_columns(array: np.ndarray) -> np.ndarray:
    """Sum over the innermost axis; a short one column by column, which NumPy does faster."""
    if native.sums(array):
        found: np.ndarray = native.rows().sums(array.reshape(-1, array.shape[-1]))
        return found.reshape(array.shape[:-1])
    if array.shape[-1] > _NARROW:
        return np.add.reduce(array, -1)
    total = array[..., 0].copy()
    for place in range(1, array.shape[-1]):
        total += array[..., place]
    return total


def _fold(array: np.ndarray, axis: int) -> np.ndarray:
    """Sum over an axis that is not the innermost, `_ROWS` rows at a time."""
    work = array.reshape(math.prod(array.shape[:axis]), array.shape[axis], -1)
    while work.shape[1] > 2 * _ROWS:
        lead, count, row = work.shape
        blocks = min(_ROWS, math.isqrt(count))
        size = count // blocks
        whole = work[:, : blocks * size].reshape(lead, blocks, size, row)
        rest = work[:, blocks * size :]
        work = np.add.reduce(whole, 1)
        work[:, : rest.shape[1]] += rest
    return np.add.reduce(work, 1).reshape(array.shape[:axis] + array.shape[axis + 1 :])


def dtype_of_out(args: Sequence[Any], out: Tensor, settings: dict[str, Any]) -> None:
    """Sums written to a given tensor are computed in its dtype, unless another is asked for."""
    if settings.get("dtype") is None:
        settings["dtype"] = out.dtype


SUMMED = OutRule(check_castable, prepare=dtype_of_out)
"""How sums take `out=`."""


def unreduce(value: Any, shape: Sequence[int], dim: Any, keepdim: bool) -> Any:
    """Put reduced dimensions back with size 1, so that `value` broadcasts over the input."""
    if keepdim or not value.dim() < len(shape):
        return value
    axes = dims_of(dim, len(shape))
    if len(axes) == len(shape):
        return value
    for axis in sorted(axes):
        value = value.unsqueeze(axis)
    return value
