"""Operands of elementwise operators as NumPy computes with them.

Converted tensors, Python numbers, rounded numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.inplace import copy_array
from pellucid.tensor.dtype import FLOATING, bool_, dtype, float32, float64, int64
from pellucid.tensor.tensor import Tensor

WEAK: dict[dtype, tuple[type, ...]] = {float32: (int, float), float64: (int, float), int64: (int,)}
"""Python numbers that NumPy may take as they are, by the dtype computed in."""
_LARGEST = 2**63


def as_array(value: Any, d: dtype) -> Any:
    """An operand as NumPy computes with it.

    An array of dtype `d`, or a Python number NumPy may take as it is; None stays.
    """
    if isinstance(value, Tensor):
        array = value._array
        if value.dtype is d:
            return array
        converted = (
            np.empty(array.shape, d.numpy) if not array.shape else np.empty_like(array, d.numpy)
        )
        copy_array(converted, array)
        return converted
    if type(value) in WEAK.get(d, ()):
        return value if type(value) is float else _as_long(value)
    if value is None:
        return None
    if type(value) is int:
        value = _as_long(value)
    with np.errstate(all="ignore"):
        array = np.asarray(value)
        return (array.real if array.dtype.kind == "c" and not d.is_complex else array).astype(
            d.numpy
        )


def _as_long(value: int) -> int:
    """`value` as PyTorch reads it: 64 bits, those above 2**63 taken as negative."""
    if -_LARGEST <= value < _LARGEST:
        return value
    if value < 0 or value >= 2 * _LARGEST:
        raise OverflowError("int too big to convert")
    return value - 2 * _LARGEST


def rounded(value: Any, work: dtype, inner: dtype) -> Any:
    """A number in half precision, as an array of the wider dtype that is computed in."""
    return None if value is None else np.asarray(as_array(value, work)).astype(inner.numpy)


def check_alpha(d: dtype, alpha: Any) -> None:
    """Refuse an `alpha` that the common dtype `d` cannot hold."""
    if isinstance(alpha, bool) and d is not bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and d.category < FLOATING:
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if isinstance(alpha, complex) and not d.is_complex:
        raise RuntimeError(
            "For non-complex input tensors, argument alpha must not be a complex number."
        )
