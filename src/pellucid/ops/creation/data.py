"""Tensors from Python data, arrays and buffers: `tensor`, `as_tensor`, `asarray`, `frombuffer`,
`from_numpy`.

`tensor` always copies, `as_tensor` and `asarray` share memory where they can, `from_numpy` and
`frombuffer` always share.
"""

from __future__ import annotations

import warnings
from typing import Any, Unpack

import numpy as np

from pellucid.ops.arguments import wrong_type
from pellucid.ops.creation.factory import Options, check_options, finish, read_dtype
from pellucid.ops.creation.nested import fill, infer, is_sequence, shape_of
from pellucid.ops.dispatch import composite
from pellucid.ops.inplace import scalar_type
from pellucid.ops.memory.conversion import convert
from pellucid.ops.memory.memory import as_scalar, clone, detach
from pellucid.tensor import tensor as core
from pellucid.tensor.device import require_cpu
from pellucid.tensor.dtype import default, dtype
from pellucid.tensor.layout import contiguous
from pellucid.tensor.mapped_storage import map_file
from pellucid.tensor.tensor import Tensor, empty

_READ_ONLY = (
    "not writable, and PyTorch does not support non-writable tensors. This means {} undefined "
    "behavior. You may want to copy the {} to protect its data or make it writable before "
    "converting "
    "it to a tensor."
)


def build(data: Any, kind: dtype | None, copy: bool = True) -> Tensor:
    """A tensor of `data` in `kind` (None: what the data stands for), off the tape.

    Tensors and NumPy arrays keep their order of strides, and their memory unless `copy`.
    """
    if isinstance(data, Tensor):
        return convert(detach(data) if copy else data, kind, copy)
    if isinstance(data, np.ndarray):
        return convert(core.from_numpy(data) if copy else from_numpy(data), kind, copy)
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    shape = shape_of(data)
    result = empty(contiguous(shape), infer(data) if kind is None else kind)
    fill(result._array, data, result.dtype)
    return result


def _warn_copy_construct(data: Any, call: str) -> None:
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() "
            "or sourceTensor.detach().clone().requires_grad_(True), rather than "
            f"{call}(sourceTensor).",
            UserWarning,
            stacklevel=3,
        )


@composite(where="torch")
def tensor(data: Any, **options: Unpack[Options]) -> Tensor:
    """A new leaf tensor with a copy of `data`: numbers, nested sequences, NumPy arrays, tensors.

    The dtype is inferred: bool, int64, the default floating dtype, its complex one, or that of the
    NumPy or tensor values. Raises: ValueError for ragged sequences, TypeError for text.
    """
    kind = None
    if options:
        check_options("tensor", options)
        kind = read_dtype("tensor", options.get("dtype"), None, None)  # type: ignore[arg-type]
    _warn_copy_construct(data, "torch.tensor")
    return finish("tensor", build(data, kind), options)


@composite(where="Tensor")
def new_tensor(self: Tensor, data: Any, **options: Unpack[Options]) -> Tensor:
    """A new leaf tensor with a copy of `data` in this tensor's dtype, unless another one is
    named.
    """
    check_options("new_tensor", options)
    kind = read_dtype("new_tensor", options.get("dtype"), None, self.dtype)
    _warn_copy_construct(data, "tensor.new_tensor")
    return finish("new_tensor", build(data, kind), options)


@composite(where="torch")
def as_tensor(data: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """`data` as a tensor: tensors as they are, NumPy arrays over the same memory, the rest copied.

    Another `dtype` than the data's is a copy, through which gradients flow to a tensor.
    """
    require_cpu(device)
    kind = read_dtype("as_tensor", dtype, None, None)  # type: ignore[arg-type]
    return build(data, kind, copy=False)


@composite(where="torch")
def scalar_tensor(s: Any, **options: Unpack[Options]) -> Tensor:
    """A 0-dim tensor of a number; of the default floating dtype unless one is named."""
    if isinstance(s, Tensor) and not s._layout.shape:
        s = s.item()
    if not isinstance(s, (int, float, complex, np.number, np.bool_)):
        raise wrong_type("scalar_tensor", "s", 1, "Number", s)
    check_options("scalar_tensor", options)
    kind = read_dtype("scalar_tensor", options.get("dtype"), None, default.floating)
    result = empty(contiguous(()), kind)
    result._array[...] = as_scalar(s.item() if isinstance(s, np.generic) else s, kind)
    return finish("scalar_tensor", result, options)


# -- shared memory


@composite(where="torch")
def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor over the memory of a NumPy array: writing to one changes the other.

    Shape and strides: those of `ndarray`, whose strides must be multiples of the item size and not
    negative. Raises: TypeError for another type or a dtype without counterpart, ValueError for
    negative strides and the other byte order.
    """
    if isinstance(ndarray, np.ndarray) and not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is "
            + _READ_ONLY.format("writing to this tensor will result in", "array"),
            UserWarning,
            stacklevel=2,
        )
    elif not isinstance(ndarray, np.ndarray):
        kind = type(ndarray)
        module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
        raise TypeError(f"expected np.ndarray (got {module}{kind.__qualname__})")
    return core.from_numpy(ndarray)


@composite(where="torch")
def frombuffer(
    buffer: Any, *, dtype: dtype, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A tensor over the bytes of an object with the buffer protocol (`bytearray`, `mmap`, `array`,
    …).

    Shape: `(count,)`; all whole elements from byte `offset` on if count is -1.
    Raises: ValueError for objects without buffer, and for counts and offsets that do not fit.
    """
    try:
        raw = np.frombuffer(buffer, dtype=np.uint8)
    except (TypeError, AttributeError):
        raise ValueError("object does not implement Python buffer protocol.") from None
    except ValueError:  # NumPy refuses empty buffers
        raw = np.empty(0, dtype=np.uint8)
    length, size = raw.size, dtype.itemsize
    if not length or not count:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({length} bytes) minus 1"
        )
    if count < 0:
        if (length - offset) % size:
            raise ValueError(
                f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a "
                f"multiple of element size ({size})"
            )
        count = (length - offset) // size
    elif offset + count * size > length:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must "
            "not "
            f"be greater than actual buffer length ({length} bytes)"
        )
    if not raw.flags.writeable:
        warnings.warn(
            "The given buffer is "
            + _READ_ONLY.format(
                "you can write to the underlying (supposedly non-writable) buffer "
                "using the tensor, which is",
                "buffer",
            ),
            UserWarning,
            stacklevel=2,
        )
    part = raw[offset : offset + count * size]
    result = core.from_numpy(part.view(dtype.numpy))
    result._dtype = dtype
    return finish("frombuffer", result, {"requires_grad": requires_grad})


@composite(where="torch")
def from_file(
    filename: str,
    shared: bool | None = None,
    size: int | None = 0,
    **options: Unpack[Options],
) -> Tensor:
    """A tensor over the first bytes of a file. Shape: `(size,)`.

    `shared=True`: writes go to the file, which is made, or made longer, where it is too short.
    Raises: RuntimeError for files that cannot be opened, are too short, or cannot be mapped.
    """
    check_options("from_file", options)
    kind = read_dtype("from_file", options.get("dtype"), None, default.floating)
    count = size or 0
    storage = map_file(filename, bool(shared), count * kind.itemsize)
    return finish("from_file", core.make(storage, contiguous((count,)), kind), options)


@composite(where="torch")
def asarray(
    obj: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """`obj` as a tensor: tensors, NumPy arrays, DLPack objects and buffers share memory, sequences
    are copied.

    `copy`: True for a copy in any case, False to refuse one (ValueError), None to copy if needed.
    `requires_grad`: of the result; None keeps a tensor's own (and its history).
    """
    require_cpu(device)
    kind = read_dtype("asarray", dtype, None, None)  # type: ignore[arg-type]
    result = _shared(obj, kind)
    if result is None:
        if copy is False:
            raise ValueError(
                "can't alias arbitrary sequence into a tensor.\n  Numbers in a list are copied; "
                "leave "
                "copy out, or pass a NumPy array."
            )
        result = build(obj, kind)
    else:
        if copy is False and kind is not None and kind is not result.dtype:
            raise ValueError(
                f"can't alias tensor with dtype '{scalar_type(result.dtype)}' into dtype "
                f"'{scalar_type(kind)}'.\n  Another dtype needs other memory: leave copy out."
            )
        result = clone(result) if copy and kind in (None, result.dtype) else convert(result, kind)
    if requires_grad is None:
        return result
    if not requires_grad:
        return detach(result) if result._requires_grad else result
    if result._requires_grad:
        return result
    return (detach(result) if result is obj else result).requires_grad_()


def _shared(obj: Any, kind: dtype | None) -> Tensor | None:
    """`obj` as a tensor over its own memory, or None if it has none that could be shared."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, np.ndarray):
        return from_numpy(obj)
    if isinstance(obj, np.generic):
        return core.from_numpy(np.array(obj))
    if hasattr(obj, "__dlpack__"):
        return core.from_numpy(np.from_dlpack(obj))
    if isinstance(obj, str) or (is_sequence(obj) and isinstance(obj, (list, tuple, range))):
        return None
    try:
        memoryview(obj)
    except TypeError:
        return None
    return frombuffer(obj, dtype=kind or default.floating)
