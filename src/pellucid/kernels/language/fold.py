"""Arithmetic on what is known: constants and neutral elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.kernels.language.nodes import Value


def _quotient(a: int, b: int) -> int:
    """a / b rounded towards zero."""
    found = abs(a) // abs(b)
    return found if (a < 0) == (b < 0) else -found


_INTEGER: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _quotient,
    "rem": lambda a, b: a - b * _quotient(a, b),
    "min": min,
    "max": max,
    "shift_left": lambda a, b: a << b,
    "and": lambda a, b: a & b,
}
_COMPARE = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_NEUTRAL = {("add", 0), ("sub", 0), ("mul", 1), ("div", 1), ("shift_left", 0)}
_SYMMETRIC = {"add", "mul"}


def folded(value: Value) -> Value | int | None:
    """What integer operations on constants give, or the operand that an operation leaves as it is.

    None where there is nothing to gain. Floats are left alone: x + 0 is not x for -0.
    """
    args = value.args
    if value.op == "select" and args[0].constant is not None and args[0].type.lanes == 1:
        return args[1] if args[0].constant else args[2]
    if value.op == "offset" and args[1].constant == 0:
        return args[0]
    if len(args) != 2 or args[0].type.is_float or args[0].type.kind == "ptr":
        return None
    left, right = args[0].constant, args[1].constant
    if left is not None and right is not None:
        if value.op in _COMPARE:
            return int(_COMPARE[value.op](left, right))
        rule = _INTEGER.get(value.op)
        if rule is None or (value.op in ("div", "rem") and right == 0):
            return None
        return int(rule(left, right))
    if right is not None and (value.op, right) in _NEUTRAL:
        return args[0]
    if left is not None and value.op in _SYMMETRIC and (value.op, left) in _NEUTRAL:
        return args[1]
    if value.op == "mul" and 0 in (left, right):
        return 0
    return None
