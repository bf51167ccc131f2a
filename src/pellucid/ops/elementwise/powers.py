"""Powers and roots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.elementwise.masks import keep
from pellucid.ops.elementwise.pointwise import elementwise, floating, pointwise
from pellucid.ops.elementwise.refusals import BOOL, WIDE, kernel
from pellucid.ops.memory.conversion import convert
from pellucid.ops.memory.memory import as_scalar
from pellucid.tensor.dtype import FLOATING, complex128, float64
from pellucid.tensor.tensor import Tensor

sqrt = pointwise(
    "sqrt", np.sqrt, rule=floating, gradient={"input": lambda grad, out: grad / (2 * conj(out))}
)


@elementwise(rule=floating, gradient={"input": lambda grad, out: -0.5 * grad * conj(out.pow(3))})
def rsqrt(input: Any, out: Any) -> None:
    """1 / sqrt(x)."""
    np.reciprocal(np.sqrt(input, out), out)


def _power_grad(grad: Any, input: Any, exponent: Any) -> Any:
    if not isinstance(exponent, Tensor):
        return (
            F.zeros_like(grad) if exponent == 0 else grad * conj(exponent * input.pow(exponent - 1))
        )
    safe = grad * conj(exponent * F.pow(input, exponent - 1))
    return keep(safe, exponent != 0)


def _exponent_grad(grad: Any, input: Any, exponent: Any, out: Any) -> Any:
    """out · log(input), but 0 where a base 0 meets an exponent that is not negative."""
    harmless = (
        exponent >= 0
        if not exponent.dtype.is_complex
        else (exponent.imag == 0) & (exponent.real >= 0)
    )
    if not isinstance(input, Tensor):
        if input == 0:
            return grad * keep(conj(out * float("-inf")), ~harmless)
        return grad * conj(out * F.log(F.scalar_tensor(input, dtype=out.dtype)))
    return grad * keep(conj(out * F.log(convert(input, out.dtype))), ~((input == 0) & harmless))


def _integer_power(base: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Powers of integers.

    A negative exponent leaves 1 of base 1, ±1 of base −1, and 0 of any other.
    """
    negative = exponent < 0
    if not np.any(negative):
        return np.power(base, exponent)
    inverse = np.where(base == 1, 1, np.where(base == -1, 1 - 2 * (exponent & 1), 0))
    return np.where(negative, inverse, np.power(base, np.where(negative, 0, exponent))).astype(
        base.dtype
    )


_EASY: dict[float, Any] = {
    0.5: np.sqrt,
    1: np.positive,
    2: np.square,
    3: lambda x, out: np.multiply(np.multiply(x, x), x, out),
    -0.5: lambda x, out: np.reciprocal(np.sqrt(x, out), out),
    -1: np.reciprocal,
    -2: lambda x, out: np.reciprocal(np.multiply(x, x, out), out),
}
"""Powers that are cheaper and more accurate as products and roots."""


def _no_negative_power(operands: Sequence[Any]) -> None:
    input, exponent = operands
    integral = isinstance(input, Tensor) and input.dtype.category < FLOATING
    if not integral or not isinstance(exponent, int) or isinstance(exponent, bool):
        return
    if exponent < 0:
        raise RuntimeError(
            "Integers to negative integer powers are not allowed.\n  Use a floating base, or a "
            "floating exponent."
        )
    if input.dtype.category:
        as_scalar(exponent, input.dtype)  # raises for exponents that the dtype cannot hold


@elementwise(
    "input exponent",
    verify=_no_negative_power,
    tensors="any",
    refuse=kernel("pow", BOOL, WIDE),
    gradient={"input": _power_grad, "exponent": _exponent_grad},
)
def pow(input: Any, exponent: Any, out: Any) -> None:
    """`input` to the power of `exponent`; both may be numbers or tensors."""
    number = np.asarray(exponent)
    if out.dtype.kind in "iu":
        np.copyto(out, _integer_power(np.asarray(input, out.dtype), number.astype(out.dtype)))
        return
    easy = _EASY.get(number.item()) if number.ndim == 0 else None
    if easy is not None and np.ndim(input):
        easy(input, out)
    else:
        np.power(input, exponent, out)


@composite(out=True)
def float_power(input: Any, exponent: Any) -> Tensor:
    """`pow` in double precision."""
    given = [v for v in (input, exponent) if isinstance(v, Tensor)]
    if not given:
        raise TypeError(
            "float_power(): argument 'input' (position 1) must be Tensor, not "
            + type(input).__name__
        )
    double = (
        complex128
        if any(v.dtype.is_complex for v in given)
        or isinstance(input, complex)
        or isinstance(exponent, complex)
        else float64
    )
    base = (
        convert(input, double)
        if isinstance(input, Tensor)
        else complex(input)
        if double is complex128
        else float(input)
    )
    power = convert(exponent, double) if isinstance(exponent, Tensor) else exponent
    return F.pow(base, power)
