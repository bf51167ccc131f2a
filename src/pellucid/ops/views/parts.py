"""Views that show a part, or all of it in parts: `select`, `narrow`, `split`, `diagonal`, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import integer, integers, tensor
from pellucid.ops.dispatch import composite, operator, view_operator
from pellucid.ops.spec import registry
from pellucid.ops.views.embed import embed
from pellucid.tensor import layout as layouts
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor, adopt, make


def _select_grad(grad: Tensor, input_layout: Layout, dim: int, index: int) -> Tensor:
    return embed(grad, input_layout.shape, (("select", dim, index),))


@view_operator(gradient={"input": _select_grad})
def select(input: Tensor, dim: int, index: int) -> Layout:
    """One index of dimension `dim`, which disappears."""
    if type(dim) is not int or type(index) is not int:
        dim = integer("select", "dim", 1, dim)
        index = integer("select", "index", 2, index)
    return layouts.select(input._layout, dim, index)


def _slice_grad(
    grad: Tensor, input_layout: Layout, dim: int, start: Any, end: Any, step: int
) -> Tensor:
    return embed(grad, input_layout.shape, (("slice", dim, start, end, step),))


@view_operator(where="internal", name="slice", gradient={"input": _slice_grad})
def slice_along(
    input: Tensor, dim: int, start: Any = None, end: Any = None, step: int = 1
) -> Layout:
    """The indices `start:end:step` of dimension `dim`, clipped as Python's slices."""
    return layouts.slice_dim(input._layout, dim, start, end, step)


@composite()
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` indices of dimension `dim` from `start` on. Raises where they are not all there."""
    axis = integer("narrow", "dim", 1, dim)
    count = integer("narrow", "length", 3, length)
    if isinstance(start, Tensor) and (start.ndim or start.dtype.category != 1):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    layouts.narrow(input._layout, axis, integer("narrow", "start", 2, start), count)
    first = int(start)
    if first < 0:
        first += input._layout.shape[axis]
    return slice_along(input, axis, first, first + count)


# --- all of it in parts ---------------------------------------------------------------------------


def join_parts(grads: Sequence[Any], shapes: Sequence[Any], dim: int, like: Tensor) -> Tensor:
    """The gradient of a tensor from those of its parts along `dim`; a missing one is zero."""
    filled = [
        F.zeros(shape, dtype=like.dtype) if grad is None else grad
        for grad, shape in zip(grads, shapes, strict=True)
    ]
    return F.cat(filled, dim)


def _split_grad(grads: Any, input_layout: Layout, split_size: int, dim: int) -> Any:
    return _parts_grad(grads, _pieces(input_layout, split_size, dim), dim)


def _parts_grad(grads: Any, pieces: list[Layout], dim: int) -> Any:
    like = next((grad for grad in grads if grad is not None), None)
    if like is None:
        return None
    return join_parts(grads, [piece.shape for piece in pieces], dim, like)


def _pieces(layout: Layout, split_size: int, dim: int) -> list[Layout]:
    """The layouts of `split(split_size, dim)`."""
    if not layout.shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    if split_size < 0:
        raise RuntimeError(
            f"split expects split_size be non-negative, but got split_size={split_size}"
        )
    axis = layouts.normalize_dim(dim, len(layout.shape))
    size = layout.shape[axis]
    if split_size == 0:
        if size:
            raise RuntimeError(
                f"split_size can only be 0 if dimension size is 0, but got dimension size of {size}"
            )
        return [layout]
    starts = range(0, max(size, 1), split_size)
    return [layouts.slice_dim(layout, axis, s, min(s + split_size, size)) for s in starts]


@view_operator(where="internal", name="split", gradient={"input": _split_grad})
def _split(input: Tensor, split_size: int, dim: int = 0) -> list[Layout]:
    """Views of `split_size` indices each along `dim`; the last may be shorter."""
    return _pieces(input._layout, split_size, dim)


def _sections(layout: Layout, split_sizes: tuple[int, ...], dim: int) -> list[Layout]:
    """The layouts of `split_with_sizes`."""
    if not layout.shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    axis = layouts.normalize_dim(dim, len(layout.shape))
    size = layout.shape[axis]
    found, start = [], 0
    for length in split_sizes:
        if length < 0:
            raise RuntimeError(
                "split_with_sizes expects split_sizes have only non-negative entries, but got "
                f"split_sizes={list(split_sizes)}"
            )
        found.append((start, length))
        start += length
    if start != size:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's size "
            f"at dimension {dim}), but got split_sizes={list(split_sizes)}\n"
            f"  They sum to {start}."
        )
    return [layouts.narrow(layout, axis, start, length) for start, length in found]


def _sections_grad(grads: Any, input_layout: Layout, split_sizes: Any, dim: int) -> Any:
    return _parts_grad(grads, _sections(input_layout, split_sizes, dim), dim)


@view_operator(where="internal", name="split_with_sizes", gradient={"input": _sections_grad})
def _split_with_sizes(input: Tensor, split_sizes: tuple[int, ...], dim: int = 0) -> list[Layout]:
    """Views of `split_sizes[i]` indices each along `dim`."""
    return _sections(input._layout, split_sizes, dim)


@composite()
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of `split_sizes[i]` indices each along `dim`. The sizes must sum to the dimension's."""
    found = integers("split_with_sizes", "split_sizes", 2, split_sizes)
    return _split_with_sizes(input, found, integer("split_with_sizes", "dim", 3, dim))


@composite(where="Tensor")
def split(input: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views along `dim` of `split_size` indices each, or of the sizes in a list."""
    if isinstance(split_size, (list, tuple)):
        return split_with_sizes(input, split_size, dim)
    if isinstance(split_size, Tensor):
        try:
            split_size = int(split_size)
        except ValueError:  # several elements
            return split_with_sizes(input, split_size.tolist(), dim)
    try:
        size = integer("split", "split_size", 1, split_size)
    except TypeError:
        return split_with_sizes(input, split_size, dim)
    return _split(input, size, integer("split", "dim", 2, dim))


def split_function(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> Any:
    """`torch.split`: as the method `Tensor.split`."""
    return tensor.split(split_size_or_sections, dim)


registry.put("torch", "split", split_function)


def _chunk_length(input: Tensor, chunks: Any, dim: int) -> tuple[int, int]:
    """Indices in each chunk, and how many chunks were asked for."""
    count = integer("chunk", "chunks", 1, chunks)
    if not input._layout.shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if count <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {count}")
    return -(-input._layout.shape[layouts.normalize_dim(dim, input.ndim)] // count), count


@composite()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size along `dim`; the last may be shorter."""
    length, count = _chunk_length(input, chunks, dim)
    if length == 0:
        return _split_with_sizes(input, (0,) * count, dim)
    return _split(input, length, dim)


def _unbind_grad(grads: Any, input_layout: Layout, dim: int) -> Any:
    like = next((grad for grad in grads if grad is not None), None)
    if like is None:
        return None
    filled = [F.zeros(like._layout.shape, dtype=like.dtype) if g is None else g for g in grads]
    return F.stack(filled, dim)


@view_operator(gradient={"input": _unbind_grad})
def unbind(input: Tensor, dim: int = 0) -> list[Layout]:
    """A view for each index of dimension `dim`."""
    layout = input._layout
    if not layout.shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = layouts.normalize_dim(integer("unbind", "dim", 1, dim), len(layout.shape))
    return [layouts.select(layout, axis, index) for index in range(layout.shape[axis])]


_MOST_PARTS = 1 << 22
"""The most parts `tensor_split` makes: the tensors alone would fill GBs."""


@composite()
def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, **by_name: Any
) -> Any:
    """Views along `dim`: a number of nearly equal parts, or cut before the given indices.

    The longer parts come first. Indices beyond the end give empty parts, as in NumPy.
    """
    given = by_name.pop("indices", by_name.pop("sections", indices_or_sections))
    if not input._layout.shape:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    axis = layouts.normalize_dim(dim, input.ndim)
    size = input._layout.shape[axis]
    if isinstance(given, Tensor):
        if given.dtype.name != "int64" or given.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of long and be a "
                "zero-dimensional or one-dimensional tensor, but got dtype "
                f"{given.dtype.name} with {given.ndim} dims"
            )
        given = given.tolist()
    if isinstance(given, (list, tuple)):
        cuts = list(integers("tensor_split", "indices", 1, given))
    else:
        count = integer("tensor_split", "sections", 1, given)
        if count <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {count}")
        if count > _MOST_PARTS:
            raise RuntimeError(
                "cannot create std::vector larger than max_size()\n  tensor_split was asked for "
                f"{count} parts, and each is a tensor: at most {_MOST_PARTS} are made, and of "
                f"these all but {size} would be empty."
            )
        short, longer = divmod(size, count)
        cuts = [part * short + min(part, longer) for part in range(1, count)]
    edges = zip([0, *cuts], [*cuts, size], strict=True)
    return tuple(slice_along(input, axis, start, end) for start, end in edges)


def _named_split(name: str, least: int, axis: int, one_dimensional: int) -> Any:
    """`hsplit`, `vsplit` and `dsplit`: `tensor_split` along one dimension, dividing evenly."""

    @composite(name=name)
    def divide(input: Tensor, indices_or_sections: Any = None, **by_name: Any) -> Any:
        given = by_name.pop("indices", by_name.pop("sections", indices_or_sections))
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor "
                f"with {input.ndim} dimensions!"
            )
        if not isinstance(given, (int, list, tuple, Tensor)):
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got "
                f"({type(given).__name__}), but expected (int sections) or (tuple of ints indices)"
            )
        dim = one_dimensional if input.ndim == 1 else axis
        if isinstance(given, int):
            size = input._layout.shape[dim]
            if given == 0 or size % given:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {dim}, but the size of the "
                    f"dimension {size} is not divisible by the split_size {given}!"
                )
        return tensor_split(input, given, dim)

    divide.__doc__ = f"`tensor_split` along dimension {axis}; a number of parts must divide evenly."
    return divide


hsplit = _named_split("hsplit", 1, 1, 0)
vsplit = _named_split("vsplit", 2, 0, 0)
dsplit = _named_split("dsplit", 3, 2, 2)


# --- the same, not known as views -----------------------------------------------------------------


def _unsafe(input: Tensor, pieces: list[Layout]) -> tuple[Tensor, ...]:
    return tuple(make(input._storage, piece, input.dtype) for piece in pieces)


@operator(gradient={"input": _split_grad})
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`split` whose parts the tape does not know as views: they may be written one by one."""
    return _unsafe(input, _pieces(input._layout, split_size, dim))


@operator(gradient={"input": _sections_grad})
def unsafe_split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """`split_with_sizes` whose parts the tape does not know as views."""
    return _unsafe(input, _sections(input._layout, tuple(split_sizes), dim))


@composite()
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`chunk` whose parts the tape does not know as views."""
    length, count = _chunk_length(input, chunks, dim)
    if length == 0:
        return unsafe_split_with_sizes(input, (0,) * count, dim)
    return unsafe_split(input, length, dim)


# --- diagonals and windows ------------------------------------------------------------------------


def _diagonal_grad(grad: Tensor, input_layout: Layout, offset: int, dim1: int, dim2: int) -> Tensor:
    return embed(grad, input_layout.shape, (("diagonal", offset, dim1, dim2),))


@view_operator(gradient={"input": _diagonal_grad})
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Layout:
    """The diagonal of dimensions `dim1` and `dim2` as the last dimension."""
    return layouts.diagonal(input._layout, offset, dim1, dim2)


@composite(where="linalg", name="diagonal")
def linalg_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices (*, m, n) as (*, k): `diagonal` of the last two dimensions."""
    return diagonal(tensor("linalg_diagonal", "A", 1, A), offset, dim1, dim2)


def _unfold_grad(
    grad: Tensor, input_layout: Layout, dimension: int, size: int, step: int
) -> Tensor:
    return unfold_backward(grad, input_layout.shape, dimension, size, step)


@view_operator(where="Tensor", gradient={"input": _unfold_grad})
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Layout:
    """Windows of `size` along a dimension, one every `step`; the window is the last dimension."""
    return layouts.unfold(input._layout, dimension, size, step)


def _unfold_again(grad: Tensor, dim: int, size: int, step: int) -> Tensor:
    return unfold(grad, dim, size, step)


@operator(where="internal", gradient={"windows": _unfold_again})
def unfold_backward(
    windows: Tensor, shape: tuple[int, ...], dim: int, size: int, step: int
) -> Tensor:
    """The transpose of `unfold`: every window added where it was taken from."""
    out = np.zeros(shape, windows.dtype.numpy)
    if not shape:
        return adopt(windows._array.sum(axis=-1).reshape(shape), windows.dtype)
    axis = layouts.normalize_dim(dim, len(shape))
    along = np.moveaxis(out, axis, -1)
    places = np.moveaxis(windows._array, axis, -2)
    count = places.shape[-2]
    for offset in range(size):
        along[..., offset : offset + (count - 1) * step + 1 : step] += places[..., offset]
    return adopt(out, windows.dtype)
