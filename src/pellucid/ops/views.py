"""Views: operators that only compute a layout."""

from __future__ import annotations

from typing import Any

from pellucid.ops.dispatch import composite, view_operator
from pellucid.tensor import layout as layouts
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor


def _as_strided_grad(grad: Any, input: Any, size: Any, stride: Any, storage_offset: Any) -> Any:
    from pellucid import ops

    base = ops.zeros_like(input)
    base.as_strided(size, stride, (storage_offset or 0) - input.storage_offset()).copy_(grad)
    return base


@view_operator(gradient={"input": _as_strided_grad})
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Layout:
    """A view with any shape, strides and offset of the same storage."""
    return layouts.as_strided(input._layout, tuple(size), tuple(stride), storage_offset)


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else tuple(shape)


@view_operator(where="Tensor", gradient={"input": lambda grad, input: grad.reshape(input.shape)})
def view(input: Tensor, *shape: Any) -> Any:
    """A view with another shape over the same memory."""
    return layouts.view(input._layout, _shape(shape))


@composite()
def reshape(input: Tensor, *shape: Any) -> Any:
    """A view if possible, else a copy."""
    if layouts.view(input._layout, _shape(shape)):
        return input.view(*shape)
    return input.clone().view(*shape)


@view_operator(where="Tensor", gradient={"input": lambda grad, input: grad.sum_to_size(input.shape)})
def expand(input: Tensor, *size: Any) -> Any:
    """A view with broadcast dimensions."""
    return layouts.expand(input._layout, _shape(size))


@view_operator(gradient={"input": lambda grad, dim: grad.squeeze(dim)})
def unsqueeze(input: Tensor, dim: int) -> Any:
    """A view with a dimension of size 1 more."""
    return layouts.unsqueeze(input._layout, dim)


@view_operator(gradient={"input": lambda grad, dim0, dim1: grad.transpose(dim0, dim1)})
def transpose(input: Tensor, dim0: int, dim1: int) -> Any:
    """A view with two dimensions exchanged."""
    return layouts.transpose(input._layout, dim0, dim1)


def _select_grad(grad: Any, input: Any, dim: int, index: int) -> Any:
    from pellucid import ops

    whole = ops.zeros_like(input)
    whole.select(dim, index).copy_(grad)
    return whole


@view_operator(gradient={"input": _select_grad})
def select(input: Tensor, dim: int, index: int) -> Any:
    """A view of one index of a dimension."""
    return layouts.select(input._layout, dim, index)


@composite(where="Tensor torch")
def stack(tensors: Any, dim: int = 0) -> Any:
    """bootstrap"""
    raise RuntimeError


@composite(where="Tensor torch")
def real(input: Any) -> Any:
    """bootstrap"""
    return input
