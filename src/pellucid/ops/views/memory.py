"""Views of the storage itself: `as_strided`, and complex numbers as pairs of real ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.arguments import integer, integers
from pellucid.ops.dispatch import composite, operator, view_operator
from pellucid.ops.inplace import EXACT, scalar_type
from pellucid.ops.views.embed import regather
from pellucid.tensor import layout as layouts
from pellucid.tensor.dtype import dtype as DType
from pellucid.tensor.layout import Layout
from pellucid.tensor.lazy_storage import read_as
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, empty


def strided_layout(input: Tensor, size: Any, stride: Any, storage_offset: Any) -> Layout:
    """The layout asked of `as_strided`, checked against the storage."""
    shape = integers("as_strided", "size", 1, size)
    strides = integers("as_strided", "stride", 2, stride)
    if storage_offset is not None:
        storage_offset = integer("as_strided", "storage_offset", 3, storage_offset)
    layout = layouts.as_strided(input._layout, shape, strides, storage_offset)
    itemsize = input.dtype.itemsize
    needed, held = layout.bounds[1] * itemsize, input._storage.nbytes()
    if layout.numel and needed > held:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset "
            f"{layout.offset}, and itemsize {itemsize} requiring a storage size of {needed} are "
            f"out of bounds for storage of size {held}\n"
            f"  The storage holds elements 0 to {held // itemsize - 1}; the last element asked for "
            f"is {layout.bounds[1] - 1}."
        )
    return layout


def _as_strided_grad(
    grad: Tensor, input_layout: Layout, size: Any, stride: Any, storage_offset: Any
) -> Tensor:
    offset = input_layout.offset if storage_offset is None else int(storage_offset)
    source = Layout(tuple(size), tuple(stride), offset)
    overlaps = not input_layout.is_non_overlapping_and_dense
    return regather(grad, source, input_layout, input_layout if overlaps else None)


@view_operator(gradient={"input": _as_strided_grad})
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: Any = None) -> Layout:
    """Any shape, strides and offset (in elements) over the same storage.

    Raises RuntimeError when an element would lie outside the storage. The gradient adds up over
    the places where an element shows.
    """
    return strided_layout(input, size, stride, storage_offset)


# --- complex numbers as pairs ---------------------------------------------------------------------


@view_operator(where="torch", gradient={"input": lambda grad: view_as_complex(grad.contiguous())})
def view_as_real(input: Tensor) -> tuple[Layout, DType]:
    """Complex numbers as pairs (real, imaginary) in a last dimension of size 2. Shares memory."""
    if not input.dtype.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    if input._storage.conjugated:
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate "
            "tensor so you can view it as real, use self.resolve_conj(); however, be warned that "
            "the resulting tensor will NOT alias the original."
        )
    return layouts.pairs(input._layout), input.dtype.to_real()


@view_operator(where="torch", gradient={"input": lambda grad: view_as_real(grad)})
def view_as_complex(input: Tensor) -> tuple[Layout, DType]:
    """A last dimension of size 2 as complex numbers. Shares memory."""
    if not input.dtype.is_floating_point or input.dtype.name == "bfloat16":
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {scalar_type(input.dtype)}"
        )
    return layouts.joined_pairs(input._layout), input.dtype.to_complex()


@composite(where="torch")
def real(input: Tensor) -> Tensor:
    """The real parts: a view for complex tensors, the tensor itself for others."""
    return _as_it_lies(input).select(-1, 0) if input.dtype.is_complex else input


@composite(where="torch")
def imag(input: Tensor) -> Tensor:
    """The imaginary parts, a view. Raises RuntimeError for real tensors."""
    if not input.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    part = _as_it_lies(input).select(-1, 1)
    return neg_view(part) if input._storage.conjugated else part


def _as_it_lies(input: Tensor) -> Tensor:
    """The pairs of numbers in memory, not conjugated."""
    return view_as_real(_conj(input) if input._storage.conjugated else input)


def _set_real(input: Tensor, value: Any) -> None:
    real(input)[...] = value


def _set_imag(input: Tensor, value: Any) -> None:
    imag(input)[...] = value


Tensor.real = property(real, _set_real)  # type: ignore[assignment]
Tensor.imag = property(imag, _set_imag)  # type: ignore[assignment]


# --- conjugates and negatives that share memory ---------------------------------------------------


@view_operator(
    where="torch Tensor",
    name="_conj",
    backward_name="ConjBackward0",
    gradient={"input": lambda grad: conj(grad)},
)
def _conj(input: Tensor) -> Storage:
    """The complex conjugate, a view. Raises RuntimeError for real tensors."""
    if not input.dtype.is_complex:
        raise RuntimeError(f"_conj: a tensor of {input.dtype!r} has no conjugate view; use conj()")
    return read_as(input._storage, conjugated=True)


@view_operator(
    where="torch Tensor",
    name="_neg_view",
    backward_name="NegViewBackward0",
    gradient={"input": lambda grad: -grad},
)
def neg_view(input: Tensor) -> Storage:
    """The negative, a view. Raises RuntimeError for booleans."""
    if input.dtype.category == 0:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
    return read_as(input._storage, negated=True)


@composite()
def conj(input: Tensor) -> Tensor:
    """The complex conjugate, a view that is computed when it is read; real tensors are returned."""
    return _conj(input) if input.dtype.is_complex else input


@operator(
    where="internal",
    name="conj_physical",
    gradient={"input": lambda grad: conj_physical(grad)},
)
def _conj_physical(input: Tensor) -> Tensor:
    out = empty(layouts.empty_like_layout(input._layout), input.dtype)
    np.conjugate(input._array, out._array)
    return out


@composite(out=EXACT, inplace=True)
def conj_physical(input: Tensor) -> Tensor:
    """The complex conjugate in fresh memory; real tensors are returned."""
    return _conj_physical(input) if input.dtype.is_complex else input


@composite()
def resolve_conj(input: Tensor) -> Tensor:
    """A conjugate view in fresh memory; the tensor itself if it is none."""
    return input.clone() if input._storage.conjugated else input


@composite()
def resolve_neg(input: Tensor) -> Tensor:
    """A negative view in fresh memory; the tensor itself if it is none."""
    return input.clone() if input._storage.negated else input
