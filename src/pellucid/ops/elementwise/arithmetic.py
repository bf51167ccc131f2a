"""Arithmetic: add, sub, mul, div, neg, remainders, roots of nothing else.

Each row's gradient stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite
from pellucid.ops.elementwise.pointwise import elementwise, floating, pointwise
from pellucid.ops.elementwise.refusals import BOOL, COMPLEX, EXACT, WIDE, either, kernel, words
from pellucid.ops.elementwise.row import Row
from pellucid.ops.spec import NoGradient
from pellucid.ops.underivable import UNLISTED, unlisted
from pellucid.tensor.dtype import dtype, int64
from pellucid.tensor.tensor import Tensor

_NO_BOOL_SUB = words(
    "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
    "`logical_xor()` operator instead.",
    BOOL,
)
_NO_MIXED_SUB = (
    "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to "
    "invert a mask, use the `~` or "
    "`logical_not()` operator instead."
)


def conj(x: Any) -> Any:
    """The conjugate where there is one: gradients of holomorphic operators are conjugated."""
    if isinstance(x, Tensor):
        return F.conj(x) if x.dtype.is_complex else x
    return x.conjugate() if isinstance(x, complex) else x


def _no_bool_operand(operands: Sequence[Any]) -> None:
    if any(
        (isinstance(v, Tensor) and v.dtype.category == BOOL) or isinstance(v, bool)
        for v in operands
    ):
        raise RuntimeError(_NO_MIXED_SUB)


add = pointwise(
    "add",
    np.add,
    "input other",
    scaled=True,
    refuse=kernel("add_stub", WIDE),
    gradient={
        "input": lambda grad: grad,
        "other": lambda grad, alpha: grad if alpha == 1 else grad * conj(alpha),
    },
)
sub = pointwise(
    "sub",
    np.subtract,
    "input other",
    scaled=True,
    refuse=either(_NO_BOOL_SUB, kernel("add_stub", WIDE)),
    verify=_no_bool_operand,
    aliases=("subtract",),
    gradient={
        "input": lambda grad: grad,
        "other": lambda grad, alpha: -grad if alpha == 1 else grad * -conj(alpha),
    },
)


@composite(where="torch")
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other − alpha · input."""
    if not isinstance(input, Tensor):
        raise TypeError(
            f"rsub(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    return sub(other, input, alpha=alpha)


mul = pointwise(
    "mul",
    np.multiply,
    "input other",
    aliases=("multiply",),
    gradient={
        "input": lambda grad, other: grad * conj(other),
        "other": lambda grad, input: grad * conj(input),
    },
)


def _truncated(input: Any, other: Any) -> Any:
    """Quotients cut towards zero. Integers.

    The floor is one too low where signs differ and something remains.
    """
    if np.result_type(input, other).kind in "iu":
        _no_zero(other)
        quotient, remainder = np.divmod(input, other)
        return quotient + ((remainder != 0) & ((np.asarray(input) < 0) != (np.asarray(other) < 0)))
    return np.trunc(np.true_divide(input, other))


def _floored(input: Any, other: Any) -> Any:
    """Quotients cut towards minus infinity."""
    if np.result_type(input, other).kind in "iu":
        _no_zero(other)
    return np.floor_divide(input, other)


def _no_zero(divisor: Any) -> None:
    if not np.all(divisor):
        raise RuntimeError(
            "ZeroDivisionError\n  An integer has no infinity: divide floating tensors, or "
            "replace the zeros first."
        )


def _by_divisor(grad: Any, other: Any, rounding_mode: str | None) -> Any:
    return F.zeros_like(grad) if rounding_mode else grad / conj(other)


def _by_quotient(grad: Any, input: Any, other: Any, rounding_mode: str | None) -> Any:
    return F.zeros_like(grad) if rounding_mode else -grad * conj((input / other) / other)


true_div = pointwise(
    "div",
    np.true_divide,
    "input other",
    rule=floating,
    aliases=("true_divide", "divide"),
    variants=(
        "rounding_mode",
        {
            "trunc": Row(
                _truncated,
                direct=False,
                refuse=kernel("div_trunc_cpu", BOOL, COMPLEX, WIDE),
                arity=2,
                native=True,
            ),
            "floor": Row(
                _floored, direct=False, refuse=kernel("div_floor_cpu", BOOL, COMPLEX, WIDE), arity=2
            ),
        },
    ),
    gradient={"input": _by_divisor, "other": _by_quotient},
)


floor_divide = pointwise(
    "floor_divide",
    _floored,
    "input other",
    refuse=kernel("div_floor_cpu", BOOL, COMPLEX, WIDE),
    gradient={
        "input": unlisted("floor_divide"),
        "other": unlisted("floor_divide"),
    },
    backward_name=UNLISTED,
    doc="The quotient rounded towards minus infinity.",
)


@elementwise(
    "input other",
    tensors="any",
    refuse=kernel("remainder_cpu", BOOL, COMPLEX, WIDE),
    gradient={
        "input": lambda grad: grad,
        "other": lambda grad, input, other: -grad * F.div(input, other, rounding_mode="floor"),
    },
)
def remainder(input: Any, other: Any) -> Any:
    """input − other · floor(input / other): the sign is the divisor's."""
    if np.result_type(input, other).kind in "iu":
        _no_zero(other)
    return np.remainder(input, other)


@elementwise(
    "input other",
    tensors="input",
    refuse=kernel("fmod_cpu", BOOL, COMPLEX, WIDE),
    gradient={
        "input": lambda grad: grad,
        "other": lambda grad, input, other: -grad * F.div(input, other, rounding_mode="trunc"),
    },
)
def fmod(input: Any, other: Any) -> Any:
    """input − other · trunc(input / other): the sign is the dividend's."""
    if np.result_type(input, other).kind in "iu":
        _no_zero(other)
    return np.fmod(input, other)


neg = pointwise(
    "neg",
    np.negative,
    aliases=("negative",),
    refuse=either(
        words(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or "
            "`logical_not()` operator instead.",
            BOOL,
        ),
        kernel("neg_cpu", WIDE),
    ),
    gradient={"input": lambda grad: -grad},
)


@composite()
def positive(input: Tensor) -> Tensor:
    """The tensor itself."""
    if input.dtype.category == BOOL:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


reciprocal = pointwise(
    "reciprocal",
    np.reciprocal,
    rule=floating,
    gradient={"input": lambda grad, out: -grad * conj(out * out)},
)


def _counting(d: dtype) -> tuple[dtype, dtype]:
    return (int64, int64) if d.category == BOOL else (d, d)


square = pointwise(
    "square",
    np.square,
    rule=_counting,
    refuse=kernel("pow", WIDE),
    backward_name="PowBackward0",
    gradient={"input": lambda grad, input: grad * (2 * conj(input))},
)
gcd = pointwise(
    "gcd",
    np.gcd,
    "input other",
    tensors="input other",
    refuse=kernel("gcd_cpu", BOOL, 2, COMPLEX, WIDE),
    gradient=NoGradient("whole numbers have no derivative"),
)


@elementwise(
    "input other",
    tensors="input other",
    refuse=kernel("lcm_cpu", BOOL, 2, COMPLEX, WIDE),
    gradient=NoGradient("whole numbers have no derivative"),
)
def lcm(input: Any, other: Any) -> Any:
    """The least common multiple, never negative."""
    return np.lcm(input, other)


@elementwise(
    "input tensor1 tensor2",
    tensors="input tensor1 tensor2",
    refuse=kernel("addcmul_cpu_out", BOOL, WIDE),
    gradient={
        "input": lambda grad: grad,
        "tensor1": lambda grad, tensor2, value: grad * conj(tensor2 * value),
        "tensor2": lambda grad, tensor1, value: grad * conj(tensor1 * value),
    },
)
def addcmul(input: Any, tensor1: Any, tensor2: Any, out: Any, *, value: Any = 1) -> None:
    """input + value · tensor1 · tensor2."""
    product = np.multiply(tensor1, tensor2)
    if value != 1:
        product = np.multiply(product, np.asarray(value).astype(product.dtype))
    np.add(input, product, out)


@elementwise(
    "input tensor1 tensor2",
    tensors="input tensor1 tensor2",
    refuse=words(
        "Integer division with addcdiv is no longer supported, and in a future  release addcdiv "
        "will perform a true division of tensor1 "
        "and tensor2. The historic addcdiv behavior can be implemented as (input + value * "
        "torch.trunc(tensor1 / tensor2)).to(input.dtype) "
        "for integer inputs and as (input + value * tensor1 / tensor2) for float inputs. The "
        "future addcdiv behavior is just the latter "
        "implementation: (input + value * tensor1 / tensor2), for all dtypes.",
        *EXACT,
    ),
    gradient={
        "input": lambda grad: grad,
        "tensor1": lambda grad, tensor2, value: grad * conj(value / tensor2),
        "tensor2": lambda grad, tensor1, tensor2, value: (
            -grad * conj(value * tensor1 / (tensor2 * tensor2))
        ),
    },
)
def addcdiv(input: Any, tensor1: Any, tensor2: Any, out: Any, *, value: Any = 1) -> None:
    """input + value · tensor1 / tensor2."""
    scaled = tensor1 if value == 1 else np.multiply(tensor1, np.asarray(value).astype(out.dtype))
    np.add(input, np.true_divide(scaled, tensor2), out)


def _same_dtypes(operands: Sequence[Any]) -> None:
    first, end, weight = operands
    for name, value in (("end", end), ("weight", weight)):
        if isinstance(value, Tensor) and value.dtype is not first.dtype:
            raise RuntimeError(
                f"expected dtype {first.dtype.name} for `{name}` but got dtype {value.dtype.name}"
            )


@elementwise(
    "input end weight",
    tensors="input end",
    refuse=kernel("lerp_kernel_scalar", BOOL, 1),
    verify=_same_dtypes,
    gradient={
        "input": lambda grad, weight: grad * conj(1 - weight),
        "end": lambda grad, weight: grad * conj(weight),
        "weight": lambda grad, input, end: grad * conj(end - input),
    },
)
def lerp(input: Any, end: Any, weight: Any) -> Any:
    """input + weight · (end − input), from the nearer end."""
    distance = np.subtract(end, input)
    if np.ndim(weight) == 0 or np.size(weight) == 1:
        near = abs(np.asarray(weight).item()) < 0.5
        return input + weight * distance if near else end - distance * (1 - weight)
    return np.where(np.abs(weight) < 0.5, input + weight * distance, end - distance * (1 - weight))
