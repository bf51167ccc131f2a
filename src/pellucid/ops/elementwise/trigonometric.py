"""Trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.elementwise.blocks import one_pass
from pellucid.ops.elementwise.masks import keep
from pellucid.ops.elementwise.pointwise import elementwise, floating, pointwise
from pellucid.ops.elementwise.refusals import COMPLEX, EXACT, kernel, words

sin = pointwise(
    "sin", np.sin, rule=floating, gradient={"input": lambda grad, input: grad * conj(F.cos(input))}
)
cos = pointwise(
    "cos", np.cos, rule=floating, gradient={"input": lambda grad, input: grad * -conj(F.sin(input))}
)
tan = pointwise(
    "tan", np.tan, rule=floating, gradient={"input": lambda grad, out: grad * conj(1 + out.pow(2))}
)
sinh = pointwise(
    "sinh",
    np.sinh,
    rule=floating,
    gradient={"input": lambda grad, input: grad * conj(F.cosh(input))},
)
cosh = pointwise(
    "cosh",
    np.cosh,
    rule=floating,
    gradient={"input": lambda grad, input: grad * conj(F.sinh(input))},
)


@elementwise(
    "grad_output output",
    name="tanh_backward",
    where="internal",
    inplace=False,
    out=False,
    gradient={
        "grad_output": lambda grad, output: F.internal.tanh_backward(grad, conj(output)),
        "output": lambda grad, grad_output, output: grad * conj(-2 * output * grad_output),
    },
)
def tanh_grad(grad_output: Any, output: Any, out: Any) -> None:
    """grad · (1 − output²), `output` conjugated by the caller."""
    np.multiply(output, output, out)
    np.subtract(1, out, out)
    np.multiply(out, grad_output, out)


tanh = pointwise(
    "tanh",
    np.tanh,
    rule=floating,
    gradient={"input": lambda grad, out: F.internal.tanh_backward(grad, conj(out))},
)
asin = pointwise(
    "asin",
    np.arcsin,
    rule=floating,
    aliases=("arcsin",),
    gradient={"input": lambda grad, input: grad * conj(F.rsqrt(1 - input * input))},
)
acos = pointwise(
    "acos",
    np.arccos,
    rule=floating,
    aliases=("arccos",),
    gradient={"input": lambda grad, input: grad * -conj(F.rsqrt(1 - input * input))},
)
atan = pointwise(
    "atan",
    np.arctan,
    rule=floating,
    aliases=("arctan",),
    gradient={"input": lambda grad, input: grad / conj(input * input + 1)},
)
asinh = pointwise(
    "asinh",
    np.arcsinh,
    rule=floating,
    aliases=("arcsinh",),
    gradient={"input": lambda grad, input: grad * conj(F.rsqrt(input.pow(2) + 1))},
)


def _acosh_grad(grad: Any, input: Any) -> Any:
    if input.dtype.is_complex:
        return grad * conj(F.rsqrt(input + 1) * F.rsqrt(input - 1))
    return grad * F.rsqrt(input * input - 1)


acosh = pointwise(
    "acosh", np.arccosh, rule=floating, aliases=("arccosh",), gradient={"input": _acosh_grad}
)
atanh = pointwise(
    "atanh",
    np.arctanh,
    rule=floating,
    aliases=("arctanh",),
    gradient={"input": lambda grad, input: grad / conj(1 - input.pow(2))},
)


def _atan2_grad(grad: Any, input: Any, other: Any, needs: Any) -> Any:
    """(y, x) / (x² + y²), and 0 at the origin."""
    squares = input * input + other * other
    inverse = keep(F.reciprocal(squares), squares != 0)
    return (
        grad * other * inverse if "input" in needs else None,
        grad * -input * inverse if "other" in needs else None,
    )


atan2 = pointwise(
    "atan2",
    np.arctan2,
    "input other",
    rule=floating,
    aliases=("arctan2",),
    tensors="input other",
    refuse=kernel("atan2_cpu", COMPLEX),
    gradient={("input", "other"): _atan2_grad},
    doc="The angle of the point (other, input).",
)
hypot = pointwise(
    "hypot",
    np.hypot,
    "input other",
    tensors="input other",
    refuse=kernel("hypot_cpu", *EXACT, COMPLEX),
    gradient={
        "input": lambda grad, input, out: grad * input / out,
        "other": lambda grad, other, out: grad * other / out,
    },
    doc="sqrt(input² + other²) without overflow.",
)


def _sinc_grad(grad: Any, input: Any) -> Any:
    turn = input * math.pi
    slope = grad * conj((turn * F.cos(turn) - F.sin(turn)) / (turn * input))
    return keep(slope, turn != 0)


@elementwise(rule=floating, where="torch Tensor special", gradient={"input": _sinc_grad})
def sinc(input: Any) -> Any:
    """sin(πx) / (πx), 1 at 0."""
    turn = input * np.asarray(math.pi, input.dtype)
    return np.where(input == 0, np.ones((), input.dtype), np.sin(turn) / turn)


@elementwise(
    rule=floating,
    refuse=words("deg2rad is not supported for complex tensors.", COMPLEX),
    gradient={"input": lambda grad: F.deg2rad(grad)},
)
@one_pass
def deg2rad(input: Any, out: Any) -> None:
    """Degrees as radians."""
    np.multiply(input, math.pi / 180, out)


@elementwise(
    rule=floating,
    refuse=words("rad2deg is not supported for complex tensors.", COMPLEX),
    gradient={"input": lambda grad: F.rad2deg(grad)},
)
@one_pass
def rad2deg(input: Any, out: Any) -> None:
    """Radians as degrees."""
    np.multiply(input, 180 / math.pi, out)
