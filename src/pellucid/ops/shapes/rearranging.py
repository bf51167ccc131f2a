"""The same elements in other places: `flip`, `roll`, `rot90`, `repeat`, `tril`, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import integer, integers, sizes
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import MOVED, scalar_type
from pellucid.ops.memory.memory import clone
from pellucid.tensor import layout as layouts
from pellucid.tensor.device import contiguous_format
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.tensor import Tensor, adopt, empty

# --- reversing ------------------------------------------------------------------------------------


@operator(where="internal", name="flip", gradient={"input": lambda grad, dims: _flip(grad, dims)})
def _flip(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """A copy with the order of the indices reversed in each of `dims`."""
    axes = layouts.normalize_dims(dims, input.ndim)
    out = empty(layouts.empty_like_layout(input._layout), input.dtype)
    np.copyto(out._array, np.flip(input._array, axes) if input.ndim else input._array)
    return out


@composite()
def flip(input: Tensor, *dims: Any, **by_name: Any) -> Tensor:
    """A copy with the order of the indices reversed in each of `dims`."""
    return _flip(input, sizes("flip", dims, "dims", by_name))


@composite()
def fliplr(input: Tensor) -> Tensor:
    """`flip` of dimension 1."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return _flip(input, (1,))


@composite()
def flipud(input: Tensor) -> Tensor:
    """`flip` of dimension 0."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return _flip(input, (0,))


def _rot90_grad(grad: Tensor, k: int, dims: Any) -> Tensor:
    return rot90(grad, -k, dims)


@operator(gradient={"input": _rot90_grad})
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """A copy turned `k` times by 90 degrees, from the first of two dimensions to the second."""
    axes = integers("rot90", "dims", 3, dims)
    if len(axes) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(axes)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    if axes[0] == axes[1] or abs(axes[0] - axes[1]) == input.ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {axes[0]} and dim1 = {axes[1]}"
        )
    first, second = layouts.normalize_dims(axes, input.ndim)
    turns = integer("rot90", "k", 2, k) % 4
    flipped = {0: (), 1: (second,), 2: (first, second), 3: (first,)}[turns]
    out = _flip(input, flipped) if turns else clone(input, memory_format=contiguous_format)
    if turns % 2:
        out._layout = layouts.transpose(out._layout, first, second)
        out.__dict__.pop("_array", None)
    return out


# --- shifting -------------------------------------------------------------------------------------


def _roll_grad(grad: Tensor, shifts: Any, dims: Any) -> Tensor:
    back = -shifts if isinstance(shifts, int) else [-shift for shift in shifts]
    return roll(grad, back, dims)


@operator(gradient={"input": _roll_grad})
def roll(input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    """A copy with the indices of `dims` shifted; what leaves at the end enters at the front.

    Without `dims` the flattened tensor is rolled.
    """
    steps = integers("roll", "shifts", 1, shifts)
    axes = integers("roll", "dims", 2, () if dims is None else dims)
    if not steps:
        raise RuntimeError("`shifts` required")
    if len(steps) != len(axes) and not (len(steps) == 1 and not axes):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(steps)}, dims:{len(axes)}"
        )
    out = empty(contiguous(input._layout.shape), input.dtype)
    if not axes:
        _rolled(input._array.reshape(-1), steps[0], 0, out._array.reshape(-1))
        return out
    if not input.ndim:
        raise IndexError(f"Dimension specified as {axes[0]} but tensor has no dimensions")
    places = tuple(layouts.normalize_dim(axis, input.ndim) for axis in axes)
    array = input._array
    if len(places) > 1:
        array = np.roll(array, steps[:-1], places[:-1])
    _rolled(array, steps[-1], places[-1], out._array)
    return out


def _rolled(array: np.ndarray, shift: int, axis: int, out: np.ndarray) -> None:
    """Write `array` with the indices of one axis shifted into `out`: two blocks change places."""
    size = array.shape[axis]
    first = shift % size if size else 0
    source, target = np.moveaxis(array, axis, 0), np.moveaxis(out, axis, 0)
    target[first:] = source[: size - first]
    target[:first] = source[size - first :]


# --- repeating ------------------------------------------------------------------------------------


def _interleaved(shape: Sequence[int], repeats: Sequence[int]) -> tuple[int, ...]:
    """Sizes (r0, s0, r1, s1, …): repeats before the size they repeat."""
    return tuple(size for pair in zip(repeats, shape, strict=True) for size in pair)


def _repeat_grad(grad: Tensor, input_layout: Layout, repeats: tuple[int, ...]) -> Tensor:
    shape = (1,) * (len(repeats) - len(input_layout.shape)) + input_layout.shape
    if not grad.numel():
        return F.zeros(input_layout.shape, dtype=grad.dtype)
    if not repeats:
        return grad
    parts = grad.reshape(_interleaved(shape, repeats))
    return parts.sum(tuple(range(0, 2 * len(shape), 2))).reshape(input_layout.shape)


@operator(where="internal", name="repeat", gradient={"input": _repeat_grad})
def _repeat(input: Tensor, repeats: tuple[int, ...]) -> Tensor:
    """The tensor `repeats[i]` times side by side along each dimension."""
    lead = len(repeats) - input.ndim
    if lead < 0:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            f"tensor\n  The tensor has {input.ndim} dimensions, repeats {list(repeats)}."
        )
    shape = (1,) * lead + input._layout.shape
    whole = tuple(size * times for size, times in zip(shape, repeats, strict=True))
    for size in whole:
        if size < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {size}: {list(whole)}"
            )
    out = empty(contiguous(whole), input.dtype)
    ones = input._array.reshape(_interleaved(shape, (1,) * len(shape)))
    np.copyto(out._array.reshape(_interleaved(shape, repeats)), ones)
    return out


@composite(where="Tensor")
def repeat(input: Tensor, *repeats: Any, **by_name: Any) -> Tensor:
    """The tensor `repeats[i]` times along each dimension, in fresh memory.

    More repeats than dimensions put new dimensions in front. `expand` does the same for dimensions
    of size 1 without copying.
    """
    return _repeat(input, sizes("repeat", repeats, "repeats", by_name))


@composite()
def tile(input: Tensor, *dims: Any, **by_name: Any) -> Tensor:
    """`repeat`, counting `dims` from the last dimension, as NumPy's `tile`."""
    times = sizes("tile", dims, "dims", by_name)
    return _repeat(input, (1,) * (input.ndim - len(times)) + times)


def _repeated_index(repeats: Tensor, output_size: int | None) -> Tensor:
    """0 repeated `repeats[0]` times, then 1 repeated `repeats[1]` times, …"""
    if repeats.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if repeats.dtype.name not in ("int64", "int32"):
        raise NotImplementedError(
            f"\"repeat_interleave_cpu\" not implemented for '{scalar_type(repeats.dtype)}'"
        )
    counts = repeats._array
    if counts.size and counts.min() < 0:
        raise RuntimeError("repeats can not be negative")
    index = np.repeat(np.arange(counts.size, dtype=np.int64), counts)
    if output_size is not None and output_size != index.size:
        raise RuntimeError(
            f"allocated size does not match required size\n  output_size is {output_size}, the "
            f"repeats sum to {index.size}."
        )
    return adopt(index.astype(repeats.dtype.numpy), repeats.dtype)


@composite()
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each index along `dim` repeated `repeats` times (a number, or one for each index).

    Without `dim` the flattened tensor. `repeat_interleave(repeats)` alone gives the indices.
    """
    if repeats is None:
        return _repeated_index(input, output_size)
    if dim is None:
        input, dim = input.flatten(), 0
    axis = layouts.normalize_dim(dim, input.ndim)
    if not isinstance(repeats, Tensor):
        times = integer("repeat_interleave", "repeats", 1, repeats)
        return _repeat_evenly(input, times, axis)
    size = input._layout.shape[axis] if input.ndim else 1
    if repeats.ndim == 0 or (repeats.ndim == 1 and len(repeats) == 1):
        repeats = repeats.reshape(1).expand(size)
    elif repeats.ndim == 1 and len(repeats) != size:
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{len(repeats)} and input.size({axis}) = {size}"
        )
    return input.index_select(axis, _repeated_index(repeats, output_size))


def _repeat_evenly(input: Tensor, times: int, axis: int) -> Tensor:
    """Every index `times` times: a dimension of that size beside it, then both as one."""
    if times < 0:
        raise RuntimeError("Repeats must be non-negative")
    if not input.ndim:
        input = input.flatten()
    shape = input._layout.shape
    spread = input.unsqueeze(axis + 1).expand((*shape[: axis + 1], times, *shape[axis + 1 :]))
    return clone(spread, memory_format=contiguous_format).flatten(axis, axis + 1)


# --- triangles ------------------------------------------------------------------------------------


def _triangle(input: Tensor, keep: np.ndarray) -> Tensor:
    out = empty(contiguous(input._layout.shape), input.dtype)
    array = out._array
    array.fill(0)
    np.copyto(array, input._array, where=keep)
    return out


def _mask(name: str, input: Tensor, diagonal: int) -> np.ndarray:
    """True on and below the diagonal."""
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    integer(name, "diagonal", 1, diagonal)
    rows, columns = input._layout.shape[-2:]
    return np.tri(rows, columns, diagonal, dtype=np.bool_)


@operator(inplace=True, out=MOVED, gradient={"input": lambda grad, diagonal: tril(grad, diagonal)})
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix, up to `diagonal`; zero elsewhere."""
    return _triangle(input, _mask("tril", input, diagonal))


@operator(inplace=True, out=MOVED, gradient={"input": lambda grad, diagonal: triu(grad, diagonal)})
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix, from `diagonal` on; zero elsewhere."""
    return _triangle(input, ~_mask("triu", input, diagonal - 1))
