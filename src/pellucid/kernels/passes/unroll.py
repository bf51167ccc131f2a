"""Write short loops out."""

from __future__ import annotations

from pellucid.kernels.language.nodes import Block, Loop, Program, Statement, Value, blocks_of
from pellucid.kernels.passes.clone import clone


def unroll(program: Program) -> None:
    """Loops marked so, whose bounds are numbers, become one copy of their body per round.

    Before: `unrolled for i from 0 to 2 by 1: x[i] = 0`
    After: `x[0] = 0`, `x[1] = 0`
    """
    for function in program.functions:
        _unroll(function.body)


def _unroll(block: Block) -> None:
    statements: list[Statement] = []
    for statement in block:
        for inner in blocks_of(statement):
            _unroll(inner)
        if isinstance(statement, Loop) and statement.unroll:
            statements.extend(_rounds(statement))
        else:
            statements.append(statement)
    block.statements = statements


def _rounds(loop: Loop) -> list[Statement]:
    bounds = (loop.start.constant, loop.stop.constant, loop.step.constant)
    if any(bound is None for bound in bounds):
        return [loop]
    found: list[Statement] = []
    for number in range(*[int(bound) for bound in bounds if bound is not None]):
        value = Value("constant", loop.var.type, (), {"value": number}, loop.var.home)
        found.append(value)
        found.extend(clone(loop.body, {loop.var: value}))
    return found
