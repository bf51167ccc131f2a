"""Copies, casts and fills: `clone`, `copy_`, `to`, `contiguous`, `detach`, `data`, `fill_`,
`zero_`, `set_`, `resize_`.

What copies says so (`because`), so that `explain` can tell a `to` or `contiguous` that copied from
one that did not.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from pellucid.autograd.node import wants_grad
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import (
    after_write,
    before_write,
    copy_array,
    resize,
    shares_memory,
    tell_write,
)
from pellucid.ops.spec import describe, registry
from pellucid.tensor import dtype as dtypes
from pellucid.tensor import layout as layouts
from pellucid.tensor.device import contiguous_format, preserve_format, require_cpu
from pellucid.tensor.device import device as Device
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


@operator(gradient={"input": lambda grad: grad})
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


def convert(
    input: Tensor,
    dtype: DType | None = None,
    copy: bool = False,
    memory_format: MemoryFormat | None = None,
) -> Tensor:
    """The tensor in another dtype or memory format: itself when nothing changes and `copy` is not
    asked for.
    """
    dtype = input.dtype if dtype is None else dtype
    fits = (
        memory_format is None
        or memory_format is preserve_format
        or input._layout.is_contiguous(memory_format.name)
    )
    if fits and dtype is input.dtype and not copy:
        return input
    if listeners:
        because(
            f"to: {input.dtype} becomes {dtype}"
            if dtype is not input.dtype
            else "to: a copy was asked for"
        )
    return (
        clone(input, memory_format=memory_format)
        if dtype is input.dtype
        else cast(input, dtype, memory_format)
    )


@composite(where="Tensor")
def to(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`to(dtype)`, `to(device)`, `to(device, dtype)`, `to(other)`, with `non_blocking`, `copy`,
    `memory_format`.

    Returns the tensor itself if it already has the dtype and memory format. Devices other than the
    CPU are refused.
    """
    dtype, copy = kwargs.get("dtype"), kwargs.get("copy", False)
    require_cpu(kwargs.get("device"))
    if "other" in kwargs:
        args = (kwargs["other"], *args)
    flags = []
    for value in args:
        if isinstance(value, DType):
            dtype = value
        elif isinstance(value, Tensor):
            dtype = value.dtype
        elif isinstance(value, (str, Device)) or (
            isinstance(value, int) and not isinstance(value, bool)
        ):
            require_cpu(value)
        elif isinstance(value, bool):
            flags.append(value)
        elif value is not None:
            raise TypeError(
                "to() received an invalid combination of arguments - got "
                f"({', '.join(type(a).__name__ for a in args)}), but expected a dtype, a device or "
                "a Tensor"
            )
    if len(flags) > 1:
        copy = flags[1]
    return convert(input, dtype, copy, kwargs.get("memory_format"))


def _add_conversions() -> None:
    names = {
        "float": dtypes.float32,
        "double": dtypes.float64,
        "half": dtypes.float16,
        "bfloat16": dtypes.bfloat16,
        "long": dtypes.int64,
        "int": dtypes.int32,
        "short": dtypes.int16,
        "char": dtypes.int8,
        "byte": dtypes.uint8,
        "bool": dtypes.bool_,
        "cfloat": dtypes.complex64,
        "cdouble": dtypes.complex128,
    }
    for name, target in names.items():

        def method(
            self: Tensor, memory_format: MemoryFormat = preserve_format, _target: DType = target
        ) -> Tensor:
            return convert(self, _target, memory_format=memory_format)

        method.__name__ = method.__qualname__ = name
        method.__doc__ = f"The tensor as {target}; itself if it is that already."
        registry.put("Tensor", name, method)


_add_conversions()


@composite(where="Tensor")
def cpu(input: Tensor, memory_format: MemoryFormat = preserve_format) -> Tensor:
    """The tensor itself: it lives on the CPU."""
    return input


@composite(where="Tensor")
def cuda(input: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """Refused: Pellucid computes on the CPU."""
    require_cpu("cuda" if device is None else device)
    return input


@composite(where="Tensor")
def type_as(input: Tensor, other: Tensor) -> Tensor:
    """The tensor in the dtype of `other`."""
    return convert(input, other.dtype)


@composite(where="Tensor", name="type")
def type_(input: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """PyTorch's name of the tensor's type ("torch.FloatTensor"), or the tensor as another one."""
    if dtype is None:
        return f"torch.{input.dtype.tensor_type}"
    if isinstance(dtype, str):
        for each in dtypes.all_dtypes():
            if dtype == f"torch.{each.tensor_type}":
                return convert(input, each)
        raise ValueError(f"invalid type: '{dtype}'")
    return convert(input, dtypes.dtype_named(dtype.__name__) if isinstance(dtype, type) else dtype)


@composite(where="torch Tensor")
def detach(input: Tensor) -> Tensor:
    """The same memory, cut off the tape: writes are shared (and counted), gradients do not flow."""
    result = make(input._storage, input._layout, input.dtype)
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
    return make(self._storage.alias(), self._layout, self.dtype)


def _set_data(self: Tensor, value: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    version = self._storage.version
    storage = value._storage.alias()
    storage.version = version
    self._storage, self._layout, self.dtype = storage, value._layout, value.dtype
    self.__dict__.pop("_array", None)


Tensor.data = property(
    _get_data,
    _set_data,
    doc="The same memory without history and with a version counter of its own.",
)  # type: ignore[attr-defined]


def _zeros_for(grad: Tensor) -> Tensor:
    return grad * 0 if wants_grad(grad) else zero_(empty_as(grad))


def empty_as(input: Tensor) -> Tensor:
    """Uninitialised memory laid out like `input`."""
    return empty(empty_like_layout(input._layout), input.dtype)


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Copy `src` into this tensor: broadcast to its shape, converted to its dtype."""
    if not isinstance(src, Tensor):
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}"
        )
    start = perf_counter() if listeners else 0.0
    old = before_write(_COPY, self, (src,), {})
    shape = self._layout.shape
    if src._layout.shape != shape:
        try:
            fits = broadcast_shapes(shape, src._layout.shape) == shape
        except RuntimeError:
            fits = False
        if not fits:
            layouts.expand(src._layout, shape)  # raises, naming the dimension
    source = src._array
    if source is not self._array:
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


_COPY = describe(
    lambda input, src: None,
    kind="fresh",
    where="internal",
    name="copy",
    backward_name="CopyBackwards",
    gradient={"input": _zeros_for, "src": lambda grad: grad},
)
registry.put("Tensor", "copy_", copy_)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to `value`, a number or a 0-dim tensor."""
    start = perf_counter() if listeners else 0.0
    if isinstance(value, Tensor) and value._layout.shape:
        raise RuntimeError(
            "fill_ only supports 0-dimension value tensor but got tensor with "
            f"{len(value._layout.shape)} dimensions."
        )
    old = before_write(_FILL, self, (value,), {})
    copy_array(
        self._array, value._array if isinstance(value, Tensor) else as_scalar(value, self.dtype)
    )
    after_write(_FILL, self, old, (value,), {})
    if listeners:
        tell_write("fill", self, (value,), start)
    return self


def as_scalar(value: Any, d: DType) -> np.ndarray:
    """A Python number as a 0-dim array of dtype `d`; RuntimeError if it does not fit."""
    if isinstance(value, complex) and not d.is_complex:
        if value.imag:
            raise RuntimeError(f"value cannot be converted to type {_c_name(d)} without overflow")
        value = value.real
    if d.category == dtypes.INTEGER:
        if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
            raise RuntimeError(f"value cannot be converted to type {_c_name(d)} without overflow")
        info = np.iinfo(d.numpy)
        lowest = -info.max if not d.is_signed else info.min
        if not lowest <= int(value) <= info.max:
            raise RuntimeError(f"value cannot be converted to type {_c_name(d)} without overflow")
        return np.asarray(int(value)).astype(d.numpy)
    with np.errstate(all="ignore"):
        found = np.asarray(value).astype(d.numpy)
    if d.category == dtypes.FLOATING and np.isinf(found) and abs(value) != float("inf"):
        raise RuntimeError(f"value cannot be converted to type {_c_name(d)} without overflow")
    return found


def _c_name(d: DType) -> str:
    return {
        "float32": "float",
        "float64": "double",
        "float16": "at::Half",
        "bfloat16": "at::BFloat16",
    }.get(d.name, d.name + "_t")


_FILL = describe(
    lambda input, value: None,
    kind="fresh",
    where="internal",
    name="fill",
    gradient={"input": _zeros_for, "value": lambda grad: grad.sum()},
)
registry.put("Tensor", "fill_", fill_)


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
    return resize_(input, *other._layout.shape, memory_format=memory_format)


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
        storage = source
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
    input._storage, input._layout = storage, layout
    input.__dict__.pop("_array", None)
    return input
