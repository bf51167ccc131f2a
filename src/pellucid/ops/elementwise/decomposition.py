"""Numbers taken apart and put together.

Mantissa and exponent, and powers in double precision written in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import wrong_type
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import copy_array, scalar_type
from pellucid.ops.overloads import guarded_as
from pellucid.ops.returns import return_type
from pellucid.ops.spec import registry
from pellucid.tensor.dtype import int32
from pellucid.tensor.layout import elementwise_layout
from pellucid.tensor.tensor import Tensor, empty

_Frexp = return_type("frexp", "mantissa exponent")


@operator(
    out=True,
    fields=("mantissa", "exponent"),
    gradient={"input": lambda grad, exponent: grad / F.exp2(exponent)},
)
def frexp(input: Tensor) -> Any:
    """(mantissa, exponent) with input = mantissa · 2**exponent and 1/2 ≤ |mantissa| < 1.

    The exponent is int32.
    """
    if not input.dtype.is_floating_point:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    layout = elementwise_layout(input._layout)
    mantissa, exponent = empty(layout, input.dtype), empty(layout, int32)
    array = input._array.astype(np.float32) if input.dtype.itemsize == 2 else input._array
    first, second = np.frexp(array)
    copy_array(mantissa._array, np.asarray(first))
    copy_array(exponent._array, np.asarray(second))
    return _Frexp(mantissa, exponent)


@composite(out=True)
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input · 2**other."""
    if not isinstance(input, Tensor):
        raise wrong_type("ldexp", "input", 1, "Tensor", input)
    return F.mul(input, F.pow(2.0, other))


def _ldexp_in_place(input: Tensor, other: Tensor) -> Tensor:
    """In-place form of `ldexp`."""
    return input.mul_(F.pow(2.0, other))


def _float_power_in_place(input: Tensor, exponent: Any) -> Tensor:
    """In-place form of `float_power`: only for tensors that are in double precision already."""
    inexact = (
        input.dtype.is_complex
        or isinstance(exponent, complex)
        or (isinstance(exponent, Tensor) and exponent.dtype.is_complex)
    )
    needed = "complex128" if inexact else "float64"
    if input.dtype.name != needed:
        wanted = "ComplexDouble" if inexact else "Double"
        raise RuntimeError(
            f"the base given to float_power_ has dtype {scalar_type(input.dtype)} but the "
            f"operation's result requires dtype {wanted}"
        )
    if isinstance(exponent, Tensor):
        exponent = exponent.to(input.dtype)
    return input.pow_(exponent)


registry.put("Tensor", "ldexp_", guarded_as("Tensor.ldexp_", _ldexp_in_place))
registry.put("Tensor", "float_power_", guarded_as("Tensor.float_power_", _float_power_in_place))
