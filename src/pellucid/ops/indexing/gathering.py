"""Reading single elements by index: `gather`, `take`, `take_along_dim`, and `put`, which writes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import integer, tensor
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.indexing.accumulate import add_rows
from pellucid.ops.inplace import MOVED, MOVED_APART, refuse_shared, scalar_type
from pellucid.ops.writing import writer
from pellucid.tensor import layout as layouts
from pellucid.tensor.dtype import int64
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.tensor import Tensor, empty

INDEX_DTYPES = ("int64", "int32")


def check_index(name: str, index: Any, input: Tensor, what: str = "self") -> None:
    """Refuse what `gather` and `scatter` cannot take as index."""
    tensor(name, "index", 2, index)
    if not index._layout.numel:
        return
    if index.dtype.name not in INDEX_DTYPES:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if max(index.ndim, 1) != max(input.ndim, 1):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as {what} tensor\n"
            f"  index has {index.ndim}, the input {input.ndim}."
        )


def check_in_range(index: np.ndarray, dim: int, size: int) -> None:
    """Refuse numbers outside 0 … size - 1."""
    if index.size and index.astype(np.int64, copy=False).view(np.uint64).max() >= size:
        wrong = index[(index < 0) | (index >= size)].flat[0]
        raise RuntimeError(
            f"index {wrong} is out of bounds for dimension {dim} with size {size}\n"
            "  Negative indices do not count from the end here."
        )


def flat_places(shape: tuple[int, ...], index: np.ndarray, axis: int) -> np.ndarray:
    """The flat numbers, in a row-major array of `shape`, of what `index` names along `axis`."""
    steps = contiguous(shape).strides
    places = index * steps[axis]
    for place, size in enumerate(index.shape):
        if place != axis:
            ones = [1] * index.ndim
            ones[place] = size
            places += (np.arange(size) * steps[place]).reshape(ones)
    return places


def along(index: np.ndarray, axis: int) -> tuple[Any, ...]:
    """The NumPy key for `index` along `axis`, each other axis at its own position."""
    key: list[Any] = []
    for place, size in enumerate(index.shape):
        if place == axis:
            key.append(index)
        else:
            shape = [1] * index.ndim
            shape[place] = size
            key.append(np.arange(size).reshape(shape))
    return tuple(key)


def _gather_grad(grad: Tensor, input_layout: Layout, dim: int, index: Tensor) -> Tensor:
    return F.zeros(input_layout.shape, dtype=grad.dtype).scatter_add(dim, index, grad)


@operator(out=MOVED_APART, gradient={"input": _gather_grad})
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """`out[i][j] = input[index[i][j]][j]` for `dim=0`: an element along `dim` for each index.

    Shape: as `index`, which may be smaller than the input in the other dimensions.
    """
    axis = layouts.normalize_dim(integer("gather", "dim", 1, dim), input.ndim)
    check_index("gather", index, input, "input")
    out = empty(contiguous(index._layout.shape), input.dtype)
    if not index._layout.numel:
        return out
    source, places = np.atleast_1d(input._array), np.atleast_1d(index._array)
    for place, size in enumerate(places.shape):
        if place != axis and size > source.shape[place]:
            raise RuntimeError(
                f"Size does not match at dimension {place} expected index "
                f"{list(index._layout.shape)} to be no larger than self "
                f"{list(input._layout.shape)} apart from dimension {axis}"
            )
    check_in_range(places, axis, source.shape[axis])
    target = out._array if input.ndim else out._array.reshape(1)
    if source.flags.c_contiguous:
        np.take(
            source.reshape(-1), flat_places(source.shape, places, axis), out=target, mode="clip"
        )
    else:
        target[...] = source[along(places, axis)]
    return out


@composite(out=MOVED)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with broadcasting of input and indices; without `dim` on the flattened input."""
    if tensor("take_along_dim", "indices", 1, indices).dtype is not int64:
        raise RuntimeError(
            "torch.take_along_dim(): dtype of indices should be Long but got "
            f"{scalar_type(indices.dtype)}"
        )
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    axis = layouts.normalize_dim(dim, input.ndim)
    shape, places = list(input._layout.shape), list(indices._layout.shape)
    size = shape[axis] if shape else 1
    if shape:
        shape[axis] = places[axis] = 1
    common = list(layouts.broadcast_shapes(tuple(shape), tuple(places)))
    if shape:
        common[axis] = size
        input = input.expand(tuple(common))
        common[axis] = indices._layout.shape[axis]
        indices = indices.expand(tuple(common))
    return gather(input, axis, F.remainder(indices, size) if size else indices)


# --- the flattened tensor -------------------------------------------------------------------------


def flat_index(name: str, input: Tensor, index: Any, position: int = 1) -> np.ndarray:
    """Indices into the flattened input, checked and counted from the front."""
    if tensor(name, "index", position, index).dtype is not int64:
        raise RuntimeError(
            f"{name}(): Expected a long tensor for index, but got {scalar_type(index.dtype)}"
        )
    size, places = input._layout.numel, index._array
    if places.size and not size:
        raise IndexError(f"{name}(): tried to {name} from an empty tensor")
    if places.size and not -size <= places.min() <= places.max() < size:
        wrong = places[(places < -size) | (places >= size)].flat[0]
        raise IndexError(
            f"out of range: tried to access index {wrong} on a tensor of {size} elements."
        )
    return np.where(places < 0, places + size, places)


def _take_grad(grad: Tensor, input_layout: Layout, index: Tensor) -> Tensor:
    return F.zeros(input_layout.shape, dtype=grad.dtype).put(index, grad, accumulate=True)


@operator(out=MOVED_APART, gradient={"input": _take_grad})
def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements of the flattened input. Shape: as `index`. Negative indices count from the end."""
    places = flat_index("take", input, index)
    out = empty(contiguous(index._layout.shape), input.dtype)
    if places.size:
        np.copyto(out._array, np.take(input._array, places))
    return out


def _put_input(grad: Tensor, index: Tensor, source_layout: Layout, accumulate: bool) -> Tensor:
    if accumulate:
        return grad
    return grad.put(index, F.zeros(source_layout.shape, dtype=grad.dtype))


def _put_source(grad: Tensor, index: Tensor, source_layout: Layout) -> Tensor:
    return grad.take(index).reshape(source_layout.shape)


@writer(where="torch Tensor", gradient={"input": _put_input, "source": _put_source})
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> None:
    """Write `source` into the flattened input at `index`; with `accumulate` add."""
    tensor("put", "source", 2, source)
    if tensor("put", "index", 1, index).dtype is not int64:
        raise RuntimeError(
            f"put_(): Expected a long tensor for index, but got {scalar_type(index.dtype)}"
        )
    if source.dtype is not input.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{scalar_type(input.dtype)} and source.dtype = {scalar_type(source.dtype)}"
        )
    if index._layout.numel != source._layout.numel:
        raise RuntimeError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source._layout.numel}, index.numel() = {index._layout.numel}"
        )
    refuse_shared(input, index, source)
    places = flat_index("put_", input, index).reshape(-1)
    values = source._array.reshape(-1)
    array = input._array
    flat = array.reshape(-1)
    if accumulate:
        add_rows(flat[:, None], places, values[:, None])
    else:
        flat[places] = values
    if not np.shares_memory(flat, array):
        array[...] = flat.reshape(array.shape)
