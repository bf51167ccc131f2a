"""The verifier: every rule that a program must keep, checked after each pass in the tests."""

from __future__ import annotations

from pellucid.kernels.language.nodes import (
    OPERATIONS,
    Block,
    Function,
    If,
    Loop,
    Program,
    Register,
    Value,
)
from pellucid.kernels.language.types import I1, I64, Type

_SAME = {"add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "fma",
         "shift_left", "shift_right", "neg", "abs", "sqrt", "floor", "round", "trunc"}  # fmt: skip
_COMPARE = {"eq", "ne", "lt", "le", "gt", "ge"}
_INTEGERS_ONLY = {"and", "or", "xor", "shift_left", "shift_right"}
_FLOATS_ONLY = {"fma", "sqrt", "floor", "round", "trunc"}
_TYPED: dict[str, tuple[tuple[int, str], ...]] = {
    "load": ((0, "ptr"), (1, "i64")),
    "load_masked": ((0, "ptr"), (1, "i64")),
    "store": ((1, "ptr"), (2, "i64")),
    "store_masked": ((1, "ptr"), (2, "i64")),
    "offset": ((0, "ptr"), (1, "i64")),
    "atomic_add": ((0, "ptr"), (1, "i64")),
    "atomic_load": ((0, "ptr"),),
    "atomic_store": ((0, "ptr"), (1, "i64")),
}
"""The kinds that operands must have, by position."""
_DOTS = {"f32": ("bf16", 2), "i32": ("i8", 4)}
"""What `dot` multiplies, and how many of them in a lane, by the kind of its sums."""


class InvalidProgram(ValueError):
    """A program breaks a rule of the language; the message names the function and the statement."""


def verify(program: Program) -> None:
    """Raise `InvalidProgram` unless every rule holds.

    Values are defined before they are used and in an enclosing block; operands have the types their
    operation asks for; registers are set before they are read; functions are called with what their
    parameters say, and only those written before.
    """
    known: dict[str, Function] = {}
    for function in program.functions:
        if function.name in known:
            raise InvalidProgram(f"function {function.name} is written twice")
        _Checker(function, known).run()
        known[function.name] = function


class _Checker:
    def __init__(self, function: Function, known: dict[str, Function]) -> None:
        self.function = function
        self.known = known

    def fail(self, rule: str, statement: object = "") -> InvalidProgram:
        what = statement.op if isinstance(statement, Value) else type(statement).__name__
        return InvalidProgram(f"{self.function.name}: {what}: {rule}")

    def run(self) -> None:
        self.block(self.function.body, set(self.function.parameters), set())

    def block(self, block: Block, defined: set[Value], registers: set[Register]) -> None:
        """Check a block; what it defines is not seen outside, registers it sets are kept."""
        for statement in block:
            if isinstance(statement, Value):
                self.value(statement, defined, registers)
                defined.add(statement)
            elif isinstance(statement, Loop):
                for bound in (statement.start, statement.stop, statement.step):
                    self.operand(bound, defined, statement)
                    if bound.type != I64:
                        raise self.fail(f"a bound is {bound.type}, not i64", statement)
                if statement.step.constant is not None and statement.step.constant < 1:
                    raise self.fail(f"the step is {statement.step.constant}", statement)
                self.block(statement.body, {*defined, statement.var}, set(registers))
            elif isinstance(statement, If):
                self.operand(statement.condition, defined, statement)
                if statement.condition.type != I1:
                    raise self.fail(f"the condition is {statement.condition.type}", statement)
                self.block(statement.then, set(defined), set(registers))
                self.block(statement.orelse, set(defined), set(registers))
            else:
                inside, kept = set(defined), set(registers)
                self.block(statement.head, inside, kept)
                self.operand(statement.condition, inside, statement)
                if statement.condition.type != I1:
                    raise self.fail(f"the condition is {statement.condition.type}", statement)
                self.block(statement.body, inside, kept)

    def operand(self, value: Value, defined: set[Value], user: object) -> None:
        if value not in defined:
            raise self.fail(f"uses {value.op} before it is computed, or from another block", user)

    def value(self, value: Value, defined: set[Value], registers: set[Register]) -> None:
        operation = OPERATIONS.get(value.op)
        if operation is None:
            raise self.fail("no such operation", value)
        if operation.arity >= 0 and len(value.args) != operation.arity:
            raise self.fail(f"takes {operation.arity} operands, has {len(value.args)}", value)
        missing = [name for name in operation.attributes if name not in value.attributes]
        if missing:
            raise self.fail(f"lacks {missing[0]!r}", value)
        for arg in value.args:
            self.operand(arg, defined, value)
        self.types(value)
        if value.op == "set":
            registers.add(value.attributes["register"])
            if value.args[0].type != value.attributes["register"].type:
                raise self.fail("the register is of another type", value)
        elif value.op == "get" and value.attributes["register"] not in registers:
            raise self.fail(f"{value.attributes['register'].name} is read before set", value)
        elif value.op == "call":
            self.call(value)

    def types(self, value: Value) -> None:
        kinds = [arg.type for arg in value.args]
        if value.op in _SAME and any(kind != value.type for kind in kinds):
            raise self.fail(f"{value.type} of {', '.join(map(str, kinds))}", value)
        if value.op in _COMPARE and (kinds[0] != kinds[1] or value.type != I1.of(kinds[0].lanes)):
            raise self.fail(f"{value.type} of {kinds[0]} and {kinds[1]}", value)
        if value.op in _INTEGERS_ONLY and value.type.is_float:
            raise self.fail("works on integers", value)
        if value.op in _SAME | _COMPARE and Type("bf16") in [kind.scalar for kind in kinds]:
            raise self.fail("bf16 is for memory: convert it to f32 first", value)
        if value.op == "constant" and value.type.kind == "bf16" and value.constant:
            raise self.fail("a bf16 constant can only be zero", value)
        if value.op == "dot" and not self.dots(value.type, kinds):
            raise self.fail(f"{value.type} of {', '.join(map(str, kinds))}", value)
        if value.op in _FLOATS_ONLY and not value.type.is_float:
            raise self.fail("works on floats", value)
        for position, kind in _TYPED.get(value.op, ()):
            if kinds[position] != Type(kind):
                raise self.fail(f"operand {position} is {kinds[position]}, not {kind}", value)
        if value.op == "select" and (
            kinds[1] != kinds[2]
            or kinds[0].kind != "i1"
            or kinds[0].lanes not in (1, kinds[1].lanes)
        ):
            raise self.fail(f"chooses by {kinds[0]} between {kinds[1]} and {kinds[2]}", value)
        pair = {value.type.kind, *(kind.kind for kind in kinds)}
        if value.op == "convert" and "bf16" in pair and pair != {"bf16", "f32"}:
            raise self.fail(f"{kinds[0]} to {value.type}: bf16 comes from f32 only", value)
        if value.op == "bitcast" and value.type.nbytes != kinds[0].nbytes:
            raise self.fail(f"{kinds[0]} has not the bits of {value.type}", value)

    def dots(self, sums: Type, kinds: list[Type]) -> bool:
        kind, count = _DOTS.get(sums.kind, ("", 0))
        wanted = Type(kind, count * sums.lanes)
        return kinds == [wanted, wanted, sums]

    def call(self, value: Value) -> None:
        callee = self.known.get(value.attributes["function"])
        if callee is None:
            raise self.fail(f"no function {value.attributes['function']} before this one", value)
        wanted = [p.type for p in callee.parameters]
        given = [arg.type for arg in value.args]
        if wanted != given:
            raise self.fail(f"{callee.name} takes {wanted}, gets {given}", value)
