"""Order: `sort`, `argsort`, `msort`, `topk`, `kthvalue`.

NaN counts as larger than every number. Equal elements stay in their order, also when sorted
downwards, except where PyTorch's unstable sort is followed: short rows of narrow types, in which
most elements have equal ones. What is chosen gets the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.arguments import integer
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import EXACT, check_castable, scalar_type
from pellucid.ops.reductions.extremes import scatter_back
from pellucid.ops.reductions.reduce import work_array
from pellucid.ops.returns import return_type
from pellucid.ops.sorting import selection
from pellucid.ops.spec import OutRule
from pellucid.tensor.dtype import COMPLEX, bfloat16, bool_, float16, int8, int16, int64, uint8
from pellucid.tensor.layout import contiguous, empty_like_layout, normalize_dim
from pellucid.tensor.tensor import Tensor, empty

_Sort = return_type("sort", "values indices")
_Topk = return_type("topk", "values indices")
_Kthvalue = return_type("kthvalue", "values indices")


def order_of(array: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """The indices that sort `array` along `axis`, equal elements in their order."""
    if not descending:
        return np.argsort(array, axis, kind="stable")
    flipped = np.argsort(np.flip(array, axis), axis, kind="stable")
    return array.shape[axis] - 1 - np.flip(flipped, axis)


_NARROW_TYPES = frozenset({bool_, uint8, int8, int16, float16, bfloat16})
_SORTED = 1 << 13
_RUN = 16


def as_std_sort(array: np.ndarray, axis: int, order: np.ndarray) -> np.ndarray:
    """The order in which `std::sort` leaves `array` along `axis`; `order` is any that sorts it."""
    rows = np.moveaxis(array, axis, -1)
    order = np.moveaxis(order, axis, -1)
    ordered = np.take_along_axis(rows, order, -1)
    fresh = ordered[..., 1:] != ordered[..., :-1]
    if array.dtype.kind == "f":
        fresh &= ~(np.isnan(ordered[..., 1:]) & np.isnan(ordered[..., :-1]))
    ranks = np.zeros(rows.shape, np.int64)
    np.put_along_axis(ranks, order[..., 1:], np.cumsum(fresh, -1), -1)
    found = []
    for keys in ranks.reshape(-1, rows.shape[-1]).tolist():
        row = list(zip(keys, range(len(keys)), strict=True))
        selection.sort(row, len(row))
        found.append([index for _, index in row])
    return np.moveaxis(np.array(found).reshape(order.shape), -1, axis)


def _placed(grad: Any, input_layout: Any, indices: Any, dim: int) -> Any:
    return scatter_back(grad, input_layout, indices, dim, True)


@operator(
    where="internal",
    name="sort",
    out=True,
    fields=("values", "indices"),
    gradient={"input": _placed},
)
def _sort(input: Tensor, dim: int, descending: bool, stable: bool) -> Any:
    axis = normalize_dim(integer("sort", "dim", 2, dim), input.dim())
    if input.dtype.category == COMPLEX:
        raise RuntimeError(
            "Sort currently does not support complex dtypes on CPU\n"
            "  Complex numbers have no order: sort .abs(), .real or .imag."
        )
    layout = empty_like_layout(input._layout)
    values, indices = empty(layout, input.dtype), empty(layout, int64)
    if not layout.shape:
        values._array[...], indices._array[...] = input._array, 0
        return _Sort(values, indices)
    array = work_array(input, input.dtype)
    order = order_of(array, axis, descending)
    short = array.shape[axis] > _RUN and array.size <= _SORTED
    if not stable and short and input.dtype in _NARROW_TYPES:
        order = as_std_sort(array, axis, order)
    indices._array[...] = order
    values._array[...] = np.take_along_axis(input._array, order, axis)
    return _Sort(values, indices)


@composite()
def sort(
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    *,
    stable: bool = False,
    out: Any = None,
) -> Any:
    """The elements in order along `dim`, and where each one stood, as `(values, indices)`."""
    return _sort(input, dim, descending, stable, out=out)


@composite(out=True)
def argsort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False
) -> Tensor:
    """The indices that sort along `dim`."""
    return _sort(input.detach(), dim, descending, stable)[1]


@composite(out=EXACT)
def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension."""
    return _sort(input, 0, False, False)[0]


_FOLLOWED = 1 << 14
"""Up to so many elements PyTorch's choice among equal elements is followed; it is specified for
none, and beyond the first of them are taken."""


def _first(array: np.ndarray, axis: int, k: int, largest: bool, ordered: bool) -> np.ndarray:
    """The indices of the `k` most extreme elements along `axis`, in order."""
    count = array.shape[axis]
    if 8 * k < count and count > 256:
        place = count - k if largest else k - 1
        part = np.argpartition(array, place, axis)
        part = part.take(np.arange(count - k, count) if largest else np.arange(k), axis)
        part.sort(axis)  # equal elements in their order
        inner = order_of(np.take_along_axis(array, part, axis), axis, largest)
        found = np.take_along_axis(part, inner, axis)
    else:
        found = order_of(array, axis, largest).take(np.arange(k), axis)
    if not 1 < array.size <= _FOLLOWED or not _tied(array, axis, found):
        return found

    def again(keys: list[int]) -> list[int]:
        return selection.top(keys, k, ordered)

    return _follow(array, axis, found, largest, again)


def _tied(array: np.ndarray, axis: int, found: np.ndarray) -> bool:
    """Whether an element that was found (in order) has an equal one, found or not."""
    values = np.take_along_axis(array, found, axis)
    border = values.take([-1], axis) if found.shape[axis] else values
    if np.isnan(values).any() if array.dtype.kind == "f" else False:
        return True
    if bool((np.diff(values, axis=axis) == 0).any() if array.dtype.kind != "b" else True):
        return True
    return bool(((array == border).sum(axis) > 1).any()) if border.size else False


def _follow(
    array: np.ndarray,
    axis: int,
    found: np.ndarray,
    largest: bool,
    again: Callable[[list[int]], list[int]],
) -> np.ndarray:
    """Choose anew in the rows where an element that was found has an equal one.

    `again` gets the elements' ranks, smaller first, and returns indices.
    """
    rows = np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis])
    chosen = np.ascontiguousarray(np.moveaxis(found, axis, -1))
    flat = chosen.reshape(-1, chosen.shape[-1])
    order = order_of(rows, 1, largest)
    ordered = np.take_along_axis(rows, order, 1)
    fresh = ordered[:, 1:] != ordered[:, :-1]
    if array.dtype.kind == "f":
        fresh &= ~(np.isnan(ordered[:, 1:]) & np.isnan(ordered[:, :-1]))
    ranks = np.zeros(rows.shape, np.int64)
    np.put_along_axis(ranks, order[:, 1:], np.cumsum(fresh, 1), 1)
    counted = np.zeros(rows.shape, np.int64)
    np.add.at(counted, (np.arange(len(rows))[:, None], ranks), 1)
    sizes = np.take_along_axis(counted, np.take_along_axis(ranks, flat, 1), 1)
    for number in np.flatnonzero((sizes > 1).any(1)):
        flat[number] = again(ranks[number].tolist())
    return np.moveaxis(chosen, -1, axis)


@operator(out=True, fields=("values", "indices"), gradient={"input": _placed})
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The `k` largest (or smallest) elements along `dim`, and their indices."""
    k = integer("topk", "k", 2, k)
    axis = normalize_dim(integer("topk", "dim", 3, dim), input.dim())
    shape = input._layout.shape
    if k < 0 or k > (shape[axis] if shape else 1):
        raise RuntimeError("selected index k out of range")
    if input.dtype.category == COMPLEX or input.dtype is bool_:
        if input.dtype.category == COMPLEX:
            raise RuntimeError(
                "topk(): does not support complex dtypes on CPU\n"
                "  Complex numbers have no order: use .abs(), .real or .imag."
            )
        raise NotImplementedError(
            "\"topk_impl_loop\" not implemented for 'Bool'\n  Convert the input with .int() first."
        )
    layout = contiguous(tuple([k if i == axis else size for i, size in enumerate(shape)]))
    values, indices = empty(layout, input.dtype), empty(layout, int64)
    if not shape:
        values._array[...], indices._array[...] = input._array, 0
        return _Topk(values, indices)
    chosen = _first(work_array(input, input.dtype), axis, k, largest, sorted)
    indices._array[...] = chosen
    values._array[...] = np.take_along_axis(input._array, chosen, axis)
    return _Topk(values, indices)


_APART = OutRule(check_castable, apart=True)


def _kth_grad(grad: Any, input_layout: Any, indices: Any, dim: int, keepdim: bool) -> Any:
    return scatter_back(grad, input_layout, indices, dim, keepdim)


@operator(out=_APART, fields=("values", "indices"), gradient={"input": _kth_grad})
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The `k`-th smallest element along `dim`, counted from 1, and its index."""
    k = integer("kthvalue", "k", 2, k)
    axis = normalize_dim(integer("kthvalue", "dim", 3, dim), input.dim())
    shape = input._layout.shape
    if shape and not shape[axis]:
        raise IndexError(f"kthvalue(): Expected reduction dim {axis} to have non-zero size.")
    if not 1 <= k <= (shape[axis] if shape else 1):
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {axis}\n"
            f"  k counts from 1: it must lie between 1 and {shape[axis] if shape else 1}."
        )
    if input.dtype.category == COMPLEX or input.dtype is bool_:
        raise NotImplementedError(
            f"\"kthvalue_cpu\" not implemented for '{scalar_type(input.dtype)}'\n"
            "  Convert the input to an integer or floating dtype first."
        )
    kept = tuple([1 if i == axis else size for i, size in enumerate(shape)])
    left = kept if keepdim else kept[:axis] + kept[axis + 1 :]
    values, indices = empty(contiguous(left), input.dtype), empty(contiguous(left), int64)
    if not shape:
        values._array[...], indices._array[...] = input._array, 0
        return _Kthvalue(values, indices)
    array = work_array(input, input.dtype)
    chosen = order_of(array, axis, False).take([k - 1], axis)
    if 1 < array.size <= _FOLLOWED and _tied(array, axis, chosen):
        chosen = _follow(array, axis, chosen, False, lambda keys: [selection.kth(keys, k - 1)])
    indices._array[...] = chosen.reshape(left)
    values._array[...] = np.take_along_axis(input._array, chosen, axis).reshape(left)
    return _Kthvalue(values, indices)
