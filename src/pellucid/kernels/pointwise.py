"""Elementwise kernels from an expression: one pass over memory for any chain of operations.

An expression is a nested tuple: ("in", i) is input i, ("number", x) a constant, anything else an
operation of `OPERATIONS` and its operands. What it computes is float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.kernels.activations import ACTIVATIONS, erf, exp, relu, sigmoid, tanh
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.builder import Builder
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, I64
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
    "erf": erf,
    "tanh": tanh,
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


def _arguments(*, expression: Expression, kinds: str, rank: int) -> str:
    """`outer` rows of n elements; sizes and strides of the outer dimensions lie in a table."""
    inputs = "".join(f", x{i}: ptr" for i in range(len(kinds)))
    return f"out: ptr, n: i64, outer: i64, table: ptr{inputs}"


@kernel(_arguments)
def pointwise(b: KernelBuilder, *, expression: Expression, kinds: str, rank: int) -> None:
    """out[...] = expression(inputs) over `rank` outer dimensions and an inner one.

    `kinds` has a letter for each input, its innermost stride: "v" one element, "s" zero, "g" any
    other. The table holds, for each outer dimension, its size, and then for the output and each
    input its stride; last, the inner strides. The output's inner stride is 1.
    """
    b.begin()
    arg = b.arg
    words = 2 + len(kinds)
    pointers = [getattr(arg, f"x{i}") for i in range(len(kinds))]
    steps = [b.load(arg.table, rank * words + 2 + i, I64) for i in range(len(kinds))]

    def run(out: Value, sources: list[Value], start: Value, stop: Value) -> None:
        held = {
            i: b.broadcast(b.load(sources[i], 0, F32), b.lanes)
            for i, kind in enumerate(kinds) if kind == "s"
        }  # fmt: skip

        def body(at: Value, mask: Value | None) -> None:
            inputs = []
            for i, kind in enumerate(kinds):
                if kind == "s":
                    inputs.append(held[i])
                elif kind == "v":
                    inputs.append(b.load(sources[i], at, b.f32, mask))
                else:
                    inputs.append(_gather(b, sources[i], steps[i], at, mask))
            b.store(evaluate(b, expression, inputs), out, at, mask)

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
        out = b.offset(arg.out, offsets[0])
        sources = [b.offset(p, o) for p, o in zip(pointers, offsets[1:], strict=True)]
        run(out, sources, b.i64(0), arg.n)


def _gather(b: KernelBuilder, source: Value, step: Value, at: Value, mask: Value | None) -> Value:
    """A vector of elements that are `step` apart; lanes that the mask leaves out read the first."""
    parts = []
    for lane in range(b.lanes):
        place = (at + lane) * step
        if mask is not None:
            place = b.select(b.extract(mask, lane), place, at * step)
        parts.append(b.load(source, place, F32))
    return b.vector(parts)
