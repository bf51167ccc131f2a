"""Arithmetic: add, sub, mul, div, neg, … Each row's gradient stands beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.pointwise import floating, pointwise
from pellucid.tensor.dtype import BOOL, dtype
from pellucid.tensor.tensor import Tensor


def conj(x: Any) -> Any:
    """The conjugate where there is one: gradients of holomorphic operators are conjugated."""
    if isinstance(x, Tensor):
        return x.conj() if x.dtype.is_complex else x
    return x.conjugate() if isinstance(x, complex) else x


add = pointwise(
    "add",
    np.add,
    "input other",
    scaled=True,
    gradient={
        "input": lambda grad: grad,
        "other": lambda grad, alpha: grad if alpha == 1 else grad * conj(alpha),
    },
)


def _no_bool_sub(d: dtype) -> str | None:
    if d.category == BOOL:
        return (
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
            "`logical_xor()` operator instead."
        )
    return None


sub = pointwise(
    "sub",
    np.subtract,
    "input other",
    scaled=True,
    refuse=_no_bool_sub,
    aliases=("subtract",),
    gradient={
        "input": lambda grad: grad,
        "other": lambda grad, alpha: -grad if alpha == 1 else grad * -conj(alpha),
    },
)
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
true_div = pointwise(
    "div",
    np.true_divide,
    "input other",
    rule=floating,
    aliases=("true_divide",),
    gradient={
        "input": lambda grad, other: grad / conj(other),
        "other": lambda grad, input, other: -grad * conj((input / other) / other),
    },
)
neg = pointwise("neg", np.negative, aliases=("negative",), gradient={"input": lambda grad: -grad})
