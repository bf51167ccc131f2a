"""Elementwise operators as expressions of `kernels/pointwise.py`."""

from __future__ import annotations

import inspect
import math
from typing import Any

from pellucid.compiler.formulas import FORMULAS, TRUTHS, Expression
from pellucid.compiler.graph import Node, Value
from pellucid.ops.spec import registry
from pellucid.tensor.dtype import bool_, float32

_OTHER_NAMES = {"true_divide": "div", "subtract": "sub", "multiply": "mul", "absolute": "abs"}
_TYPES = (float32, bool_)


def as_expression(node: Node, name: str) -> tuple[Expression, list[Value]] | None:
    """The expression of an elementwise node of float32 and bool and its inputs, or None if it is
    not one.
    """
    name = _OTHER_NAMES.get(name, name)
    if len(node.outputs) != 1 or "random" in node.extra or node.out.dtype not in _TYPES:
        return None
    if node.kind == "write" and node.args[0].shape != node.out.shape:
        return None
    if node.out.dtype is bool_ and (name not in TRUTHS or node.kind == "write"):
        return None
    operands: list[Value] = []

    def term(item: Any) -> Any:
        """An expression for a tensor or a number; anything else as it is."""
        if isinstance(item, Value):
            if item.dtype not in _TYPES:
                raise _NoExpression
            if item.constant and item.numel == 1 and not item.captured:
                return ("number", float(item.traced.detach()._array.reshape(())))
            if item not in operands:
                operands.append(item)
            return ("in", operands.index(item))
        if isinstance(item, (bool, complex)):
            raise _NoExpression
        if isinstance(item, (int, float)):
            return _number(float(item))
        return item

    try:
        op = _expression(node, name, term)
    except _NoExpression:
        return None
    return None if op is None or not operands else (op, operands)


def _number(x: float) -> Expression:
    """Expressions are compared, and 0.0 == -0.0."""
    return ("neg", ("number", 0.0)) if x == 0 and math.copysign(1, x) < 0 else ("number", x)


class _NoExpression(Exception):
    """An operand that expressions do not know."""


def _expression(node: Node, name: str, term: Any) -> Expression | None:
    if name == "cast":
        return _cast(node, term)
    found = FORMULAS.get(name)
    spec = node.spec or registry.specs.get(name)
    if found is None or spec is None:
        return None
    args = [term(item) for item in node.args]
    settings = {key: term(item) for key, item in node.settings.items()}
    if any(isinstance(each, (list, tuple)) and each[:1] not in (("in",), ("number",))
           for each in args):  # fmt: skip
        return None
    given = dict(zip(spec.parameters, args, strict=False)) | settings
    accepted = inspect.signature(found).parameters
    if not given.keys() <= accepted.keys():
        return None
    return found(**given)


def _cast(node: Node, term: Any) -> Expression | None:
    """Between float32 and bool."""
    source = node.args[0]
    if source.dtype is node.out.dtype:
        return None
    if node.out.dtype is bool_:
        return ("ne", term(source), ("number", 0.0))
    return ("identity", term(source))


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
