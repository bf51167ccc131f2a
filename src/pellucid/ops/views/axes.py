"""Views that reorder, add or drop dimensions: `permute`, `transpose`, `squeeze`, `T`, …"""

from __future__ import annotations

import warnings
from typing import Any

from pellucid.ops.arguments import integer, integers, sizes
from pellucid.ops.dispatch import composite, view_operator
from pellucid.tensor import layout as layouts
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor


def _permute_grad(grad: Tensor, dims: tuple[int, ...]) -> Tensor:
    places = layouts.normalize_dims(dims, len(dims))
    return _permute(grad, tuple(sorted(range(len(places)), key=places.__getitem__)))


@view_operator(where="internal", name="permute", gradient={"input": _permute_grad})
def _permute(input: Tensor, dims: tuple[int, ...]) -> Layout:
    """A view with the dimensions in the order `dims`."""
    return layouts.permute(input._layout, dims)


@composite()
def permute(input: Tensor, *dims: Any, **by_name: Any) -> Tensor:
    """Reorder the dimensions: dimension `i` of the result is dimension `dims[i]` of the input."""
    return _permute(input, sizes("permute", dims, "dims", by_name))


@view_operator(gradient={"input": lambda grad, dim0, dim1: transpose(grad, dim0, dim1)})
def transpose(input: Tensor, dim0: int, dim1: int) -> Layout:
    """Exchange two dimensions."""
    if type(dim0) is not int or type(dim1) is not int:
        dim0 = integer("transpose", "dim0", 1, dim0)
        dim1 = integer("transpose", "dim1", 2, dim1)
    return layouts.transpose(input._layout, dim0, dim1)


@composite(aliases=("swapdims",))
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose` by NumPy's name."""
    return transpose(input, axis0, axis1)


@view_operator(gradient={"input": lambda grad: t(grad)})
def t(input: Tensor) -> Layout:
    """The transpose of a matrix; tensors with fewer dimensions stay as they are."""
    if input.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D\n"
            "  Use .mT for the matrices in a batch, or .permute(...) to say the order."
        )
    return layouts.transpose(input._layout, 0, 1) if input.ndim == 2 else input._layout


@composite(aliases=("moveaxis",))
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Move the dimensions `source` to the places `destination`; the others keep their order."""
    moved = integers("movedim", "source", 1, source)
    places = integers("movedim", "destination", 2, destination)
    found = layouts.movedim(input._layout, moved, places)
    if found is input._layout:
        return _permute(input, tuple(range(input.ndim)))
    order = layouts.movedim(layouts.contiguous(tuple(range(input.ndim))), moved, places).shape
    return _permute(input, order)


def _reversed(input: Tensor) -> Tensor:
    """All dimensions in reverse order (`x.T`)."""
    if input.ndim not in (0, 2):
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
            "deprecated and it will throw an error in a future release. Consider `x.mT` to "
            "transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to "
            "reverse the dimensions of a tensor.",
            UserWarning,
            stacklevel=2,
        )
    return _permute(input, tuple(range(input.ndim - 1, -1, -1)))


def _matrices(input: Tensor) -> Tensor:
    """The last two dimensions exchanged (`x.mT`)."""
    if input.ndim < 2:
        if input.ndim == 0:
            warnings.warn(
                "Tensor.mT is deprecated on 0-D tensors. This function is the identity in these "
                "cases.",
                UserWarning,
                stacklevel=2,
            )
            return input
        raise RuntimeError(
            "tensor.mT is only supported on matrices or batches of matrices. Got "
            f"{input.ndim}-D tensor."
        )
    return transpose(input, -2, -1)


@composite()
def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged, and conjugated where the tensor is complex."""
    if input.ndim < 2 and input.ndim != 0:
        raise RuntimeError(
            "tensor.adjoint() is only supported on matrices or batches of matrices. Got "
            f"{input.ndim}-D tensor."
        )
    flipped = transpose(input, -2, -1) if input.ndim else input
    return flipped.conj() if input.dtype.is_complex else flipped


def _adjoints(input: Tensor) -> Tensor:
    """The adjoint of each matrix (`x.mH`)."""
    if input.ndim == 1:
        raise RuntimeError(
            "tensor.mH is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    return adjoint(input)


def _hermitian(input: Tensor) -> Tensor:
    """The adjoint of a matrix (`x.H`)."""
    if input.ndim not in (0, 2):
        raise RuntimeError(
            "tensor.H is only supported on matrices (2-D tensors). Got "
            f"{input.ndim}-D tensor.\n  For batches of matrices, consider using tensor.mH"
        )
    return adjoint(input)


Tensor.T = property(_reversed)  # type: ignore[assignment]
Tensor.mT = property(_matrices)  # type: ignore[assignment]
Tensor.mH = property(_adjoints)  # type: ignore[assignment]
Tensor.H = property(_hermitian)  # type: ignore[assignment]


# --- dimensions of size 1 -------------------------------------------------------------------------


@view_operator(
    gradient={"input": lambda grad, dim: _squeeze(grad, integer("unsqueeze", "dim", 1, dim))}
)
def unsqueeze(input: Tensor, dim: int) -> Layout:
    """Insert a dimension of size 1 before dimension `dim` (-1: at the end)."""
    axis = dim if type(dim) is int else integer("unsqueeze", "dim", 1, dim)
    return layouts.unsqueeze(input._layout, axis)


def _unsqueezed(grad: Tensor, input_layout: Layout, dim: Any) -> Tensor:
    shape = input_layout.shape
    asked = range(len(shape)) if dim is None else layouts.normalize_dims(dim, len(shape))
    for axis in sorted(asked):
        if shape and shape[axis] == 1:
            grad = unsqueeze(grad, axis)
    return grad


@view_operator(where="internal", name="squeeze", gradient={"input": _unsqueezed})
def _squeeze(input: Tensor, dim: Any = None) -> Layout:
    """A view without (some of) the dimensions of size 1."""
    return layouts.squeeze(input._layout, dim)


@composite()
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Drop dimensions of size 1: all, or those among `dim` (one or several)."""
    if dim is None or type(dim) is int:
        return _squeeze(input, dim)
    return _squeeze(input, integers("squeeze", "dim", 1, dim))
