"""Whole slices along one dimension by index: `index_select`, `index_add`, `index_copy`, …"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import integer, tensor
from pellucid.ops.dispatch import operator
from pellucid.ops.indexing.accumulate import add_at
from pellucid.ops.indexing.reduce_at import REDUCERS, Places, reduce_grads, reduce_rows
from pellucid.ops.inplace import MOVED, MOVED_APART, refuse_shared, scalar_type
from pellucid.ops.memory.memory import as_scalar
from pellucid.ops.writing import writer
from pellucid.tensor import layout as layouts
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.promotion import number_dtype
from pellucid.tensor.tensor import Tensor, adopt, empty

WHOLE: Any = slice(None)


def _rows(array: np.ndarray, axis: int) -> np.ndarray:
    """The array with `axis` in front; a 0-dim array as one row."""
    return np.moveaxis(np.atleast_1d(array), axis, 0)


def _grad_of_selected(grad: Tensor, input_layout: Layout, dim: int, index: Tensor) -> Tensor:
    return F.zeros(input_layout.shape, dtype=grad.dtype).index_add(dim, index, grad)


@operator(out=MOVED_APART, gradient={"input": _grad_of_selected})
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices `index` along dimension `dim`, whose size becomes that of `index`."""
    tensor("index_select", "index", 2, index)
    axis = layouts.normalize_dim(integer("index_select", "dim", 1, dim), input.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index.dtype.name not in ("int64", "int32"):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    shape, places = input._layout.shape, index._array.reshape(-1)
    if not shape and len(places) != 1:
        raise RuntimeError(
            f"index_select(): Index to scalar can have only 1 value, got {len(places)} value(s)"
        )
    size = shape[axis] if shape else 1
    if len(places) and not 0 <= places.min() <= places.max() < size:
        wrong = places[(places < 0) | (places >= size)][0]
        raise IndexError(
            f"index out of range in self\n  {wrong} is outside 0 to {size - 1} (dimension {axis})."
        )
    if not shape:
        out = empty(contiguous(()), input.dtype)
        out._array[...] = input._array
        return out
    out = empty(contiguous((*shape[:axis], len(places), *shape[axis + 1 :])), input.dtype)
    if input._array.flags.c_contiguous:
        np.take(input._array, places, axis, out=out._array, mode="clip")
    else:
        out._array[...] = input._array[(*(WHOLE,) * axis, places)]
    return out


def _checked(
    name: str, input: Tensor, dim: Any, index: Any, source: Any
) -> tuple[int, np.ndarray, np.ndarray]:
    """Axis, row numbers and rows (axis in front) of `index_add` and its kin, all checked."""
    tensor(name, "index", 2, index)
    tensor(name, "source", 3, source)
    axis = layouts.normalize_dim(integer(name, "dim", 1, dim), input.ndim)
    if index.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim} "
            f"with type: {scalar_type(index.dtype)}"
        )
    if index.dtype.name not in ("int64", "int32"):
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index but got: {scalar_type(index.dtype)}"
        )
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}(): self ({scalar_type(input.dtype)}) and source ({scalar_type(source.dtype)}) "
            "must have the same scalar type"
        )
    places = index._array.reshape(-1)
    count = source._layout.shape[axis] if source.ndim else 1
    if (source.ndim and axis >= source.ndim) or len(places) != count:
        raise RuntimeError(
            f"{name}_(): Number of indices ({len(places)}) should be equal to "
            f"source.size(dim): ({count}), for dim: {axis}"
        )
    rest = [s for place, s in enumerate(input._layout.shape) if place != axis]
    own = [s for place, s in enumerate(source._layout.shape) if place != axis]
    if rest != own:
        raise RuntimeError(
            f"source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(input._layout.shape)} source.shape = "
            f"{list(source._layout.shape)}"
        )
    size = input._layout.shape[axis] if input.ndim else 1
    if len(places) and not 0 <= places.min() <= places.max() < size:
        if name == "index_copy":
            wrong = places[(places < 0) | (places >= size)][0]
            raise IndexError(
                f"index_copy_(): index {wrong} is out of bounds for dimension {axis} with size "
                f"{size}"
            )
        raise IndexError("index out of range in self")
    refuse_shared(input, index, source)
    return axis, places, source._array


def _add_source(grad: Tensor, dim: int, index: Tensor, source_layout: Layout, alpha: Any) -> Tensor:
    found = grad.index_select(dim, index).expand(source_layout.shape)
    return found if alpha == 1 else found * alpha


@writer(out=MOVED, row_major=True, gradient={"input": lambda grad: grad, "source": _add_source})
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> None:
    """Add `alpha` times the slices of `source` to the slices `index` along `dim`."""
    axis, places, values = _checked("index_add", input, dim, index, source)
    if number_dtype(alpha).category > input.dtype.category:
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if alpha != 1:
        values = values * as_scalar(alpha, input.dtype)
    target = np.atleast_1d(input._array)
    key = (*(WHOLE,) * axis, places, *(WHOLE,) * (target.ndim - axis - 1))
    add_at(target, key, np.atleast_1d(values).reshape(target[key].shape))


def _copy_source(grad: Tensor, dim: int, index: Tensor, source_layout: Layout) -> Tensor:
    return grad.index_select(dim, index).reshape(source_layout.shape)


def _without(grad: Tensor, dim: int, index: Tensor) -> Tensor:
    return grad.index_fill(dim, index, 0)


@writer(out=MOVED, row_major=True, gradient={"input": _without, "source": _copy_source})
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> None:
    """Replace the slices `index` along `dim` by those of `source`."""
    _check_copy(input, dim, index, source)
    axis, places, values = _checked("index_copy", input, dim, index, source)
    target = np.atleast_1d(input._array)
    target[(*(WHOLE,) * axis, places)] = np.atleast_1d(values)


def _check_copy(input: Tensor, dim: int, index: Any, source: Any) -> None:
    """The refusals of `index_copy` in PyTorch's own words."""
    tensor("index_copy", "index", 2, index)
    tensor("index_copy", "source", 3, source)
    axis = layouts.normalize_dim(integer("index_copy", "dim", 1, dim), input.ndim)
    if index.ndim > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {index.ndim})")
    count = index._layout.numel
    if not source.ndim and count != 1:
        raise IndexError(
            f"index_copy_(): When source is scalar, index should have one element (got {count})"
        )
    if input.ndim and source.ndim and input.ndim != source.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality "
            f"must match. Source dimensionality ({source.ndim}), destination dimensionality "
            f"({input.ndim})"
        )
    if index.dtype.name != "int64":
        raise RuntimeError(
            f"index_copy_(): Expected a long tensor for index, but got {scalar_type(index.dtype)}"
        )
    if source.dtype is not input.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{scalar_type(input.dtype)} and (source) {scalar_type(source.dtype)}"
        )
    own = [s for place, s in enumerate(input._layout.shape) if place != axis]
    given = [s for place, s in enumerate(source._layout.shape) if place != axis]
    if own != given:
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination "
            f"slice shape: {own} at dimension {axis} and source slice shape: {given} at "
            f"dimension {axis}."
        )
    if source.ndim and count != source._layout.shape[axis]:
        raise IndexError(
            f"index_copy_(): Number of indices ({count}) should be equal to source.size(dim) "
            f"({source._layout.shape[axis]})"
        )


def _fill_value(grad: Tensor, dim: int, index: Tensor) -> Tensor:
    once = adopt(np.unique(index._array))
    return grad.index_select(dim, once).sum()


@writer(gradient={"input": _without, "value": _fill_value})
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> None:
    """Set the slices `index` along `dim` to `value`, a number or a 0-dim tensor."""
    tensor("index_fill", "index", 2, index)
    axis = layouts.normalize_dim(integer("index_fill", "dim", 1, dim), input.ndim)
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        value = value.item()
    if index.dtype.name not in ("int64", "int32"):
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.ndim > 1:
        raise IndexError("Index has to be a vector/scalar")
    if isinstance(value, complex) and not input.dtype.is_complex:
        raise RuntimeError(
            "index_fill_(): Converting complex Scalar to non-complex type is not supported"
        )
    filler = as_scalar(value, input.dtype)
    refuse_shared(input, index)
    target, places = np.atleast_1d(input._array), index._array.reshape(-1)
    size = target.shape[axis]
    outside = (places < -size) | (places >= size)
    if outside.any():
        raise IndexError(
            f"index {places[outside][0]} is out of bounds for dimension {axis} with size {size}"
        )
    target[(*(WHOLE,) * axis, places)] = filler


# --- index_reduce ---------------------------------------------------------------------------------


def _reduce_grads(
    grad: Tensor,
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    include_self: bool,
    out: Tensor,
) -> tuple[Tensor, Tensor]:
    places = Places(
        read=lambda whole: whole.index_select(dim, index),
        add=lambda whole, rows: whole.index_add(dim, index, rows),
        combine=lambda whole, rows: whole.index_reduce(
            dim, index, rows, reduce, include_self=include_self
        ),
        clear=lambda whole: whole.index_fill(dim, index, 0),
    )
    return reduce_grads(grad, input, source, out, reduce, include_self, places)


@writer(out=MOVED, row_major=True, gradient={("input", "source"): _reduce_grads})
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> None:
    """Reduce the slices of `source` into the slices `index` by "prod", "mean", "amax" or "amin".

    With `include_self=False` the slices' old values do not take part.
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    axis, places, values = _checked("index_reduce", input, dim, index, source)
    rows, given = _rows(input._array, axis), _rows(values, axis)
    reduce_rows(
        REDUCERS[reduce], rows, (places,), given.reshape(len(places), *rows.shape[1:]), include_self
    )
