"""Copies and fills: `clone`, `copy_`, `contiguous`, `detach`, `data`, `fill_`, `zero_`, `set_`,
`resize_`.

What copies says so (`because`), so that `explain` can tell a `contiguous` that copied from one that
did not. Conversions between dtypes stand in `conversion.py`.
"""

from __future__ import annotations

import functools
from time import perf_counter
from typing import Any

import numpy as np

from pellucid.autograd.node import wants_grad
from pellucid.ops.arguments import type_name
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import (
    after_write,
    before_write,
    copy_array,
    put,
    refuse_shared,
    resize,
    shares_memory,
    tell_write,
)
from pellucid.ops.lazy import write_through
from pellucid.ops.overloads import guarded_as
from pellucid.ops.parameter import overflow
from pellucid.ops.spec import describe, registry
from pellucid.tensor import dtype as dtypes
from pellucid.tensor import layout as layouts
from pellucid.tensor.device import contiguous_format, preserve_format
from pellucid.tensor.device import memory_format as MemoryFormat
from pellucid.tensor.dtype import dtype as DType
from pellucid.tensor.events import because, listeners
from pellucid.tensor.layout import (
    Layout,
    broadcast_shapes,
    contiguity_formula,
    contiguous,
    empty_like_layout,
)
from pellucid.tensor.lazy_storage import read_as
from pellucid.tensor.levels import UNTOUCHED, Batched, interpreter, levels, wrap
from pellucid.tensor.meta import without_data
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, empty, make


def layout_in(format: MemoryFormat | None, layout: Layout) -> Layout:
    """The layout of a fresh copy of `layout` in a memory format."""
    if format is None or format is preserve_format:
        return empty_like_layout(layout)
    if format.name == "contiguous_format":
        return contiguous(layout.shape)
    maker = {"channels_last": layouts.channels_last, "channels_last_3d": layouts.channels_last_3d}[
        format.name
    ]
    rank = 4 if format.name == "channels_last" else 5
    if len(layout.shape) != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {format.name} format")
    return maker(layout.shape)


def _without_data(
    input: Tensor, dtype: DType | None = None, memory_format: MemoryFormat | None = None
) -> Tensor:
    """What `clone` and `cast` give of a tensor without data."""
    return without_data(layout_in(memory_format, input._layout), dtype or input.dtype)


@operator(
    gradient={"input": lambda grad: grad},
    infer=lambda input, memory_format=None: _without_data(input, None, memory_format),
)
def clone(input: Tensor, *, memory_format: MemoryFormat | None = None) -> Tensor:
    """A copy. With `preserve_format` dense tensors keep their order of strides.

    Shape: as `input`. Gradients flow to `input`.
    """
    out = empty(layout_in(memory_format, input._layout), input.dtype)
    np.copyto(out._array, input._array)
    return out


@operator(
    where="internal",
    name="cast",
    backward_name="ToCopyBackward0",
    gradient={"input": lambda grad: grad},
    infer=_without_data,
)
def cast(input: Tensor, dtype: DType, memory_format: MemoryFormat | None = None) -> Tensor:
    """A copy in another dtype; floats are cut towards zero when they become integers."""
    out = empty(layout_in(memory_format, input._layout), dtype)
    copy_array(out._array, input._array)
    return out


@composite(where="Tensor", name="contiguous")
def to_contiguous(input: Tensor, memory_format: MemoryFormat = contiguous_format) -> Tensor:
    """The tensor itself if its memory is in the order of `memory_format`, else a copy that is."""
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    if input._layout.is_contiguous(memory_format.name):
        return input
    if listeners:
        because(f"contiguous: {contiguity_formula(input._layout)}")
    return clone(input, memory_format=memory_format)


@composite(where="torch Tensor")
def detach(input: Tensor) -> Tensor:
    """The same memory, cut off the tape: writes are shared (and counted), gradients do not flow."""
    if type(input) is Batched:
        return wrap(detach(input._value), input._level, input._batched)
    result = input._twin()
    result._inference = input._inference
    return result


@composite(where="Tensor")
def detach_(input: Tensor) -> Tensor:
    """Cut the tensor itself off the tape."""
    if input._base is not None:
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead. If you are using "
            "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is set as "
            "True, gradients are views of DDP buckets, and hence detach_() cannot be called on "
            "these gradients. To fix this error, please refer to the Optimizer.zero_grad() "
            "function in torch/optim/optimizer.py as a solution."
        )
    input._grad_fn = None
    input._output_nr = 0
    input._requires_grad = False
    return input


def _get_data(self: Tensor) -> Tensor:
    if type(self) is Batched:
        return wrap(_get_data(self._value), self._level, self._batched)
    return make(self._storage.alias(), self._layout, self.dtype)


def _set_data(self: Tensor, value: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    if type(self) is Batched or type(value) is Batched:
        raise RuntimeError(
            "vmap: `.data` cannot be set inside vmap\n  Use the tensor itself in its place."
        )
    version = self._storage.version
    storage = value._storage.alias()
    storage.version = version
    self._storage, self._layout, self._dtype = storage, value._layout, value.dtype
    self.__dict__.pop("_array", None)


# A property, which the stub declares as the attribute that it looks like.
Tensor.data = property(  # type: ignore[assignment]
    _get_data,
    _set_data,
    doc="The same memory without history and with a version counter of its own.",
)


def _zeros_for(grad: Tensor) -> Tensor:
    return grad * 0 if wants_grad(grad) else zero_(empty_as(grad))


def empty_as(input: Tensor) -> Tensor:
    """Uninitialised memory laid out like `input`."""
    return empty(empty_like_layout(input._layout), input.dtype)


def laid_over(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one storage show the same elements at the same places."""
    return a._layout == b._layout and a.dtype is b.dtype


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Copy `src` into this tensor: broadcast to its shape, converted to its dtype."""
    if not isinstance(src, Tensor):
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type_name(src)}"
        )
    start = perf_counter() if listeners else 0.0
    if levels.stack and interpreter.write(_COPY, self, (src,), {}, _copy_all) is not UNTOUCHED:
        return self
    old = before_write(_COPY, self, (src,), {})
    shape = self._layout.shape
    if src._layout.shape != shape:
        try:
            fits = broadcast_shapes(shape, src._layout.shape) == shape
        except RuntimeError:
            fits = False
        if not fits:
            layouts.expand(src._layout, shape)  # raises, naming the dimension
    if self._storage.meta:
        after_write(_COPY, self, old, (src,), {})
        return self
    source = src._array
    if self._storage.lazy:
        put(self, np.broadcast_to(source, shape))
    elif source is not self._array:
        if src._storage is self._storage and not laid_over(self, src):
            refuse_shared(self, src)
        if src.dtype is self.dtype:
            np.copyto(self._array, source)
        else:
            if shares_memory(self, src):
                source = source.copy()
            copy_array(self._array, source)
    after_write(_COPY, self, old, (src,), {})
    if listeners:
        tell_write("copy", self, (src,), start)
    return self


def _copy_all(target: Any, source: Any) -> None:
    """Copy or fill inside `vmap`: for all elements at once."""
    value = target._value
    if not isinstance(source, Tensor):
        value.fill_(source)
        return
    given: Any = source
    found = given._value
    if given._batched:
        for _ in range(target.dim() - given.dim()):
            found = found.unsqueeze(1)
    value.copy_(found)


_COPY = describe(
    lambda input, src: None,
    kind="fresh",
    where="internal",
    name="copy",
    backward_name="CopyBackwards",
    gradient={"input": _zeros_for, "src": lambda grad: grad},
)
registry.put("Tensor", "copy_", guarded_as("Tensor.copy_", copy_))


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to `value`, a number or a 0-dim tensor."""
    if self._storage.lazy:
        return write_through(fill_, self, (value,), {})
    start = perf_counter() if listeners else 0.0
    if isinstance(value, Tensor) and value._layout.shape:
        raise RuntimeError(
            "fill_ only supports 0-dimension value tensor but got tensor with "
            f"{len(value._layout.shape)} dimensions."
        )
    if levels.stack and interpreter.write(_FILL, self, (value,), {}, _copy_all) is not UNTOUCHED:
        return self
    if isinstance(value, Tensor):
        source = value._array
    elif (error := overflow("Number", value)) is not None:
        raise error
    else:
        source = as_scalar(value, self.dtype, saturate=self._layout.numel == 1)
    old = before_write(_FILL, self, (value,), {})
    copy_array(self._array, source)
    after_write(_FILL, self, old, (value,), {})
    if listeners:
        tell_write("fill", self, (value,), start)
    return self


def as_scalar(value: Any, d: DType, saturate: bool = False) -> np.ndarray:
    """A Python number as a 0-dim array of dtype `d`; RuntimeError if it does not fit.

    `saturate`: what is too large for half precision is infinite, as `fill_` and `full` have it for
    a single element.
    """
    if isinstance(value, complex) and not d.is_complex:
        if d is dtypes.bool_:
            return np.asarray(bool(value))
        if value.imag:
            raise RuntimeError(f"value cannot be converted to type {c_name(d)} without overflow")
        value = value.real
    if d.category == dtypes.INTEGER:
        if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
            raise RuntimeError(f"value cannot be converted to type {c_name(d)} without overflow")
        info = np.iinfo(d.numpy)
        lowest = -info.max if not d.is_signed else info.min
        if not lowest <= int(value) <= info.max:
            raise RuntimeError(f"value cannot be converted to type {c_name(d)} without overflow")
        return np.asarray(int(value)).astype(d.numpy)
    with np.errstate(all="ignore"):
        found = np.asarray(value).astype(d.numpy)
    if saturate and d in dtypes.REDUCED:
        return found
    if d.category == dtypes.FLOATING and largest(d) < abs(value) != float("inf"):
        raise RuntimeError(f"value cannot be converted to type {c_name(d)} without overflow")
    return found


@functools.cache
def largest(d: DType) -> float:
    """The largest number of a floating dtype."""
    return float(dtypes.finfo(d).max)


def c_name(d: DType) -> str:
    """The type of C++ for `d`, as PyTorch's messages name it."""
    return {
        "int32": "int",
        "float32": "float",
        "float64": "double",
        "float16": "c10::Half",
        "bfloat16": "c10::BFloat16",
    }.get(d.name, d.name + "_t")


_FILL = describe(
    lambda input, value: None,
    kind="fresh",
    where="internal",
    name="fill",
    gradient={"input": _zeros_for, "value": lambda grad: grad.sum()},
)
registry.put("Tensor", "fill_", guarded_as("Tensor.fill_", fill_))


@composite(where="Tensor torch")
def zero_(input: Tensor) -> Tensor:
    """Set every element to zero."""
    return fill_(input, 0)


@composite(where="torch Tensor")
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` with every element `value`."""
    return fill_(clone(input), value)


@composite(where="Tensor")
def resize_(input: Tensor, *size: Any, memory_format: MemoryFormat | None = None) -> Tensor:
    """Change the shape in place; elements that fit are kept, new ones are uninitialised."""
    if wants_grad(input):
        raise RuntimeError("cannot resize variables that require grad")
    shape = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else tuple(size)
    if memory_format is not None or shape != input._layout.shape:
        resize(input, layout_in(memory_format or contiguous_format, contiguous(shape)))
    return input


@composite(where="torch Tensor")
def resize_as_(
    input: Tensor, other: Tensor, *, memory_format: MemoryFormat | None = None
) -> Tensor:
    """Change the shape in place to that of `other`."""
    return resize_(input, tuple(other._layout.shape), memory_format=memory_format)


@composite(where="Tensor")
def set_(
    input: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None
) -> Tensor:
    """Look at another tensor's or storage's memory from now on."""
    if source is None:
        storage, layout = Storage(0), contiguous((0,))
    elif isinstance(source, Tensor):
        storage, layout = source._storage, source._layout
        if size is not None:
            shape = tuple(size)
            layout = Layout(
                shape,
                tuple(stride) if stride is not None else contiguous(shape).strides,
                storage_offset,
            )
    else:
        storage = getattr(source, "_untyped_storage", source)
        if not isinstance(storage, Storage):
            raise TypeError(
                "set_() received an invalid combination of arguments - got "
                f"({type_name(source)}), but expected a Tensor or a storage"
            )
        shape = tuple(size) if size is not None else (storage.nbytes() // input.dtype.itemsize,)
        layout = Layout(
            shape,
            tuple(stride) if stride is not None else contiguous(shape).strides,
            storage_offset,
        )
    if layout.bounds[1] * input.dtype.itemsize > storage.nbytes():
        raise RuntimeError(
            f"setStorage: sizes {list(layout.shape)}, strides {list(layout.strides)}, storage "
            f"offset {layout.offset}, and itemsize "
            f"{input.dtype.itemsize} requiring a storage size of "
            f"{layout.bounds[1] * input.dtype.itemsize} are out of bounds for "
            f"storage of size {storage.nbytes()}"
        )
    own = input._storage  # a conjugate view goes on conjugating what it looks at
    input._storage = read_as(storage.base, conjugated=own.conjugated, negated=own.negated)
    input._layout = layout
    input.__dict__.pop("_array", None)
    return input
