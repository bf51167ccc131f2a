"""Diagonals and blocks: `diag`, `diag_embed`, `diagflat`, `block_diag`, `fill_diagonal_`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import MOVED
from pellucid.ops.memory.memory import as_scalar
from pellucid.ops.shapes.joining import common_dtype
from pellucid.ops.spec import registry
from pellucid.ops.views.embed import window
from pellucid.ops.views.parts import slice_along
from pellucid.ops.writing import writer
from pellucid.tensor import layout as layouts
from pellucid.tensor.dtype import default
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.tensor import Tensor, empty


def _embed_grad(grad: Tensor, offset: int, dim1: int, dim2: int) -> Tensor:
    return grad.diagonal(offset, dim1, dim2)


@operator(gradient={"input": _embed_grad})
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices (in the dimensions `dim1` and `dim2`) with the last dimension on a diagonal."""
    ndim = input.ndim + 1
    rows, columns = layouts.normalize_dim(dim1, ndim), layouts.normalize_dim(dim2, ndim)
    if rows == columns:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    size = input._layout.shape[-1] + abs(offset)
    shape = list(input._layout.shape[:-1])
    for axis in sorted((rows, columns)):
        shape.insert(axis, size)
    out = empty(contiguous(tuple(shape)), input.dtype)
    array = out._array
    array.fill(0)
    window(array.reshape(-1), layouts.diagonal(out._layout, offset, rows, columns))[...] = (
        input._array
    )
    return out


@composite(out=MOVED)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix, or the diagonal of a matrix as a vector, copied."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return input.diagonal(diagonal).clone()


@composite()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with the flattened input on a diagonal."""
    return diag_embed(input.reshape(-1), offset)


def _block_grads(grad: Tensor, tensors_layout: tuple[Layout, ...]) -> list[Tensor]:
    found, row, column = [], 0, 0
    for layout in tensors_layout:
        height, width = _block(layout)
        part = slice_along(grad, 0, row, row + height)
        found.append(slice_along(part, 1, column, column + width).reshape(layout.shape))
        row, column = row + height, column + width
    return found


def _block(layout: Layout) -> tuple[int, int]:
    """The size of a tensor as a block: vectors are rows, numbers 1 by 1."""
    shape = (1,) * (2 - len(layout.shape)) + layout.shape
    return shape[0], shape[1]


@operator(where="torch", gradient={"tensors": _block_grads})
def block_diag(*tensors: Any) -> Tensor:
    """A matrix with the tensors (matrices, rows or numbers) along its diagonal, zero elsewhere."""
    for place, each in enumerate(tensors):
        if not isinstance(each, Tensor):
            raise TypeError(
                f"expected Tensor as element {place} in argument 0, but got {type(each).__name__}"
            )
        if each.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{place} has {each.ndim} dimensions"
            )
    if not tensors:
        return empty(contiguous((1, 0)), default.floating)
    blocks = [_block(each._layout) for each in tensors]
    shape = sum(height for height, _ in blocks), sum(width for _, width in blocks)
    out = empty(contiguous(shape), common_dtype(tensors))
    array = out._array
    array.fill(0)
    row = column = 0
    for each, (height, width) in zip(tensors, blocks, strict=True):
        array[row : row + height, column : column + width] = each._array
        row, column = row + height, column + width
    return out


def _without_diagonal(grad: Tensor, wrap: bool) -> Tensor:
    return grad.clone().fill_diagonal_(0, wrap)


@writer(where="internal", gradient={"input": _without_diagonal})
def fill_diagonal(input: Tensor, fill_value: Any, wrap: bool = False) -> None:
    """Set the main diagonal; with `wrap` it starts again below a tall matrix."""
    if input.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    shape = input._layout.shape
    if input.ndim > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    value = as_scalar(fill_value, input.dtype)
    steps = np.arange(min(shape))
    input._array[(steps,) * input.ndim] = value
    if wrap and input.ndim == 2 and shape[0] > shape[1] + 1:
        rows = np.arange(shape[1] + 1, shape[0])
        columns = rows % (shape[1] + 1)
        inside = columns < shape[1]
        input._array[rows[inside], columns[inside]] = value


registry.put("Tensor", "fill_diagonal_", fill_diagonal.in_place)  # type: ignore[attr-defined]
