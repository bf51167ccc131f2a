"""Making tensors from nothing or from Python data."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.dispatch import composite
from pellucid.tensor.dtype import default, dtype, from_numpy_dtype, int64
from pellucid.tensor.layout import Layout, contiguous, empty_like_layout
from pellucid.tensor.tensor import Tensor, empty as fresh


def sizes(size: tuple[Any, ...]) -> tuple[int, ...]:
    """`f(2, 3)`, `f((2, 3))` and `f([2, 3])` alike."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    return tuple(int(s) for s in size)


@composite(where="torch")
def zeros(*size: Any, dtype: dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    out = fresh(contiguous(sizes(size)), dtype or default.floating)
    out._array.fill(0)
    out._requires_grad = requires_grad
    return out


@composite(where="torch Tensor")
def ones_like(input: Tensor, *, requires_grad: bool = False) -> Tensor:
    """Ones laid out like `input`."""
    out = fresh(empty_like_layout(input._layout), input.dtype)
    out._array.fill(1)
    return out


@composite(where="torch Tensor")
def zeros_like(input: Tensor, *, requires_grad: bool = False) -> Tensor:
    """Zeros laid out like `input`."""
    out = fresh(empty_like_layout(input._layout), input.dtype)
    out._array.fill(0)
    return out


@composite(where="torch")
def empty_strided(size: Any, stride: Any, *, dtype: dtype | None = None) -> Tensor:
    """An uninitialised tensor with these strides."""
    layout = Layout(tuple(size), tuple(stride), 0)
    flat = fresh(contiguous((layout.span,)), dtype or default.floating)
    flat._layout = layout
    return flat


@composite(where="torch")
def tensor(data: Any, *, dtype: dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`."""
    array = np.array(data)
    if dtype is None:
        dtype = default.floating if array.dtype.kind == "f" else from_numpy_dtype(array.dtype)
    out = fresh(contiguous(array.shape), dtype)
    out._array[...] = array
    out._requires_grad = requires_grad
    return out
