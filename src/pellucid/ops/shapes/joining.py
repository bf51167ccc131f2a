"""Joining tensors: `cat` and `stack`, and the names NumPy gave their special cases."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import integer
from pellucid.ops.arguments import tensors as as_list
from pellucid.ops.dispatch import operator
from pellucid.ops.inplace import copy_array, scalar_type
from pellucid.ops.spec import OutRule
from pellucid.ops.views.advice import odd_one
from pellucid.ops.views.parts import slice_along
from pellucid.tensor import layout as layouts
from pellucid.tensor.dtype import dtype as DType
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.promotion import can_cast, combine
from pellucid.tensor.tensor import Tensor, empty


def common_dtype(given: Sequence[Tensor]) -> DType:
    """The dtype that the tensors are joined in."""
    kinds = {each.dtype for each in given}
    if len(kinds) == 1:
        return kinds.pop()
    dimensioned = [each.dtype for each in given if each._layout.shape]
    return combine(dimensioned, [each.dtype for each in given if not each._layout.shape], [])


_SKIPPED = (0,)
"""Tensors of this shape join with anything, for the sake of old programs."""


def _is_skipped(layout: Layout) -> bool:
    return layout.shape == _SKIPPED


def _joined(given: list[Tensor], dim: int) -> tuple[Layout, int]:
    """The layout of `cat`'s result and the dimension counted from the front."""
    try:
        return _joined_layouts(tuple([each._layout for each in given]), dim)
    except _DoesNotFit as wrong:
        words, same = wrong.args
        raise RuntimeError(f"{words}\n{odd_one(given, same)}") from None


class _DoesNotFit(Exception):
    """Words, and the sizes that should agree."""


@lru_cache(maxsize=4096)
def _joined_layouts(given: tuple[Layout, ...], dim: int) -> tuple[Layout, int]:
    kept = [layout for layout in given if not _is_skipped(layout)]
    for place, layout in enumerate(given):
        if not layout.shape:
            raise RuntimeError(
                f"zero-dimensional tensor (at position {place}) cannot be concatenated\n"
                "  torch.stack joins them along a new dimension."
            )
    first = (kept or given)[0]
    axis = layouts.normalize_dim(dim, len(first.shape))
    if not kept:
        return first, axis
    same = [None if place == axis else size for place, size in enumerate(first.shape)]
    total = 0
    for number, layout in enumerate(given):
        shape = layout.shape
        if _is_skipped(layout):
            continue
        if len(shape) != len(same):
            raise _DoesNotFit(
                f"Tensors must have same number of dimensions: got {len(same)} and {len(shape)}",
                same,
            )
        for place, size in enumerate(shape):
            if place != axis and size != first.shape[place]:
                raise _DoesNotFit(
                    f"Sizes of tensors must match except in dimension {axis}. Expected size "
                    f"{first.shape[place]} but got size {size} for tensor number {number} in the "
                    "list.",
                    same,
                )
        total += shape[axis]
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    formats = {layout.suggested_memory_format for layout in kept}
    if formats == {"channels_last"}:
        return layouts.channels_last(shape), axis
    if formats == {"channels_last_3d"}:
        return layouts.channels_last_3d(shape), axis
    return contiguous(shape), axis


def _cat_grad(grad: Tensor, tensors_layout: tuple[Layout, ...], dim: int) -> list[Tensor]:
    ndim = grad.ndim
    axis = layouts.normalize_dim(dim, ndim)
    found, start = [], 0
    for layout in tensors_layout:
        if _is_skipped(layout) and ndim != 1:
            found.append(F.zeros(0, dtype=grad.dtype))
            continue
        end = start + layout.shape[axis]
        found.append(slice_along(grad, axis, start, end))
        start = end
    return found


def _check_castable(source: DType, target: DType) -> None:
    """Refuse an `out=` of a lower category, by the type of exception that `cat` has for it."""
    if not can_cast(source, target):
        raise TypeError(
            "torch.cat(): input types can't be cast to the desired output type "
            f"{scalar_type(target)}"
        )


JOINED = OutRule(_check_castable)
JOINED_APART = OutRule(_check_castable, apart=True)


@operator(
    where="torch",
    out=JOINED_APART,
    aliases=("concat", "concatenate"),
    gradient={"tensors": _cat_grad},
)
def cat(tensors: Any, dim: int = 0) -> Tensor:
    """Join tensors along dimension `dim`; their other sizes must agree.

    The result's dtype is the promoted one. Tensors of shape (0,) are skipped.
    """
    given = as_list("cat", tensors)
    if not given:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    layout, axis = _joined(given, integer("cat", "dim", 2, dim))
    out = empty(layout, common_dtype(given))
    kept = [each for each in given if each._layout.shape != _SKIPPED]
    join_into(out._array, kept, axis, out.dtype)
    return out


def join_into(target: np.ndarray, given: Sequence[Tensor], axis: int, dtype: DType) -> None:
    """Copy the tensors side by side into `target`."""
    if not given:
        return
    if {each.dtype for each in given} == {dtype}:
        np.concatenate([each._array for each in given], axis, out=target)
        return
    start = 0
    along = np.moveaxis(target, axis, 0)
    for each in given:
        end = start + each._layout.shape[axis]
        copy_array(along[start:end], np.moveaxis(each._array, axis, 0))
        start = end


def _stack_grad(grad: Tensor, dim: int) -> tuple[Tensor, ...]:
    return grad.unbind(dim)


def _stacked_layout(given: list[Tensor], axis: int) -> Layout:
    """Channels-last tensors stay so, the new dimension just outside the one that it is put before;
    everything else is stacked row-major.
    """
    shape = given[0]._layout.shape
    rank = len(shape)
    stacked = (*shape[:axis], len(given), *shape[axis:])
    if rank not in (4, 5) or axis == rank:
        return contiguous(stacked)
    formats = {each._layout.suggested_memory_format for each in given}
    if formats != {"channels_last" if rank == 4 else "channels_last_3d"}:
        return contiguous(stacked)
    order = [dim + (dim >= axis) for dim in (0, *range(2, rank), 1)]
    order.insert(order.index(axis + 1), axis)
    packed = contiguous(tuple(stacked[dim] for dim in order))
    return layouts.permute(packed, tuple(order.index(dim) for dim in range(rank + 1)))


@operator(where="torch", out=JOINED, gradient={"tensors": _stack_grad})
def stack(tensors: Any, dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new dimension `dim`."""
    given = as_list("stack", tensors)
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = given[0]._layout.shape
    axis = layouts.normalize_dim(integer("stack", "dim", 2, dim), len(shape) + 1)
    for place, each in enumerate(given):
        if each._layout.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(each._layout.shape)} at entry {place}\n{odd_one(given, shape)}"
            )
    out = empty(_stacked_layout(given, axis), common_dtype(given))
    if all(each.dtype is out.dtype for each in given):
        np.stack([each._array for each in given], axis, out=out._array)
        return out
    along = np.moveaxis(out._array, axis, 0)
    for place, each in enumerate(given):
        copy_array(along[place, ...], each._array)
    return out
