"""Leave out what nobody uses."""

from __future__ import annotations

from pellucid.kernels.language.nodes import (
    OPERATIONS,
    Block,
    If,
    Loop,
    Program,
    Statement,
    Value,
    While,
    blocks_of,
)

_WITHOUT_EFFECT = {"load", "load_masked", "get", "stack"}


def drop(program: Program) -> None:
    """Values without an effect and without a user go; so do loops and branches that are empty.

    Before: `a = i * 4`, `b = a + 1` with no use of b
    After: nothing
    """
    for function in program.functions:
        used: set[Value] = set()
        _drop(function.body, used)


def _drop(block: Block, used: set[Value]) -> None:
    """Backwards, so that users are seen before what they use."""
    kept: list[Statement] = []
    for statement in reversed(block.statements):
        if isinstance(statement, Value):
            free = OPERATIONS[statement.op].pure or statement.op in _WITHOUT_EFFECT
            if free and statement not in used:
                continue
            used.update(statement.args)
            kept.append(statement)
            continue
        if isinstance(statement, While):
            used.add(statement.condition)
            _drop(statement.body, used)
            _drop(statement.head, used)
            kept.append(statement)
            continue
        for inner in reversed(blocks_of(statement)):
            _drop(inner, used)
        if not any(inner.statements for inner in blocks_of(statement)):
            continue
        if isinstance(statement, Loop):
            used.update((statement.start, statement.stop, statement.step))
        elif isinstance(statement, If):
            used.add(statement.condition)
        kept.append(statement)
    block.statements = kept[::-1]
