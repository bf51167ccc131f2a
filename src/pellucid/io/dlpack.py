"""DLPack: tensors handed between libraries without copying their memory.

The protocol (dmlc.github.io/dlpack) is a C struct in a capsule. NumPy writes and reads it, so a
tensor goes through the NumPy array over its storage. NumPy knows no `bfloat16`; it is shown such
memory as `uint16`, and the type code in the capsule is set right before or after.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from pellucid.tensor import tensor as core
from pellucid.tensor.dtype import dtype, dtype_named
from pellucid.tensor.tensor import Tensor

CPU = (1, 0)
"""`(kDLCPU, device number)`."""
_UINT, _BFLOAT = 1, 4
_TYPE_CODE_AT = {b"dltensor": 20, b"dltensor_versioned": 52}
"""Where the type code lies in the struct of a capsule of this name: behind data pointer, device and
number of dimensions of the `DLTensor`, before which the newer struct has 32 bytes of its own."""


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule over the memory of `tensor`, to be consumed once.

    Raises:
        BufferError: the tensor requires a gradient, which the protocol cannot carry.
    """
    return capsule_of(tensor)


def _refuse_lazy(tensor: Tensor) -> None:
    if tensor._storage.lazy:
        bit, way = ("conjugate", "conj") if tensor.is_conj() else ("negative", "neg")
        raise BufferError(
            f"Can't export tensors with the {bit} bit set\n"
            f"  Give it tensor.resolve_{way}(), which computes it."
        )


def capsule_of(
    tensor: Tensor,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """What `Tensor.__dlpack__` returns; arguments as in the array API standard."""
    if tensor._requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    _refuse_lazy(tensor)
    if stream is not None and stream != -1:
        raise BufferError("a CPU tensor has no stream; pass stream=None")
    array = tensor._array
    half = tensor.dtype.name == "bfloat16"
    if half:
        array = array.view(np.uint16)
    if not array.flags.writeable and max_version is None:
        array = array.copy()
    capsule = array.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)
    if half:
        _set_type_code(capsule, _UINT, _BFLOAT)
    return capsule


def device_of(tensor: Tensor) -> tuple[int, int]:
    """What `Tensor.__dlpack_device__` returns."""
    return CPU


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array or tensor.

    Args:
        ext_tensor: anything with `__dlpack__` (NumPy, PyTorch, JAX, CuPy on the host, …), or a
            capsule.
        device: None or "cpu".
        copy: True for memory of its own, False to refuse a copy, None to copy if needed.

    Raises:
        TypeError: the object does not speak DLPack, or has a dtype without a counterpart.
        BufferError: the memory is not on the CPU, or cannot be shared.
    """
    if isinstance(ext_tensor, Tensor):
        _refuse_lazy(ext_tensor)
        made = core.make(ext_tensor._storage, ext_tensor._layout, ext_tensor.dtype)
        return core.adopt(made._array.copy(), made.dtype) if copy else made
    source = ext_tensor if hasattr(ext_tensor, "__dlpack__") else _Capsule(ext_tensor)
    where = tuple(int(part) for part in source.__dlpack_device__())
    if where[0] != CPU[0]:
        raise BufferError(f"the memory is on DLPack device {where}; move it to the CPU first")
    offered = _Offer(source)
    try:
        array = np.from_dlpack(offered, copy=copy)
    except (RuntimeError, BufferError) as error:
        raise BufferError(f"from_dlpack: {error}") from error
    if offered.half:
        element = dtype_named("bfloat16")
        return _over(array.view(element.numpy), element)
    return _over(array, None)


def _over(array: np.ndarray, element: dtype | None) -> Tensor:
    """A tensor over `array`; read-only memory is copied, since tensors can be written."""
    if not array.flags.writeable:
        array = array.copy()
    return core.from_numpy(array)


class _Capsule:
    """A bare capsule, presented as the protocol wants it: an object that returns it."""

    def __init__(self, capsule: Any) -> None:
        if type(capsule).__name__ != "PyCapsule":
            raise TypeError(
                f"from_dlpack needs an object with __dlpack__, got {type(capsule).__name__}. "
                "Lists and numbers become tensors by pellucid.tensor(...)"
            )
        self._capsule = capsule

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU


class _Offer:
    """Passes a producer on to NumPy and notices `bfloat16`, which NumPy is shown as `uint16`."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.half = False

    def __dlpack__(self, **kwargs: Any) -> Any:
        try:
            capsule = self._source.__dlpack__(**kwargs)
        except TypeError:
            capsule = self._source.__dlpack__()
        self.half = _set_type_code(capsule, _BFLOAT, _UINT)
        return capsule

    def __dlpack_device__(self) -> Any:
        return self._source.__dlpack_device__()


_get_name = ctypes.pythonapi.PyCapsule_GetName
_get_name.restype, _get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype, _get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _set_type_code(capsule: Any, old: int, new: int) -> bool:
    """Replace the type code of an unused capsule if it is `old` and the elements have 16 bits."""
    name = _get_name(capsule)
    if name not in _TYPE_CODE_AT:
        raise BufferError(f"the capsule {name!r} is no DLPack capsule, or was consumed already")
    address = _get_pointer(capsule, name) + _TYPE_CODE_AT[name]
    code = ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8))
    if (code[0], code[1]) != (old, 16):
        return False
    code[0] = new
    return True


# `Tensor` is born without them: the methods by which other libraries ask for its memory.
setattr(Tensor, "__dlpack__", capsule_of)  # noqa: B010
setattr(Tensor, "__dlpack_device__", device_of)  # noqa: B010
