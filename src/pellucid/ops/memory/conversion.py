"""Conversions: `to`, `float()`, `long()`, `type`, `type_as`, `cpu`.

A tensor that needs no change is returned as it is.
"""

from __future__ import annotations

from typing import Any

from pellucid.ops.arguments import type_name
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.memory.memory import cast, clone, layout_in
from pellucid.ops.spec import registry
from pellucid.tensor import dtype as dtypes
from pellucid.tensor.device import META, placed, preserve_format, require_cpu
from pellucid.tensor.device import device as Device
from pellucid.tensor.device import memory_format as MemoryFormat
from pellucid.tensor.dtype import dtype as DType
from pellucid.tensor.events import because, listeners
from pellucid.tensor.meta import without_data
from pellucid.tensor.refusals import no_data
from pellucid.tensor.tensor import Tensor


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
        or input._layout.suggested_memory_format == memory_format.name
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


_PYTHON_TYPES = {
    float: dtypes.float64,
    int: dtypes.int64,
    bool: dtypes.bool_,
    complex: dtypes.complex128,
}


@composite(where="Tensor")
def to(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`to(dtype)`, `to(device)`, `to(device, dtype)`, `to(other)`, with `non_blocking`, `copy`,
    `memory_format`.

    Returns the tensor itself if it already has the dtype and memory format. Devices other than the
    CPU are refused.
    """
    dtype, copy = kwargs.get("dtype"), kwargs.get("copy", False)
    where = input.device if kwargs.get("device") is None else placed(kwargs["device"])
    if "other" in kwargs:
        args = (kwargs["other"], *args)
    flags = []
    for value in args:
        if isinstance(value, DType):
            dtype = value
        elif isinstance(value, Tensor):
            dtype, where = value.dtype, value.device
        elif isinstance(value, (str, Device)) or (
            isinstance(value, int) and not isinstance(value, bool)
        ):
            where = placed(value)
        elif isinstance(value, bool):
            flags.append(value)
        elif isinstance(value, type) and value in _PYTHON_TYPES:
            dtype = _PYTHON_TYPES[value]
        elif value is not None:
            raise TypeError(
                "to() received an invalid combination of arguments - got "
                f"({', '.join(type(a).__name__ for a in args)}), but expected a dtype, a device or "
                "a Tensor"
            )
    if len(flags) > 1:
        copy = flags[1]
    if where is not input.device:
        input = _moved(input, where)
    return convert(input, dtype, copy, kwargs.get("memory_format"))


def _moved(input: Tensor, where: Device) -> Tensor:
    """The tensor without its data. Raises: NotImplementedError for one that has none to give."""
    if where is not META:
        raise no_data()
    return give_up(input)


@operator(where="internal", backward_name="ToCopyBackward0", gradient={"input": lambda grad: grad})
def give_up(input: Tensor) -> Tensor:
    """A tensor without data, laid out as a copy of `input` would be."""
    return without_data(layout_in(preserve_format, input._layout), input.dtype)


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
        registry.put("Tensor", name, _conversion(name, target))


def _conversion(name: str, target: DType) -> Any:
    """The method `name`, which converts to `target`."""

    def method(
        self: Tensor, *args: Any, memory_format: MemoryFormat | None = preserve_format
    ) -> Tensor:
        if args:
            verb = "was" if len(args) == 1 else "were"
            raise TypeError(f"{name}() takes 0 positional arguments but {len(args)} {verb} given")
        if memory_format is not None and not isinstance(memory_format, MemoryFormat):
            raise TypeError(
                f"{name}(): argument 'memory_format' must be torch.memory_format, "
                f"not {type_name(memory_format)}"
            )
        return convert(self, target, memory_format=memory_format)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"The tensor as {target}; itself if it is that already."
    return method


_add_conversions()


@composite(where="Tensor")
def cpu(input: Tensor, memory_format: MemoryFormat = preserve_format) -> Tensor:
    """The tensor itself: it lives on the CPU. Raises: NotImplementedError if it has no data."""
    if input._storage.meta:
        raise no_data()
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
    wanted = getattr(dtype, "dtype", dtype) if isinstance(dtype, type) else dtype
    if not isinstance(wanted, DType):
        if isinstance(dtype, type):
            raise ValueError(f"invalid type: '{dtype.__name__}'")
        raise TypeError("dtype must be a type, str, or dtype object")
    return convert(input, wanted)
