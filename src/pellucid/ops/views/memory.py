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
    return view_as_real(input).select(-1, 0) if input.dtype.is_complex else input


@composite(where="torch")
def imag(input: Tensor) -> Tensor:
    """The imaginary parts, a view. Raises RuntimeError for real tensors."""
    if not input.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return view_as_real(input).select(-1, 1)


def _set_real(input: Tensor, value: Any) -> None:
    real(input)[...] = value


def _set_imag(input: Tensor, value: Any) -> None:
    imag(input)[...] = value


Tensor.real = property(real, _set_real)  # type: ignore[assignment]
Tensor.imag = property(imag, _set_imag)  # type: ignore[assignment]


@operator(where="internal", name="conj", gradient={"input": lambda grad: conj(grad)})
def _conj(input: Tensor) -> Tensor:
    """The complex conjugate in fresh memory."""
    out = empty(layouts.empty_like_layout(input._layout), input.dtype)
    np.conjugate(input._array, out._array)
    return out


@composite()
def conj(input: Tensor) -> Tensor:
    """The complex conjugate, computed at once (PyTorch's is lazy); real tensors are returned."""
    return _conj(input) if input.dtype.is_complex else input


@composite(out=EXACT, inplace=True)
def conj_physical(input: Tensor) -> Tensor:
    """The complex conjugate; real tensors are returned."""
    return conj(input)


@composite()
def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: a conjugate is computed at once here."""
    return input


@composite()
def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: a negative is computed at once here."""
    return input
