"""Copies of blocks with other operands."""

from __future__ import annotations

from pellucid.kernels.language.nodes import Block, If, Loop, Statement, Value, While


def clone(block: Block, known: dict[Value, Value]) -> Block:
    """A copy of a block. `known` says which values stand for which; it learns the new ones."""
    return Block([_clone(statement, known) for statement in block])


def _clone(statement: Statement, known: dict[Value, Value]) -> Statement:
    if isinstance(statement, Value):
        args = tuple([known.get(x, x) for x in statement.args])
        copy = Value(statement.op, statement.type, args, statement.attributes, statement.home)
        known[statement] = copy
        return copy
    if isinstance(statement, Loop):
        var = Value("index", statement.var.type, (), statement.var.attributes, statement.var.home)
        known[statement.var] = var
        start, stop, step = (
            known.get(x, x) for x in (statement.start, statement.stop, statement.step)
        )
        return Loop(var, start, stop, step, clone(statement.body, known), statement.unroll)
    if isinstance(statement, While):
        head = clone(statement.head, known)
        condition = known.get(statement.condition, statement.condition)
        return While(head, condition, clone(statement.body, known))
    condition = known.get(statement.condition, statement.condition)
    return If(condition, clone(statement.then, known), clone(statement.orelse, known))
