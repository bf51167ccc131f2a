"""Choosing by a mask: `where`, `masked_fill`, `masked_select`, `masked_scatter`, `nonzero`."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import tensor, wrong_type
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import (
    EXACT,
    MOVED,
    MOVED_APART,
    c_name,
    copy_array,
    refuse_shared,
    scalar_type,
)
from pellucid.ops.memory.memory import as_scalar
from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import NoGradient, registry
from pellucid.ops.writing import in_place
from pellucid.tensor.dtype import bool_, int64, uint8
from pellucid.tensor.dtype import dtype as DType
from pellucid.tensor.layout import Layout, broadcast_shapes, contiguous, elementwise_layout
from pellucid.tensor.promotion import combine, number_dtype
from pellucid.tensor.tensor import Tensor, adopt, empty

_NUMBERS = (bool, int, float, complex)
_SCALAR = contiguous(())


# --- where ----------------------------------------------------------------------------------------


def _where_input(grad: Tensor, condition: Tensor) -> Tensor:
    return _where(condition, grad, 0)


def _where_other(grad: Tensor, condition: Tensor) -> Tensor:
    return _where(condition, 0, grad)


@operator(
    where="internal",
    name="where",
    out=EXACT,
    gradient={"input": _where_input, "other": _where_other},
)
def _where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """`input` where `condition` is true, else `other`; all three broadcast."""
    if condition.dtype is uint8:
        warnings.warn(
            "where received a uint8 condition tensor. This behavior is deprecated and will be "
            "removed in a future version of PyTorch. Use a boolean condition instead.",
            UserWarning,
            stacklevel=4,
        )
    elif condition.dtype is not bool_:
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{scalar_type(condition.dtype)}\n  (condition != 0) is one."
        )
    operands = (input, other)
    layouts = [v._layout if isinstance(v, Tensor) else _SCALAR for v in operands]
    out = empty(elementwise_layout(condition._layout, *layouts), _common(operands))
    target = out._array
    mask = condition._array if condition.dtype is bool_ else condition._array != 0
    copy_array(target, _array_of(other, out.dtype))
    chosen = _array_of(input, out.dtype)
    np.copyto(target, chosen, where=mask, casting="unsafe")
    return out


def _array_of(value: Any, dtype: DType) -> np.ndarray:
    if isinstance(value, Tensor):
        array = value._array
        return array.astype(dtype.numpy) if value.dtype is not dtype else array
    return as_scalar(value, dtype)


def _common(operands: tuple[Any, ...]) -> DType:
    """The promoted dtype of tensors and numbers."""
    tensors = [v for v in operands if isinstance(v, Tensor)]
    return combine(
        [v.dtype for v in tensors if v._layout.shape],
        [v.dtype for v in tensors if not v._layout.shape],
        [number_dtype(v) for v in operands if not isinstance(v, Tensor)],
    )


def where(condition: Tensor, input: Any = None, other: Any = None, *, out: Any = None) -> Any:
    """`input` where `condition` is true, else `other`. With the condition alone, as `nonzero`.

    Tensors and numbers broadcast and are promoted to a common dtype.
    """
    if not isinstance(condition, Tensor):
        raise wrong_type("where", "condition", 1, "Tensor", condition)
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    given = [v for v in (condition, input, other) if v is not None]
    for value in (input, other):
        if not isinstance(value, (Tensor, *_NUMBERS)):
            raise TypeError(
                "where() received an invalid combination of arguments - got "
                f"({', '.join(type(v).__name__ for v in given)}), but expected one of:\n"
                " * (Tensor condition)\n"
                " * (Tensor condition, Tensor or Number input, Tensor or Number other)"
            )
    return (
        _where(condition, input, other, out=out)
        if out is not None
        else _where(condition, input, other)
    )


def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """This tensor where `condition` is true, else `other`."""
    return where(condition, self, other)


registry.put("torch", "where", guarded_as("torch.where", where))
registry.put("Tensor", "where", guarded_as("Tensor.where", _where_method))


# --- masked_fill ----------------------------------------------------------------------------------


def _fill_input(grad: Tensor, mask: Tensor) -> Tensor:
    return masked_fill(grad, mask, 0)


def _fill_value(grad: Tensor, mask: Tensor) -> Tensor:
    return _where(mask, grad, 0).sum()


def _check_mask(mask: Any, name: str = "masked_fill") -> None:
    tensor(name, "mask", 1, mask)
    if mask.dtype is not bool_:
        raise RuntimeError(
            f"{name}_ only supports boolean masks, but got mask with dtype {c_name(mask.dtype)}\n"
            "  (mask != 0) is a boolean mask."
        )


def _fill(input: Tensor, mask: Tensor, value: Any) -> None:
    _check_mask(mask)
    if isinstance(value, Tensor):
        if value._layout.shape:
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        filler = as_scalar(value.item(), input.dtype)
    elif isinstance(value, (*_NUMBERS, np.generic)):
        filler = as_scalar(value, input.dtype)
    else:
        raise wrong_type("masked_fill", "value", 2, "Number", value)
    shape = broadcast_shapes(input._layout.shape, mask._layout.shape)
    if shape != input._layout.shape:
        raise RuntimeError(
            f"output with shape {list(input._layout.shape)} doesn't match the broadcast shape "
            f"{list(shape)}"
        )
    refuse_shared(input, mask)
    np.copyto(input._array, filler, where=mask._array)


@operator(gradient={"input": _fill_input, "value": _fill_value})
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """A copy with `value` (a number or 0-dim tensor) where `mask` is true; both broadcast."""
    _check_mask(mask)
    shape = broadcast_shapes(input._layout.shape, mask._layout.shape)
    out = empty(contiguous(shape), input.dtype)
    np.copyto(out._array, input._array)
    _fill(out, mask, value)
    return out


registry.put("Tensor", "masked_fill_", in_place(masked_fill.spec, _fill))  # type: ignore[attr-defined]


# --- masked_select and masked_scatter -------------------------------------------------------------


def _select_grad(grad: Tensor, input_layout: Layout, mask: Tensor) -> Tensor:
    shape = broadcast_shapes(input_layout.shape, mask._layout.shape)
    return masked_scatter(F.zeros(shape, dtype=grad.dtype), mask, grad)


@operator(out=MOVED_APART, gradient={"input": _select_grad})
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where `mask` is true, in one dimension; input and mask broadcast."""
    if tensor("masked_select", "mask", 1, mask).dtype is not bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = broadcast_shapes(input._layout.shape, mask._layout.shape)
    array = np.broadcast_to(input._array, shape)
    return adopt(array[np.broadcast_to(mask._array, shape)], input.dtype)


def _scatter_source(grad: Tensor, source_layout: Layout, mask: Tensor) -> Tensor:
    taken = masked_select(grad, mask)
    missing = source_layout.numel - taken.numel()
    if missing > 0:
        taken = F.cat([taken, F.zeros(missing, dtype=grad.dtype)])
    return taken[: source_layout.numel].reshape(source_layout.shape)


def _scatter(input: Tensor, mask: Tensor, source: Tensor) -> None:
    tensor("masked_scatter", "mask", 1, mask)
    tensor("masked_scatter", "source", 2, source)
    if source.dtype is not input.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{scalar_type(input.dtype)} and {scalar_type(source.dtype)}"
        )
    if mask.dtype is not bool_:
        raise RuntimeError(
            "masked_scatter_ only supports boolean masks, but got mask with dtype "
            f"{scalar_type(mask.dtype)}"
        )
    spread = np.broadcast_to(mask._array, input._layout.shape)
    count = int(np.count_nonzero(spread))
    if count > source._layout.numel:
        raise RuntimeError(
            "Number of elements of source < number of ones in mask\n"
            f"  source has {source._layout.numel}, the mask asks for {count}."
        )
    input._array[spread] = source._array.reshape(-1)[:count]


@operator(gradient={"input": _fill_input, "source": _scatter_source})
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy with the elements of `source`, in order, where `mask` is true."""
    shape = broadcast_shapes(input._layout.shape, tensor("masked_scatter", "mask", 1, mask).shape)
    out = empty(contiguous(tuple(shape)), input.dtype)
    np.copyto(out._array, input._array)
    _scatter(out, mask, source)
    return out


registry.put("Tensor", "masked_scatter_", in_place(masked_scatter.spec, _scatter))  # type: ignore[attr-defined]


# --- nonzero --------------------------------------------------------------------------------------

_INDICES = NoGradient("answers with indices")


@operator(where="internal", name="nonzero", out=MOVED, gradient=_INDICES)
def _nonzero(input: Tensor) -> Tensor:
    """(n, ndim) int64: the indices of the n elements that are not zero."""
    array = np.atleast_1d(input._array) if not input.ndim else input._array
    found = np.nonzero(array)
    count = len(found[0])
    out = empty(Layout((count, input.ndim), (1, count)), int64)
    for column, places in enumerate(found[: input.ndim]):
        out._array[:, column] = places
    return out


def nonzero(input: Tensor, *, as_tuple: bool = False, out: Any = None) -> Any:
    """The indices of elements that are not zero, one row each; or one tensor for each dimension."""
    if not isinstance(input, Tensor):
        raise wrong_type("nonzero", "input", 1, "Tensor", input)
    if not as_tuple:
        return _nonzero(input, out=out) if out is not None else _nonzero(input)
    if not input.ndim:
        return _nonzero(input.unsqueeze(0)).unbind(1)
    return _nonzero(input).unbind(1)


registry.put("torch", "nonzero", guarded_as("torch.nonzero", nonzero))
registry.put("Tensor", "nonzero", guarded_as("Tensor.nonzero", nonzero))


@composite()
def argwhere(input: Tensor) -> Tensor:
    """`nonzero` by NumPy's name."""
    return _nonzero(input)


@operator(out=MOVED, gradient=_INDICES)
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """`nonzero` with exactly `size` rows: cut, or filled up with `fill_value`."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = _nonzero(input)._array[:size]
    out = empty(contiguous((size, input.ndim)), int64)
    out._array[: len(found)] = found
    out._array[len(found) :] = fill_value
    return out


@composite(where="torch")
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Flat indices as a tuple of coordinates in a tensor of `shape`."""
    if indices.dtype.category != 1:
        raise ValueError(
            f"expected 'indices' to be integer dtype, but got torch.{indices.dtype.name}"
        )
    sizes = (shape,) if isinstance(shape, int) else shape
    if not isinstance(sizes, (tuple, list)):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    for size in sizes:
        if not isinstance(size, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(size)}")
        if size < 0:
            raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    found, rest = [], indices._array.astype(np.int64)
    for axis, size in enumerate(sizes):
        step = math.prod(sizes[axis + 1 :])
        found.append(np.asarray(rest // max(step, 1) % max(size, 1), np.int64))
    return adopt(np.stack(found, -1)).unbind(-1) if found else ()
