"""Elementwise kernels from an expression: one pass over memory for any chain of operations.

Memory is float32 or bool (a byte); inside an expression bools are 1 and 0.

An expression is a nested tuple: ("in", i) is input i, ("number", x) a constant, anything else an
operation of `OPERATIONS` and its operands. What it computes is float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid.kernels.activations import (
    ACTIVATIONS,
    erf,
    exp,
    horner,
    relu,
    sigmoid,
    tanh,
    tanh_rational,
)
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.builder import Builder
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, F64, I8, I32, I64, Type
from pellucid.kernels.rows import log
from pellucid.kernels.vectors import over_vectors

Expression = tuple[Any, ...]


def _minimum(b: Builder, x: Value, y: Value) -> Value:
    smaller = b.select(b.binary("lt", x, y), x, y)
    return b.select(b.binary("ne", x, x), x, b.select(b.binary("ne", y, y), y, smaller))


def _maximum(b: Builder, x: Value, y: Value) -> Value:
    larger = b.select(b.binary("gt", x, y), x, y)
    return b.select(b.binary("ne", x, x), x, b.select(b.binary("ne", y, y), y, larger))


def _log(b: Builder, x: Value) -> Value:
    """The logarithm with its special cases: -inf at 0, NaN below, subnormal numbers scaled."""
    tiny = b.binary("lt", x, 1.1754944e-38)
    scaled = b.select(tiny, x * 8388608.0, x)
    value = log(b, scaled) - b.select(tiny, 15.942385, 0.0 * scaled)
    value = b.select(b.binary("eq", x, 0.0), float("-inf"), value)
    value = b.select(b.binary("lt", x, 0.0), float("nan"), value)
    value = b.select(b.binary("eq", x, float("inf")), x, value)
    return b.select(b.binary("ne", x, x), x, value)


def _flag(op: str) -> Callable[[Builder, Value, Value], Value]:
    return lambda b, x, y: b.select(b.binary(op, x, y), b.value(1.0, x.type), 0.0)


def _log1p(b: Builder, x: Value) -> Value:
    """log(1 + x) without losing small x: log(u) x / (u - 1) with u = 1 + x rounded (Kahan)."""
    u = x + 1.0
    found = _log(b, u) * (x / (u - 1.0))
    found = b.select(b.binary("eq", u, 1.0), x, found)
    return b.select(b.binary("eq", u, float("inf")), u, found)


def _expm1(b: Builder, x: Value) -> Value:
    """e^x - 1 without losing small x: 2 t / (1 - t) with t = tanh(x / 2)."""
    t = tanh(b, x * 0.5)
    small = t * 2.0 / (b.value(1.0, x.type) - t)
    return b.select(b.binary("lt", b.unary("abs", x), 1.0), small, exp(b, x) - 1.0)


# Coefficients of Cephes' sinf and cosf on [-pi/4, pi/4] (Moshier).
_SIN = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
# 2 / pi in pieces of 24 bits: fdlibm's table.
_TWO_OVER_PI = (0xA2F983, 0x6E4E44, 0x1529FC, 0x2757D1, 0xF534DD, 0xC0DB62, 0x95993C, 0x439041)


def _turn(b: Builder, x: Value, quarters: int) -> Value:
    """sin(x + quarters pi / 2), for any x.

    The angle in quarters of a turn is x times 2 / pi, of which whole turns do not count (Payne and
    Hanek, "Radian Reduction for Trigonometric Functions", 1983): the product with a piece of 24
    bits is exact in float64, and so is what is left of it after whole turns.
    """
    wide = b.convert(x, F64)
    angle = b.value(0.0, wide.type)
    for i, piece in enumerate(_TWO_OVER_PI):
        part = wide * (piece * 2.0 ** (-24 * (i + 1)))
        angle = angle + (part - b.unary("floor", part * 0.25) * 4.0)
    n = b.unary("round", angle)
    r = b.convert((angle - n) * (math.pi / 2), F32)
    quarter = b.convert(n, I32) + quarters
    square = r * r
    sine = b.fma(horner(b, square, _SIN) * square, r, r)
    cosine = b.fma(horner(b, square, _COS) * square, square, b.fma(square, -0.5, 1.0))
    odd = b.binary("eq", b.binary("and", quarter, 1), 1)
    value = b.select(odd, cosine, sine)
    return b.select(b.binary("eq", b.binary("and", quarter, 2), 2), -value, value)


OPERATIONS: dict[str, Callable[..., Value]] = {
    "add": lambda b, x, y: x + y,
    "sub": lambda b, x, y: x - y,
    "mul": lambda b, x, y: x * y,
    "div": lambda b, x, y: x / y,
    "minimum": _minimum,
    "maximum": _maximum,
    "neg": lambda b, x: -x,
    "abs": lambda b, x: b.unary("abs", x),
    "square": lambda b, x: x * x,
    "sqrt": lambda b, x: b.unary("sqrt", x),
    "rsqrt": lambda b, x: b.value(1.0, x.type) / b.unary("sqrt", x),
    "reciprocal": lambda b, x: b.value(1.0, x.type) / x,
    "floor": lambda b, x: b.unary("floor", x),
    "ceil": lambda b, x: -b.unary("floor", -x),
    "round": lambda b, x: b.unary("round", x),
    "trunc": lambda b, x: b.unary("trunc", x),
    "exp": exp,
    "log": _log,
    "log1p": _log1p,
    "expm1": _expm1,
    "sin": lambda b, x: b.select(b.binary("eq", x, 0.0), x, _turn(b, x, 0)),  # -0 stays
    "cos": lambda b, x: _turn(b, x, 1),
    "erf": erf,
    "tanh": tanh,
    "tanh_rational": tanh_rational,
    "sigmoid": sigmoid,
    "relu": relu,
    "gelu": ACTIVATIONS["gelu"],
    "gelu_tanh": ACTIVATIONS["gelu_tanh"],
    "silu": ACTIVATIONS["silu"],
    "lt": _flag("lt"),
    "le": _flag("le"),
    "gt": _flag("gt"),
    "ge": _flag("ge"),
    "eq": _flag("eq"),
    "ne": _flag("ne"),
    "where": lambda b, c, x, y: b.select(b.binary("ne", c, 0.0), x, y),
    "identity": lambda b, x: x,
    "round_bfloat16": lambda b, x: b.convert(b.convert(x, BF16), F32),
}
"""What an expression can apply."""


def evaluate(b: Builder, expression: Expression, inputs: list[Value]) -> Value:
    """The value of an expression over vectors."""
    op, *operands = expression
    if op == "in":
        return inputs[operands[0]]
    if op == "number":
        return b.value(operands[0], inputs[0].type if inputs else b.f32)
    return OPERATIONS[op](b, *[evaluate(b, each, inputs) for each in operands])


def _arguments(*, expression: Expression, kinds: str, rank: int, truth: bool = False) -> str:
    """`outer` rows of n elements; sizes and strides of the outer dimensions lie in a table."""
    inputs = "".join(f", x{i}: ptr" for i in range(len(kinds)))
    return f"out: ptr, n: i64, outer: i64, table: ptr{inputs}"


@kernel(_arguments)
def pointwise(
    b: KernelBuilder, *, expression: Expression, kinds: str, rank: int, truth: bool = False
) -> None:
    """out[...] = expression(inputs) over `rank` outer dimensions and an inner one.

    `kinds` has a letter for each input, its innermost stride: "v" one element, "s" zero, "g" any
    other; large letters are for inputs of bools. With `truth` the output is one. The table holds,
    for each outer dimension, its size, and then for the output and each input its stride; last, the
    inner strides. The output's inner stride is 1.
    """
    b.begin()
    arg = b.arg
    words = 2 + len(kinds)
    pointers = [getattr(arg, f"x{i}") for i in range(len(kinds))]
    steps = [b.load(arg.table, rank * words + 2 + i, I64) for i in range(len(kinds))]
    types = [F32 if kind.islower() else I8 for kind in kinds]

    def run(out: Value, sources: list[Value], start: Value, stop: Value) -> None:
        held = {
            i: b.broadcast(_number(b, b.load(sources[i], 0, types[i])), b.lanes)
            for i, kind in enumerate(kinds) if kind in "sS"
        }  # fmt: skip

        def body(at: Value, mask: Value | None) -> None:
            inputs = []
            for i, kind in enumerate(kinds):
                if kind in "sS":
                    inputs.append(held[i])
                elif kind in "vV":
                    found = b.load(sources[i], at, types[i].of(b.lanes), mask)
                    inputs.append(_number(b, found))
                else:
                    inputs.append(_gather(b, sources[i], steps[i], at, mask, types[i]))
            value = evaluate(b, expression, inputs)
            if truth:
                value = b.zero_extend(b.binary("ne", value, 0.0), I8)
            b.store(value, out, at, mask)

        over_vectors(b, stop, body, start)

    if rank == 0:
        chunk = 64
        start, stop = b.share(b.ceil_div(arg.n, chunk))
        run(arg.out, pointers, start * chunk, b.minimum(stop * chunk, arg.n))
        return
    start, stop = b.share(arg.outer)
    with b.loop("row", start, stop) as row:
        rest = row
        offsets = [b.i64(0)] * (1 + len(kinds))
        for axis in reversed(range(rank)):
            size = b.load(arg.table, axis * words, I64)
            place, rest = rest % size, rest // size
            strides = [b.load(arg.table, axis * words + 1 + i, I64) for i in range(1 + len(kinds))]
            offsets = [o + place * s for o, s in zip(offsets, strides, strict=True)]
        out = b.offset(arg.out, offsets[0], I8 if truth else F32)
        sources = [b.offset(p, o, t) for p, o, t in zip(pointers, offsets[1:], types, strict=True)]
        run(out, sources, b.i64(0), arg.n)


def _number(b: KernelBuilder, x: Value) -> Value:
    """Bytes as numbers; numbers as they are."""
    return b.convert(b.zero_extend(x, I32), F32) if x.type.kind == "i8" else x


def _gather(
    b: KernelBuilder, source: Value, step: Value, at: Value, mask: Value | None, type: Type
) -> Value:
    """A vector of elements that are `step` apart; lanes that the mask leaves out read the first."""
    parts = []
    for lane in range(b.lanes):
        place = (at + lane) * step
        if mask is not None:
            place = b.select(b.extract(mask, lane), place, at * step)
        parts.append(_number(b, b.load(source, place, type)))
    return b.vector(parts)
