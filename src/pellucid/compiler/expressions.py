"""Elementwise operators as expressions of `kernels/pointwise.py`."""

from __future__ import annotations

from typing import Any

from pellucid.compiler.graph import Node, Value
from pellucid.tensor.dtype import float32

Expression = tuple[Any, ...]

_PLAIN = {
    "add", "sub", "mul", "div", "neg", "abs", "square", "sqrt", "rsqrt", "reciprocal", "floor",
    "ceil", "round", "trunc", "exp", "log", "erf", "tanh", "sigmoid", "relu", "silu", "minimum",
    "maximum", "round_bfloat16",
}  # fmt: skip
_OTHER_NAMES = {"true_divide": "div", "subtract": "sub", "multiply": "mul", "absolute": "abs"}


def as_expression(node: Node, name: str) -> tuple[Expression, list[Value]] | None:
    """The expression of an elementwise node and its inputs, or None if it is not one in float32."""
    if node.out.dtype is not float32 or len(node.outputs) != 1 or "random" in node.extra:
        return None
    operands: list[Value] = []

    def term(item: Any) -> Expression | None:
        if isinstance(item, Value):
            if item.dtype is not float32:
                return None
            if item.constant and item.numel == 1 and not item.captured:
                return ("number", float(item.traced.detach()._array.reshape(())))
            if item not in operands:
                operands.append(item)
            return ("in", operands.index(item))
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            return ("number", float(item))
        return None

    if node.kind == "write" and node.args[0].shape != node.out.shape:
        return None
    op = _expression(node, _OTHER_NAMES.get(name, name), term)
    return None if op is None or not operands else (op, operands)


def _expression(node: Node, name: str, term: Any) -> Expression | None:
    args, settings = node.args, node.settings
    terms = [term(item) for item in args]
    if name == "gelu":
        approximate = settings.get("approximate", args[1] if len(args) > 1 else "none")
        return (
            None
            if terms[0] is None
            else ("gelu_tanh" if approximate == "tanh" else "gelu", terms[0])
        )
    if name in ("clamp", "hardtanh"):
        return _clamp(args, settings, terms)
    if name in _GRADIENTS:
        return _gradient(name, terms, settings)
    if name == "div" and settings.get("rounding_mode", "") is None:
        settings = {}
    if name == "pow" and not settings and args[1:] == (2,):
        return None if terms[0] is None else ("square", terms[0])
    if name not in _PLAIN or any(t is None for t in terms):
        return None
    alpha = settings.get("alpha", 1)
    if set(settings) - {"alpha"} or not isinstance(alpha, (int, float)):
        return None
    if alpha != 1:
        terms[1] = ("mul", terms[1], ("number", float(alpha)))
    return (name, *terms)


def _clamp(args: Any, settings: Any, terms: list[Any]) -> Expression | None:
    """min(max(x, low), high) with numbers as bounds."""
    low = args[1] if len(args) > 1 else settings.get("min", settings.get("min_val"))
    high = args[2] if len(args) > 2 else settings.get("max", settings.get("max_val"))
    if terms[0] is None or any(isinstance(bound, Value) for bound in (low, high)):
        return None
    found = terms[0]
    if low is not None:
        found = ("maximum", found, ("number", float(low)))
    if high is not None:
        found = ("minimum", found, ("number", float(high)))
    return found


_GRADIENTS = ("tanh_backward", "sigmoid_backward", "threshold_backward")


def _gradient(name: str, terms: list[Any], settings: Any) -> Expression | None:
    """The gradient of an activation from that of its result and the result (or the input)."""
    grad, value, *_ = terms
    if grad is None or value is None:
        return None
    one = ("number", 1.0)
    if name == "tanh_backward":
        return ("mul", grad, ("sub", one, ("square", value)))
    if name == "sigmoid_backward":
        return ("mul", ("mul", grad, ("sub", one, value)), value)
    limit = terms[2] if len(terms) > 2 else ("number", float(settings.get("limit", 0)))
    return ("where", ("le", value, limit), ("number", 0.0), grad)


def inline(
    op: Expression, operands: list[Value], value: Value, producer: Node
) -> tuple[Expression, list[Value]]:
    """The expression with the producer's own in the place of its value."""
    place = operands.index(value)
    inner: list[Value] = producer.args[0]
    merged = [v for v in operands if v is not value]
    for v in inner:
        if v not in merged:
            merged.append(v)
    moved = _renumber(producer.extra["expression"], {i: merged.index(v)
                                                     for i, v in enumerate(inner)})  # fmt: skip
    outer = {i: merged.index(v) for i, v in enumerate(operands) if v is not value}

    def rewrite(item: Any) -> Any:
        if not isinstance(item, tuple):
            return item
        if item[0] == "in":
            return moved if item[1] == place else ("in", outer[item[1]])
        return (item[0], *[rewrite(each) for each in item[1:]])

    return rewrite(op), merged


def _renumber(item: Any, numbers: dict[int, int]) -> Any:
    if not isinstance(item, tuple):
        return item
    if item[0] == "in":
        return ("in", numbers[item[1]])
    return (item[0], *[_renumber(each, numbers) for each in item[1:]])
