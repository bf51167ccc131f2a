"""Operands of elementwise operators as NumPy computes with them.

Converted tensors, Python numbers, rounded numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.arguments import wrong_type
from pellucid.ops.inplace import copy_array
from pellucid.ops.memory.memory import as_scalar, c_name
from pellucid.tensor.dtype import FLOATING, REDUCED, bool_, dtype, float32, float64, int64
from pellucid.tensor.tensor import Tensor

WEAK: dict[dtype, tuple[type, ...]] = {float32: (int, float), float64: (int, float), int64: (int,)}
"""Python numbers that NumPy may take as they are, by the dtype computed in."""
_LARGEST = 2**63
_IN_DOUBLE = frozenset({"celu", "softshrink", "hardtanh"})
"""Operators whose settings PyTorch reads in double precision, whatever their input is."""


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
        return value if type(value) is float else _as_long(value, d)
    if value is None:
        return None
    if type(value) is int:
        value = _as_long(value, d)
    with np.errstate(all="ignore"):
        array = np.asarray(value)
        return (array.real if array.dtype.kind == "c" and not d.is_complex else array).astype(
            d.numpy
        )


def _as_long(value: int, d: dtype) -> int | float:
    """`value` as PyTorch reads it: 64 bits. Those from 2**63 on are negative for integers."""
    if -_LARGEST <= value < _LARGEST:
        return value
    _check_long(value)
    return float(value) if d.category >= FLOATING else value - 2 * _LARGEST


def rounded(value: Any, work: dtype, inner: dtype) -> Any:
    """A number in half precision, as an array of the wider dtype that is computed in."""
    return None if value is None else np.asarray(as_array(value, work)).astype(inner.numpy)


def check_alpha(d: dtype, alpha: Any) -> None:
    """Refuse an `alpha` that the common dtype `d` cannot hold."""
    if isinstance(alpha, bool) and d is not bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, (float, complex)) and d.category < FLOATING:
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if isinstance(alpha, complex) and not d.is_complex:
        raise RuntimeError(
            "For non-complex input tensors, argument alpha must not be a complex number."
        )
    if type(alpha) in (int, float) and (d.category < FLOATING or d in REDUCED):
        as_scalar(alpha, d)  # refuses what does not fit


def real_number(row: str, parameter: str, position: int, value: Any, operand: Any) -> Any:
    """A setting of an operator that PyTorch takes as a number: `alpha` of `elu`.

    A 0-dim tensor stands for its element. Raises: TypeError for what is no number, OverflowError
    for integers beyond 64 bits, RuntimeError for complex numbers.
    """
    if isinstance(value, Tensor) and not value._layout.shape:
        value = value.item()
    if isinstance(value, complex):
        kind = "double" if row in _IN_DOUBLE else c_name(operand.dtype)
        raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
    if not isinstance(value, (bool, int, float, np.number)):
        raise wrong_type(row, parameter, position, "Number", value)
    if isinstance(value, int):
        _check_long(value)
    return value


def _check_long(value: int) -> None:
    """Refuse integers that neither a signed nor an unsigned word of 64 bits holds."""
    if value < -_LARGEST:
        raise OverflowError("can't convert negative int to unsigned")
    if value >= 2 * _LARGEST:
        raise OverflowError("int too big to convert")
