"""Tensors from Python data and NumPy arrays: `tensor`, `as_tensor`, `asarray`, the old constructors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.ops.dispatch import composite
from pellucid.ops.factory import finish
from pellucid.ops.inplace import copy_array
from pellucid.ops.conversion import convert
from pellucid.ops.memory import as_scalar
from pellucid.tensor.device import require_cpu
from pellucid.tensor.dtype import bool_, default, default_complex, dtype, from_numpy_dtype, int64
from pellucid.tensor.layout import contiguous
from pellucid.tensor.promotion import number_dtype, promote_types
from pellucid.tensor.tensor import Tensor, from_numpy
from pellucid.tensor.tensor import empty as allocate


def measure(data: Any) -> tuple[int, ...]:
    """The shape of nested sequences, read along their first elements."""
    shape = []
    while isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        shape.append(len(data))
        if not len(data):
            break
        data = data[0]
    if isinstance(data, (Tensor, np.ndarray)):
        shape.extend(data.shape)
    return tuple(shape)


def infer(data: Any) -> dtype | None:
    """The dtype that nested data stands for: the promotion of its numbers; None if there are none."""
    if isinstance(data, Tensor):
        return data.dtype
    if isinstance(data, (np.ndarray, np.generic)):
        return from_numpy_dtype(data.dtype)
    if isinstance(data, (bool, int, float, complex)):
        return number_dtype(data)
    if isinstance(data, (str, bytes)) or not isinstance(data, Sequence):
        raise _unreadable(data)
    if not data:
        return None
    kinds = set(map(type, data))
    if kinds <= {float, int, bool}:
        return default.floating if float in kinds else int64 if int in kinds else bool_
    found: dtype | None = None
    for item in data:
        kind = infer(item)
        if kind is not None:
            found = kind if found is None else promote_types(found, kind)
    return found


def _unreadable(data: Any) -> Exception:
    if isinstance(data, str):
        return TypeError(f"new(): invalid data type '{type(data).__name__}'")
    return RuntimeError(f"Could not infer dtype of {type(data).__name__}")


def _check(data: Any, shape: tuple[int, ...], dim: int) -> None:
    """Refuse ragged data, naming the dimension where lengths differ."""
    if isinstance(data, (Tensor, np.ndarray)):
        if tuple(data.shape) != shape[dim:]:
            raise ValueError(
                f"expected sequence of length {shape[dim]} at dim {dim} (got {data.shape[0] if len(data.shape) else 0})"
                if dim < len(shape)
                else "only one element tensors can be converted to Python scalars"
            )
        return
    if dim == len(shape):
        if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
            raise TypeError(
                f"not a sequence: expected a number at dim {dim}, got {type(data).__name__}"
            )
        return
    if not isinstance(data, Sequence) or isinstance(data, (str, bytes)):
        raise TypeError("not a sequence")
    if len(data) != shape[dim]:
        raise ValueError(f"expected sequence of length {shape[dim]} at dim {dim} (got {len(data)})")
    for item in data:
        _check(item, shape, dim + 1)


def build(data: Any, d: dtype | None) -> Tensor:
    """A fresh contiguous tensor holding a copy of `data`."""
    if isinstance(data, Tensor):
        out = allocate(contiguous(data._layout.shape), d or data.dtype)
        copy_array(out._array, data._array)
        return out
    if isinstance(data, (np.ndarray, np.generic)):
        out = allocate(contiguous(data.shape), d or from_numpy_dtype(data.dtype))
        copy_array(out._array, np.asarray(data))
        return out
    if isinstance(data, (bool, int, float, complex)):
        out = allocate(contiguous(()), d or number_dtype(data))
        out._array[...] = as_scalar(data, out.dtype)
        return out
    if hasattr(data, "__array_interface__") or (
        hasattr(data, "__array__") and not isinstance(data, Sequence)
    ):
        return build(np.asarray(data), d)
    if isinstance(data, (str, bytes)) or not isinstance(data, Sequence):
        if (
            hasattr(data, "__len__")
            and hasattr(data, "__getitem__")
            and not isinstance(data, (str, bytes, dict, set))
        ):
            return build(list(data), d)
        raise _unreadable(data)
    shape = measure(data)
    kind = d or infer(data) or default.floating
    _check(data, shape, 0)
    out = allocate(contiguous(shape), kind)
    if out._layout.numel:
        _copy_nested(data, out, kind)
    return out


def _copy_nested(data: Any, out: Tensor, kind: dtype) -> None:
    plain = _plain(data)
    if kind.category == 1 and kind is not int64:
        for value in np.ravel(np.asarray(plain, dtype=object)):
            as_scalar(value, kind)
    with np.errstate(all="ignore"):
        wide = np.complex128 if kind.is_complex else np.float64 if kind.category == 2 else None
        array = np.asarray(plain, dtype=wide)
        if kind.category <= 1 and array.dtype.kind == "O":
            raise RuntimeError("Overflow when unpacking long long")
        copy_array(out._array, array)


def _plain(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.tolist()
    if isinstance(data, np.ndarray):
        return data
    if isinstance(data, Sequence):
        return [_plain(item) if not isinstance(item, (int, float)) else item for item in data]
    return data


@composite(where="torch")
def tensor(
    data: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new leaf tensor with a copy of `data`: numbers, nested sequences, NumPy arrays, tensors.

    The dtype is inferred: bool, int64, the default floating dtype, or its complex one. Ragged sequences are a ValueError.
    """
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
    require_cpu(device)
    return finish("tensor", build(data, dtype), {"requires_grad": requires_grad})


@composite(where="torch")
def as_tensor(data: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """`data` as a tensor, sharing memory with NumPy arrays and returning tensors as they are when the dtype allows."""
    require_cpu(device)
    if isinstance(data, Tensor):
        return convert(data, dtype)
    if isinstance(data, np.ndarray):
        shared = from_numpy(data)
        return shared if dtype is None else convert(shared, dtype)
    return finish("as_tensor", build(data, dtype))


@composite(where="Tensor")
def new_tensor(
    self: Tensor,
    data: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A new tensor with a copy of `data` in this tensor's dtype."""
    require_cpu(device)
    return finish("new_tensor", build(data, dtype or self.dtype), {"requires_grad": requires_grad})


@composite(where="torch")
def scalar_tensor(value: Any, *, dtype: dtype | None = None, **options: Any) -> Tensor:
    """A 0-dim tensor; of the default floating dtype unless one is named."""
    d = dtype or (default_complex() if isinstance(value, complex) else default.floating)
    return finish("scalar_tensor", build(value, d), options)
