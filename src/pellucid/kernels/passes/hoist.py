"""Take out of loops what they do not change."""

from __future__ import annotations

from pellucid.kernels.language.nodes import (
    OPERATIONS,
    Block,
    Loop,
    Program,
    Statement,
    Value,
    blocks_of,
)

_MAY_FAIL = {"div", "rem"}


def hoist(program: Program) -> None:
    """A pure value of a loop whose operands lie outside moves before the loop.

    Divisions by what might be zero stay, and so do vectors: they would occupy registers.

    Before: `for i …: a = n * 4; x[a + i] = 0`
    After: `a = n * 4; for i …: x[a + i] = 0`
    """
    for function in program.functions:
        _hoist(function.body)


def _hoist(block: Block) -> None:
    found: list[Statement] = []
    for statement in block:
        for inner in blocks_of(statement):
            _hoist(inner)
        if isinstance(statement, Loop):
            found.extend(_loose(statement))
        found.append(statement)
    block.statements = found


def _inside(block: Block, found: set[Value]) -> set[Value]:
    for statement in block:
        if isinstance(statement, Value):
            found.add(statement)
        elif isinstance(statement, Loop):
            found.add(statement.var)
        for inner in blocks_of(statement):
            _inside(inner, found)
    return found


def _loose(loop: Loop) -> list[Value]:
    inside = _inside(loop.body, {loop.var})
    moved: list[Value] = []
    kept: list[Statement] = []
    for statement in loop.body:
        if isinstance(statement, Value) and _may_move(statement, inside):
            moved.append(statement)
            inside.discard(statement)
        else:
            kept.append(statement)
    loop.body.statements = kept
    return moved


def _may_move(value: Value, inside: set[Value]) -> bool:
    if not OPERATIONS[value.op].pure or (value.type.lanes > 1 and value.op != "constant"):
        return False
    if value.op in _MAY_FAIL and not value.type.is_float and not value.args[1].constant:
        return False
    return not any(arg in inside for arg in value.args)
