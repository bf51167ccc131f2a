"""Compute equal values once."""

from __future__ import annotations

from typing import Any

from pellucid.kernels.language.fold import folded
from pellucid.kernels.language.nodes import (
    OPERATIONS,
    Block,
    If,
    Loop,
    Program,
    Statement,
    Value,
)

Seen = dict[Any, Value]


def share(program: Program) -> None:
    """A pure value computed before, here or in an enclosing block, is used again; what has become
    known is folded.

    Before: `a = i * 4`, `b = i * 4`, `c = b + 0`
    After: `a = i * 4`, and b and c are a
    """
    for function in program.functions:
        _share(function.body, {}, {})


def _key(value: Value) -> Any:
    attributes = value.attributes
    if not attributes:
        return value.op, value.type, value.args
    # repr tells 0.0 from -0.0, which are equal as numbers
    return value.op, value.type, value.args, tuple((k, repr(v)) for k, v in attributes.items())


def _share(block: Block, seen: Seen, same: dict[Value, Value]) -> None:
    kept: list[Statement] = []
    for statement in block:
        if isinstance(statement, Value):
            statement.args = tuple([same.get(x, x) for x in statement.args])
            _one(statement, seen, same, kept)
            continue
        if isinstance(statement, Loop):
            for name in ("start", "stop", "step"):
                bound = getattr(statement, name)
                setattr(statement, name, same.get(bound, bound))
            _share(statement.body, dict(seen), same)
        elif isinstance(statement, If):
            statement.condition = same.get(statement.condition, statement.condition)
            _share(statement.then, dict(seen), same)
            _share(statement.orelse, dict(seen), same)
        else:
            inner = dict(seen)
            _share(statement.head, inner, same)
            statement.condition = same.get(statement.condition, statement.condition)
            _share(statement.body, inner, same)
        kept.append(statement)
    block.statements = kept


def _one(value: Value, seen: Seen, same: dict[Value, Value], kept: list[Statement]) -> None:
    if not OPERATIONS[value.op].pure:
        kept.append(value)
        return
    short = folded(value)
    if isinstance(short, Value):
        same[value] = short
        return
    if short is not None:
        original, value = value, Value("constant", value.type, (), {"value": short}, value.home)
        same[original] = value
    key = _key(value)
    before = seen.get(key)
    if before is None:
        seen[key] = value
        kept.append(value)
        return
    same[value] = before
    for original, target in same.items():
        if target is value:
            same[original] = before
