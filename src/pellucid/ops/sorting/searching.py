"""Searching: `searchsorted`, `bucketize`, `unique`, `unique_consecutive`, `isin`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import EXACT, scalar_type
from pellucid.ops.reductions.reduce import work_array
from pellucid.ops.spec import NoGradient, OutRule
from pellucid.ops.underivable import listed
from pellucid.tensor.dtype import COMPLEX, bool_, dtype, int32, int64
from pellucid.tensor.layout import contiguous, normalize_dim
from pellucid.tensor.promotion import number_dtype, promote_types
from pellucid.tensor.tensor import Tensor, adopt, empty

# --- binary search --------------------------------------------------------------------------------


def _search_rows(rows: np.ndarray, values: np.ndarray, right: bool) -> np.ndarray:
    """Binary search of `values` (..., m) in sorted `rows` (..., n), all rows at once."""
    low = np.zeros(values.shape, np.int64)
    high = np.full(values.shape, rows.shape[-1], np.int64)
    for _ in range(rows.shape[-1].bit_length()):
        middle = np.minimum((low + high) // 2, rows.shape[-1] - 1)
        found = np.take_along_axis(rows, middle, -1)
        open_ = low < high
        beyond = ~(found > values) if right else ~(found >= values)
        low = np.where(open_ & beyond, middle + 1, low)
        high = np.where(open_ & ~beyond, middle, high)
    return low


def _check_search(
    rows: Tensor, values: Any, right: bool, side: str | None, sorter: Tensor | None
) -> bool:
    """Whether to search to the right of equal elements. Raises for what does not fit together."""
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(
            "torch.searchsorted(): side can only be 'left' or 'right' but got " + side
        )
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while right was True"
        )
    if not rows.dim():
        raise RuntimeError(
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor "
            "dimension is 1"
            if isinstance(values, Tensor) and values.dim()
            else "boundaries tensor should have positive dimension"
        )
    if not isinstance(values, Tensor) or not values.dim():
        if rows.dim() != 1:
            raise RuntimeError(
                "torch.searchsorted(): input value can be a scalar only when boundaries tensor "
                f"dimension is 1, but we got boundaries tensor dim({rows.dim()}) and input "
                f"value's dim({values.dim() if isinstance(values, Tensor) else 0}) numel(1)"
            )
    elif rows.dim() != 1 and (rows.dim() != values.dim() or rows.shape[:-1] != values.shape[:-1]):
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            f"boundaries tensor {list(rows.shape)} and input value tensor {list(values.shape)}"
        )
    if sorter is not None:
        if sorter.shape != rows.shape:
            raise RuntimeError(
                "torch.searchsorted(): boundary and sorter must have the same size, but got "
                f"boundary tensor {list(rows.shape)}and got sorter tensor {list(sorter.shape)}"
            )
        if sorter.dtype is not int64:
            raise RuntimeError(
                "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype "
                f"{scalar_type(sorter.dtype)}"
            )
        if sorter.numel() and not bool(
            ((sorter._array >= 0) & (sorter._array < sorter.shape[-1])).all()
        ):
            raise RuntimeError("torch.searchsorted(): sorter index out of range")
    return right or side == "right"


def _check_out(source: dtype, target: dtype) -> None:
    if source is not target:
        raise RuntimeError(
            "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or "
            "Long(int64) depending on whether out_int32 flag is True, but we got output tensor's "
            f"dtype {scalar_type(target)} and out_int32 flag is {source is int32}"
        )


_FOUND = OutRule(_check_out)


@operator(where="torch Tensor", out=_FOUND, gradient=NoGradient("returns indices"))
def searchsorted(
    input: Tensor,
    values: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where `values` would be put into the sorted rows of `input` to keep them sorted.

    `right` puts them behind equal elements. `sorter` holds the indices that sort `input`.
    """
    right = _check_search(input, values, right, side, sorter)
    if input.dtype.category == COMPLEX:
        raise NotImplementedError(
            f"\"searchsorted_out_cpu\" not implemented for '{scalar_type(input.dtype)}'"
        )
    common = input.dtype
    if isinstance(values, Tensor):
        common = promote_types(input.dtype, values.dtype)
    rows = work_array(input, common)
    if sorter is not None:
        rows = np.take_along_axis(rows, sorter._array, -1)
    if isinstance(values, Tensor):
        wanted = work_array(values, common)
    else:
        wanted = np.asarray(values, rows.dtype if isinstance(values, float) else None)
    out = empty(contiguous(wanted.shape), int32 if out_int32 else int64)
    if rows.ndim == 1 and rows.dtype.kind != "f":
        out._array[...] = np.searchsorted(rows, wanted, "right" if right else "left")
    elif rows.ndim == 1:
        out._array[...] = _search_rows(rows, wanted.reshape(-1), right).reshape(wanted.shape)
    else:
        out._array[...] = _search_rows(rows, wanted, right)
    return out


@composite(where="torch Tensor", out=_FOUND)
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """The number of the bucket between sorted `boundaries` that each element falls in."""
    if boundaries.dim() != 1:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor must be 1 dimension, but got dim("
            f"{boundaries.dim()})"
        )
    if isinstance(input, Tensor) and input.dtype is not boundaries.dtype:
        common = promote_types(input.dtype, boundaries.dtype)
        input, boundaries = input.to(common), boundaries.to(common)
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


# --- unique ---------------------------------------------------------------------------------------


def _as_rows(array: np.ndarray, axis: int | None) -> np.ndarray:
    """The things to compare as rows: elements, or slices along `axis`."""
    if axis is None:
        return array.reshape(-1, 1)
    front = np.moveaxis(array, axis, 0)
    return front.reshape(len(front), math.prod(front.shape[1:]))


def _groups(rows: np.ndarray, ordered: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equal neighbours (after sorting, unless `ordered`): (first of each, inverse, counts)."""
    count = len(rows)
    if ordered or not rows.shape[1]:
        order = np.arange(count)
    elif rows.shape[1] == 1:
        order = np.argsort(rows[:, 0], kind="stable")
    else:
        order = np.lexsort(rows.T[::-1])
    sorted_rows = rows[order]
    first = np.ones(count, bool)
    first[1:] = (sorted_rows[1:] != sorted_rows[:-1]).any(1)
    number = np.cumsum(first) - 1
    inverse = np.empty(count, np.int64)
    inverse[order] = number
    starts = np.flatnonzero(first)
    return order[starts], inverse, np.diff(np.append(starts, count))


def _unique(input: Tensor, dim: int | None, consecutive: bool) -> tuple[Tensor, Tensor, Tensor]:
    axis = None if dim is None else normalize_dim(dim, input.dim())
    if input.dtype.category == COMPLEX:
        raise NotImplementedError(
            f"\"unique\" not implemented for '{scalar_type(input.dtype)}'\n"
            "  Complex numbers have no order: use view_as_real(x) with dim=0."
        )
    if axis is not None and input.dim() and not input.shape[axis] and input.numel() == 0:
        if sum(size == 0 for size in input.shape) > 1:
            raise RuntimeError(
                "There are 0 sized dimensions, and they aren't selected by `dim`, so unique "
                "cannot be applied"
            )
    elif axis is not None and not input.numel() and input.dim():
        raise RuntimeError(
            "There are 0 sized dimensions, and they aren't selected by `dim`, so unique cannot be "
            "applied"
        )
    array = input._array
    if not input.dim():
        axis = None
    first, inverse, counts = _groups(_as_rows(work_array(input, input.dtype), axis), consecutive)
    if axis is None:
        values = array.reshape(-1)[first]
        inverse = inverse.reshape(array.shape)
    else:
        front = np.ascontiguousarray(np.moveaxis(array, axis, 0))
        values = np.moveaxis(front[first], 0, axis)
    return (
        adopt(values, input.dtype),
        adopt(np.array(inverse), int64),
        adopt(counts.astype(np.int64), int64),
    )


@operator(where="internal", name="unique2", gradient={"input": listed("_unique2")})
def _unique2(input: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _unique(input, None, False)


@operator(where="internal", name="unique_dim", gradient={"input": listed("unique_dim")})
def _unique_along(input: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    return _unique(input, dim, False)


@operator(
    where="internal",
    name="unique_consecutive",
    gradient={"input": listed("unique_consecutive")},
)
def _unique_neighbours(input: Tensor, dim: int | None) -> tuple[Tensor, Tensor, Tensor]:
    return _unique(input, dim, True)


def _asked(found: tuple[Tensor, Tensor, Tensor], inverse: bool, counts: bool) -> Any:
    if not inverse and not counts:
        return found[0]
    return (found[0], *([found[1]] if inverse else []), *([found[2]] if counts else []))


@composite()
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements (or slices along `dim`), sorted.

    With `return_inverse` also where each element went, with `return_counts` how many there were.
    """
    found = _unique_along(input, dim) if dim is not None else _unique2(input)
    return _asked(found, return_inverse, return_counts)


@composite()
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The elements (or slices along `dim`) without those that equal the one before."""
    return _asked(_unique_neighbours(input, dim), return_inverse, return_counts)


# --- membership -----------------------------------------------------------------------------------


@composite(where="torch", out=EXACT, by_element=True)
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is among `test_elements`."""
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin() received an invalid combination of arguments: one must be a Tensor")
    kinds = [
        x.dtype if isinstance(x, Tensor) else number_dtype(x) for x in (elements, test_elements)
    ]
    for d in kinds:
        if d.category == COMPLEX:
            raise RuntimeError(f"Unsupported input type encountered for isin(): {scalar_type(d)}")
    common = promote_types(*kinds)
    arrays = [
        work_array(x, common) if isinstance(x, Tensor) else np.asarray(x, common.numpy)
        for x in (elements, test_elements)
    ]
    return adopt(np.asarray(np.isin(arrays[0], arrays[1], invert=invert)), bool_)
