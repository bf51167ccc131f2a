"""What elementwise operators are as expressions of `kernels/pointwise.py`, by the names of their
parameters. Bools are 1 and 0 inside an expression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Expression = tuple[Any, ...]

FORMULAS: dict[str, Callable[..., Expression | None]] = {}
"""By operator. A formula gets tensors and numbers as expressions, other settings as they are; it
gives None for what it does not cover.
"""
TRUTHS = {"gt", "ge", "lt", "le", "eq", "ne", "logical_and", "logical_or", "logical_not",
          "logical_xor", "bitwise_and", "bitwise_or", "bitwise_not", "bitwise_xor",
          "cast"}  # fmt: skip
"""Operators whose result may be bool."""

Formula = Callable[..., Expression | None]
F = TypeVar("F", bound=Formula)


def formula(*names: str) -> Callable[[F], F]:
    """Describe an operator, under all its names."""

    def decorate(function: F) -> F:
        FORMULAS.update(dict.fromkeys(names, function))
        return function

    return decorate


def number(x: float) -> Expression:
    return ("number", float(x))


ZERO, ONE = number(0), number(1)
_MINUS, _SLOPE, _STEEP = number(-1), number(0.01), number(20)


def _plain(op: str, arity: int) -> Formula:
    if arity == 1:
        return lambda input: (op, input)
    return lambda input, other: (op, input, other)


for _name in (
    "neg", "abs", "square", "sqrt", "rsqrt", "reciprocal", "floor", "ceil", "trunc", "exp", "log",
    "erf", "tanh", "sigmoid", "silu", "log1p", "expm1", "sin", "cos",
    "round_bfloat16",
):  # fmt: skip
    FORMULAS[_name] = _plain(_name, 1)
for _name in ("mul", "minimum", "maximum", "gt", "ge", "lt", "le", "eq", "ne"):
    FORMULAS[_name] = _plain(_name, 2)


@formula("add")
def _add(input: Expression, other: Expression, alpha: Expression = ONE) -> Expression:
    return ("add", input, _scaled(other, alpha))


@formula("sub")
def _sub(input: Expression, other: Expression, alpha: Expression = ONE) -> Expression:
    return ("sub", input, _scaled(other, alpha))


def _scaled(x: Expression, by: Expression) -> Expression:
    return x if by == ONE else ("mul", x, by)


@formula("div")
def _div(
    input: Expression, other: Expression, rounding_mode: str | None = None
) -> Expression | None:
    return None if rounding_mode is not None else ("div", input, other)


@formula("round")
def _round(input: Expression, decimals: Expression = ZERO) -> Expression | None:
    return ("round", input) if decimals == ZERO else None


@formula("pow")
def _pow(input: Expression, exponent: Expression) -> Expression | None:
    known = {2.0: ("square", input), 1.0: input, 0.5: ("sqrt", input), -0.5: ("rsqrt", input),
             -1.0: ("reciprocal", input), 3.0: ("mul", ("square", input), input)}  # fmt: skip
    return known.get(exponent[1]) if exponent[0] == "number" else None


@formula("clamp")
def _clamp(
    input: Expression, min: Expression | None = None, max: Expression | None = None
) -> Expression:
    found = input if min is None else ("maximum", input, min)
    return found if max is None else ("minimum", found, max)


@formula("hardtanh")
def _hardtanh(
    input: Expression, min_val: Expression = _MINUS, max_val: Expression = ONE
) -> Expression:
    return _clamp(input, min_val, max_val)


@formula("clamp_min")
def _clamp_min(input: Expression, min: Expression) -> Expression:
    return ("maximum", input, min)


@formula("clamp_max")
def _clamp_max(input: Expression, max: Expression) -> Expression:
    return ("minimum", input, max)


# -- activations


@formula("relu")
def _relu(input: Expression) -> Expression:
    return ("relu", input)


@formula("relu6")
def _relu6(input: Expression) -> Expression:
    return _clamp(input, ZERO, number(6))


@formula("gelu")
def _gelu(input: Expression, approximate: str = "none") -> Expression:
    return ("gelu_tanh" if approximate == "tanh" else "gelu", input)


@formula("hardsigmoid")
def _hardsigmoid(input: Expression) -> Expression:
    return ("div", _relu6(("add", input, number(3))), number(6))


@formula("hardswish")
def _hardswish(input: Expression) -> Expression:
    return ("div", ("mul", input, _relu6(("add", input, number(3)))), number(6))


@formula("leaky_relu")
def _leaky_relu(input: Expression, negative_slope: Expression = _SLOPE) -> Expression:
    return ("where", ("gt", input, ZERO), input, ("mul", input, negative_slope))


@formula("elu")
def _elu(
    input: Expression, alpha: Expression = ONE, scale: Expression = ONE,
    input_scale: Expression = ONE,
) -> Expression:  # fmt: skip
    inner = _scaled(("minimum", input, ZERO), input_scale)
    low = _scaled(("expm1", inner), alpha)
    return _scaled(("where", ("gt", input, ZERO), input, low), scale)


@formula("selu")
def _selu(input: Expression) -> Expression:
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return _elu(input, number(alpha), number(scale))


@formula("softplus")
def _softplus(
    input: Expression, beta: Expression = ONE, threshold: Expression = _STEEP
) -> Expression:
    scaled = _scaled(input, beta)
    soft = ("add", ("maximum", scaled, ZERO), ("log1p", ("exp", ("neg", ("abs", scaled)))))
    if beta != ONE:
        soft = ("div", soft, beta)
    return ("where", ("gt", scaled, threshold), input, soft)


@formula("mish")
def _mish(input: Expression) -> Expression:
    return ("mul", input, ("tanh", _softplus(input)))


@formula("log_sigmoid", "logsigmoid")
def _log_sigmoid(input: Expression) -> Expression:
    return ("sub", ("minimum", input, ZERO), ("log1p", ("exp", ("neg", ("abs", input)))))


@formula("softsign")
def _softsign(input: Expression) -> Expression:
    return ("div", input, ("add", ONE, ("abs", input)))


# -- truth, and choices by it


@formula("logical_and", "bitwise_and")
def _and(input: Expression, other: Expression) -> Expression:
    return ("mul", _truth(input), _truth(other))


@formula("logical_or", "bitwise_or")
def _or(input: Expression, other: Expression) -> Expression:
    return ("maximum", _truth(input), _truth(other))


@formula("logical_xor", "bitwise_xor")
def _xor(input: Expression, other: Expression) -> Expression:
    return ("ne", _truth(input), _truth(other))


@formula("logical_not", "bitwise_not")
def _not(input: Expression) -> Expression:
    return ("eq", input, ZERO)


def _truth(x: Expression) -> Expression:
    return ("ne", x, ZERO)


@formula("where")
def _where(condition: Expression, input: Expression, other: Expression) -> Expression:
    return ("where", condition, input, other)


@formula("masked_fill")
def _masked_fill(input: Expression, mask: Expression, value: Expression) -> Expression:
    return ("where", mask, value, input)


@formula("addcmul")
def _addcmul(
    input: Expression, tensor1: Expression, tensor2: Expression, value: Expression = ONE
) -> Expression:
    return ("add", input, _scaled(("mul", tensor1, tensor2), value))


@formula("lerp")
def _lerp(input: Expression, end: Expression, weight: Expression) -> Expression | None:
    if weight[0] != "number":
        return None
    apart, w = ("sub", end, input), weight[1]
    if w < 0.5:
        return ("add", input, ("mul", apart, weight))
    return ("sub", end, ("mul", apart, number(1 - w)))


# -- gradients of activations, from that of the result


@formula("tanh_backward")
def _tanh_slope(grad_output: Expression, output: Expression) -> Expression:
    return ("mul", grad_output, ("sub", ONE, ("square", output)))


@formula("sigmoid_backward")
def _sigmoid_slope(grad_output: Expression, output: Expression) -> Expression:
    return ("mul", ("mul", grad_output, ("sub", ONE, output)), output)


@formula("threshold_backward")
def _threshold_slope(
    grad_output: Expression, output: Expression, limit: Expression = ZERO
) -> Expression:
    return ("where", ("le", output, limit), ZERO, grad_output)
