"""Reading what stands between the brackets of `x[...]`.

`parse` turns it into *steps* (views: select, slice, unsqueeze) and *keys* (the tensors that index
what the steps show), as PyTorch does. `places` turns keys into what NumPy indexes with, and the
layout of the result.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from operator import index as to_index
from typing import Any

import numpy as np

from pellucid.tensor.dtype import bool_, int64, uint8
from pellucid.tensor.layout import Ints, Layout, elementwise_layout
from pellucid.tensor.tensor import Tensor, adopt

Step = tuple[Any, ...]
WHOLE = slice(None)
_SEQUENCE_WARNING = (
    "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in "
    "pytorch 2.9; use x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as "
    "tensor index, x[torch.tensor(seq)], which will result either in an error or a different result"
)
_BYTE_WARNING = (
    "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead."
)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple, str, range))


def as_items(index: Any) -> Sequence[Any]:
    """The index as items; a list of lists or slices counts as a tuple, with a warning."""
    if isinstance(index, tuple):
        return index
    if _is_sequence(index) and not isinstance(index, str) and len(index) < 32:
        for item in index:
            strange = item is None or item is Ellipsis or isinstance(item, (Tensor, slice))
            if strange or _is_sequence(item):
                warnings.warn(_SEQUENCE_WARNING, UserWarning, stacklevel=4)
                return tuple(index)
    return (index,)


def _numbers(value: Any) -> Any:
    """A list with the tensors in it, of one whole number each, as Python ints."""
    if isinstance(value, (list, tuple)):
        return [_numbers(each) for each in value]
    return to_index(value) if isinstance(value, Tensor) else value


def _sequence_tensor(value: Any) -> Tensor:
    """A list (or NumPy array) between the brackets as a tensor of ints or bools."""
    if isinstance(value, str):
        raise TypeError("new(): invalid data type 'str'")
    array = np.asarray(_numbers(value))
    if not isinstance(value, np.ndarray) and array.dtype.kind in "fO":
        array = array.astype(np.int64)
    if array.dtype.kind == "i" or not array.size:
        array = array.astype(np.int64)
    return adopt(np.array(array, order="C"))


def _specified(items: Sequence[Any]) -> int:
    """How many dimensions the items index."""
    count = 0
    for item in items:
        if isinstance(item, Tensor):
            count += item.ndim if item.dtype in (bool_, uint8) else 1
        elif item is not None and item is not Ellipsis and item is not True and item is not False:
            count += 1
    return count


def out_of_bounds(index: int, dim: int, size: int) -> IndexError:
    """PyTorch's IndexError for an index outside a dimension."""
    words = f"index {index} is out of bounds for dimension {dim} with size {size}"
    if size:
        words += f"\n  Indices from {-size} to {size - 1} exist there."
    return IndexError(words)


def parse(shape: Ints, index: Any) -> tuple[list[Step], list[Any] | None]:
    """Steps and keys of an index into a tensor of `shape`.

    Keys are None where no tensor indexes, else a list with a tensor (or None) for each dimension
    of what the steps show, as far as the last tensor.
    """
    items = as_items(index)
    items = [_normal(item) for item in items]
    free = len(shape) - _specified(items)
    if free < 0:
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    reader = _Reader(shape, free)
    for number, item in enumerate(items):
        reader.number = number
        reader.read(item)
    return reader.steps, reader.keys or None


def _normal(item: Any) -> Any:
    """NumPy's scalars and arrays, lists and ranges as what PyTorch takes them for."""
    if isinstance(item, Tensor) or type(item) in (int, slice) or item is None or item is Ellipsis:
        return item
    if isinstance(item, (bool, np.bool_)):
        return bool(item)
    if isinstance(item, np.ndarray) and item.ndim == 0 and item.dtype.kind in "iu":
        return int(item)
    if _is_sequence(item) or isinstance(item, np.ndarray):
        return _sequence_tensor(item)
    return item


class _Reader:
    """Reads the items from the left; `dim` counts in what is shown so far, `old` in the input.

    Errors name the `number` of the item, which PyTorch calls the dimension.
    """

    def __init__(self, shape: Ints, free: int) -> None:
        self.shape = shape
        self.free = free
        self.number = 0
        self.dim = 0
        self.old = 0
        self.steps: list[Step] = []
        self.keys: list[Any] = []

    def read(self, item: Any) -> None:
        """Take one item."""
        if type(item) is int:
            self._select(item)
        elif type(item) is slice:
            self._slice(item)
        elif item is None:
            self.steps.append(("unsqueeze", self.dim))
            self.dim += 1
        elif item is Ellipsis:
            self.dim += self.free
            self.old += self.free
        elif item is True or item is False:
            self._flag(item)
        elif isinstance(item, Tensor):
            self._tensor(item)
        else:
            try:
                number = to_index(item)
            except TypeError:
                raise IndexError(
                    "only integers, slices (`:`), ellipsis (`...`), None and long or byte "
                    f"Variables are valid indices (got {type(item).__name__})"
                ) from None
            self._select(number)

    def _select(self, index: int) -> None:
        size = self.shape[self.old]
        if not -size <= index < size:
            raise out_of_bounds(index, self.number, size)
        self.steps.append(("select", self.dim, index))
        self.old += 1

    def _slice(self, item: slice) -> None:
        size = self.shape[self.old]
        start = None if item.start is None else _bound(item.start)
        stop = None if item.stop is None else _bound(item.stop)
        step = 1 if item.step is None else _bound(item.step)
        if step <= 0:
            raise ValueError(
                "slice step cannot be zero" if not step else "step must be greater than zero"
            )
        whole = not start and (stop is None or stop >= size) and step == 1
        if not whole:
            self.steps.append(("slice", self.dim, start, stop, step))
        self.dim += 1
        self.old += 1

    def _flag(self, flag: bool) -> None:
        """True keeps everything under a new dimension of size 1, False nothing (size 0)."""
        self.steps.append(("unsqueeze", self.dim))
        self._key(adopt(np.zeros(1 if flag else 0, np.int64)))

    def _key(self, tensor: Tensor, dims: int = 1) -> None:
        self.keys.extend([None] * (self.dim - len(self.keys)))
        self.keys.append(tensor)
        if dims > 1:
            self.keys.extend([_COVERED] * (dims - 1))
        self.dim += dims

    def _tensor(self, item: Tensor) -> None:
        mask = item.dtype in (bool_, uint8)
        if item.ndim == 0 and item.dtype.category <= 1:
            if mask:
                self._flag(bool(item._array))
            else:
                self._select(int(item._array))
            return
        if item.dtype.category > 1 or item.dtype.name not in _INDEX_DTYPES:
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        dims = item.ndim if mask else 1
        self._key(item, dims)
        self.old += dims


_INDEX_DTYPES = {"int64", "int32", "uint8", "bool"}
_COVERED = object()
"""Stands for the further dimensions that a mask indexes."""


def _bound(value: Any) -> int:
    try:
        return to_index(value)
    except TypeError:
        raise TypeError(
            "slice indices must be integers or None or have an __index__ method"
        ) from None


def without_cover(keys: list[Any]) -> tuple[Tensor | None, ...]:
    """Keys as `index_put` takes them: one entry for a mask, however many dimensions it indexes."""
    return tuple(key for key in keys if key is not _COVERED)


# --- from keys to NumPy ---------------------------------------------------------------------------


class Places:
    """Where keys point to: `key` for NumPy, `layout` of what is read there, `dims` indexed."""

    __slots__ = ("key", "layout")

    def __init__(self, key: tuple[Any, ...], layout: Layout) -> None:
        self.key = key
        self.layout = layout


def places(layout: Layout, indices: Sequence[Tensor | None]) -> Places:
    """Expand masks, broadcast the index tensors and lay out the result.

    Raises: IndexError for masks of another shape, too many indices, shapes that do not broadcast.
    """
    arrays: list[np.ndarray | None] = []
    for place, tensor in enumerate(indices):
        if tensor is None:
            arrays.append(None)
        elif tensor.dtype in (bool_, uint8):
            arrays.extend(_nonzero_of_mask(layout, tensor, place, len(arrays)))
        elif tensor.dtype is int64 or tensor.dtype.name == "int32":
            arrays.append(tensor._array)
        else:
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if len(arrays) > len(layout.shape):
        raise IndexError(
            f"too many indices for tensor of dimension {len(layout.shape)} (got {len(arrays)})"
        )
    given = [array for array in arrays if array is not None]
    if not given:
        return Places((WHOLE,) * len(layout.shape), layout)
    if len(given) > 1:
        try:
            shape = np.broadcast_shapes(*[array.shape for array in given])
        except ValueError:
            shapes = ", ".join(str(list(array.shape)) for array in given)
            raise IndexError(
                "shape mismatch: indexing tensors could not be broadcast together with shapes "
                + shapes
            ) from None
    else:
        shape = given[0].shape
    spread = [a if a is None or a.shape == shape else np.broadcast_to(a, shape) for a in arrays]
    dims = tuple(axis for axis, array in enumerate(spread) if array is not None)
    if 0 not in shape and any(layout.shape[axis] == 0 for axis in dims):
        raise IndexError("index is out of bounds for dimension with size 0")
    steps = tuple(tuple(s // a.itemsize for s in a.strides) for a in spread if a is not None)
    key = tuple(WHOLE if array is None else array for array in spread)
    return Places(key, _read_layout(layout, dims, shape, steps))


@lru_cache(maxsize=4096)
def _read_layout(layout: Layout, dims: Ints, shape: Ints, steps: tuple[Ints, ...]) -> Layout:
    """The layout of what is read through index tensors of `shape` and strides `steps` at `dims`.

    The index's dimensions come where the indexed ones were, or in front if those are apart.
    PyTorch packs the result in the order of the strides of input and index tensors together.
    """
    axes = list(range(len(layout.shape)))
    first = dims[0]
    if dims[-1] - first + 1 != len(dims):
        axes = [*dims, *(axis for axis in axes if axis not in dims)]
        first = 0
    before, after = axes[:first], axes[first + len(dims) :]
    read = Layout(
        (*(layout.shape[a] for a in before), *shape, *(layout.shape[a] for a in after)),
        (
            *(layout.strides[a] for a in before),
            *(0,) * len(shape),
            *(layout.strides[a] for a in after),
        ),
    )
    ones = (1,) * len(before), (1,) * len(after)
    indexers = [
        Layout(ones[0] + shape + ones[1], (0,) * len(before) + step + (0,) * len(after))
        for step in steps
    ]
    return elementwise_layout(read, *indexers)


def _nonzero_of_mask(layout: Layout, mask: Tensor, place: int, at: int) -> list[np.ndarray]:
    """A mask as one index array for each dimension it covers."""
    if mask.dtype is uint8:
        warnings.warn(_BYTE_WARNING, UserWarning, stacklevel=6)
    for axis, size in enumerate(mask._layout.shape):
        if at + axis >= len(layout.shape) or layout.shape[at + axis] != size:
            raise IndexError(
                f"The shape of the mask {list(mask._layout.shape)} at index {axis} does not match "
                f"the shape of the indexed tensor {list(layout.shape)} at index {at + axis}"
            )
    return list(np.nonzero(mask._array))


def check_bounds(layout: Layout, key: tuple[Any, ...]) -> None:
    """Raise PyTorch's IndexError if an index array of `key` points outside."""
    number = 0
    for axis, array in enumerate(key):
        if isinstance(array, np.ndarray):
            size = layout.shape[axis]
            outside = (array < -size) | (array >= size)
            if outside.any():
                raise out_of_bounds(int(array[outside].flat[0]), number, size)
            number += 1
