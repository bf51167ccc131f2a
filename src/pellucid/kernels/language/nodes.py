"""What a program of the loop language is.

The grammar, checked against the classes below by a test:

    program  = function+                        functions of one file, the last one exported
    function = name(parameter*) block
    block    = statement*
    statement = value                           computed once, used by name afterwards
             | loop  var from start to stop by step: block
             | while block gives condition: block
             | if    condition: block else: block
    value    = operation(value*, attributes)    its type is known: f32, i64x8, ptr, …

Memory is reached through pointers: `load` and `store` take a pointer, an index in elements of the
type that is moved, and an optional mask. A *register* is a variable that lives in machine registers
(`get`, `set`); everything else is assigned once. Parallel work is SPMD: every thread runs the same
function with its own `thread` of `threads`, and meets the others at a `barrier`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pellucid.kernels.language.types import VOID, Type


@dataclass(frozen=True, slots=True)
class Operation:
    """What the language knows of one operation.

    `pure` ones have no effect and read no memory: they may be shared, moved and dropped.
    `attributes` are the names of what it needs besides values.
    """

    name: str
    arity: int
    pure: bool = True
    attributes: tuple[str, ...] = ()


def _table(*rows: Operation) -> dict[str, Operation]:
    return {row.name: row for row in rows}


OPERATIONS = _table(
    Operation("constant", 0, attributes=("value",)),
    Operation("parameter", 0, attributes=("name",)),
    Operation("index", 0, attributes=("name",)),
    *(Operation(n, 2) for n in ("add", "sub", "mul", "div", "rem", "min", "max")),
    *(Operation(n, 2) for n in ("and", "or", "xor", "shift_left", "shift_right")),
    *(Operation(n, 2) for n in ("eq", "ne", "lt", "le", "gt", "ge")),
    *(Operation(n, 1) for n in ("neg", "abs", "sqrt", "floor", "round", "trunc")),
    Operation("fma", 3),
    Operation("dot", 3),
    Operation("select", 3),
    *(Operation(n, 1) for n in ("convert", "zero_extend", "bitcast", "broadcast", "iota")),
    Operation("extract", 1, attributes=("lane",)),
    Operation("insert", 2, attributes=("lane",)),
    Operation("shuffle", 2, attributes=("lanes",)),
    Operation("reduce", 1, attributes=("how",)),
    Operation("offset", 2, attributes=("scale",)),
    Operation("stack", 0, pure=False, attributes=("nbytes",)),
    Operation("load", 2, pure=False),
    Operation("load_masked", 3, pure=False),
    Operation("store", 3, pure=False),
    Operation("store_masked", 4, pure=False),
    Operation("prefetch", 2, pure=False),
    Operation("get", 0, pure=False, attributes=("register",)),
    Operation("set", 1, pure=False, attributes=("register",)),
    Operation("atomic_add", 2, pure=False),
    Operation("atomic_load", 1, pure=False),
    Operation("atomic_store", 2, pure=False),
    Operation("pause", 0, pure=False),
    Operation("call", -1, pure=False, attributes=("function",)),
    Operation("call_pointer", -1, pure=False),
)
"""Every operation of the language. `arity` -1 takes any number of values."""


@dataclass(eq=False, slots=True)
class Value:
    """One operation with its operands; the result, if it has one, is named by the object itself."""

    op: str
    type: Type
    args: tuple[Value, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    home: Any = None

    @property
    def constant(self) -> int | float | None:
        """The number of a constant (of every lane), or None."""
        return self.attributes["value"] if self.op == "constant" else None

    def __add__(self, other: Any) -> Value:
        return self.home.binary("add", self, other)

    def __radd__(self, other: Any) -> Value:
        return self.home.binary("add", other, self)

    def __sub__(self, other: Any) -> Value:
        return self.home.binary("sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return self.home.binary("sub", other, self)

    def __mul__(self, other: Any) -> Value:
        return self.home.binary("mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return self.home.binary("mul", other, self)

    def __truediv__(self, other: Any) -> Value:
        return self.home.binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return self.home.binary("div", other, self)

    def __floordiv__(self, other: Any) -> Value:
        return self.home.binary("div", self, other)

    def __mod__(self, other: Any) -> Value:
        return self.home.binary("rem", self, other)

    def __neg__(self) -> Value:
        return self.home.unary("neg", self)

    def __lt__(self, other: Any) -> Value:
        return self.home.binary("lt", self, other)

    def __le__(self, other: Any) -> Value:
        return self.home.binary("le", self, other)

    def __gt__(self, other: Any) -> Value:
        return self.home.binary("gt", self, other)

    def __ge__(self, other: Any) -> Value:
        return self.home.binary("ge", self, other)


@dataclass(eq=False, slots=True)
class Register:
    """A variable of a function, in machine registers; `set` before `get`."""

    type: Type
    name: str


@dataclass(eq=False, slots=True)
class Block:
    """Statements in order."""

    statements: list[Statement] = field(default_factory=list)

    def __iter__(self) -> Iterator[Statement]:
        return iter(self.statements)


@dataclass(eq=False, slots=True)
class Loop:
    """`for var from start to stop by step`. With `unroll` the pass of that name writes it out."""

    var: Value
    start: Value
    stop: Value
    step: Value
    body: Block
    unroll: bool = False


@dataclass(eq=False, slots=True)
class While:
    """Repeat `body` as long as `head`, run before each round, ends with a true `condition`."""

    head: Block
    condition: Value
    body: Block


@dataclass(eq=False, slots=True)
class If:
    """One of two blocks."""

    condition: Value
    then: Block
    orelse: Block


Statement = Value | Loop | While | If


@dataclass(eq=False, slots=True)
class Function:
    """A name, parameters (values of the operation `parameter`), and what it does."""

    name: str
    parameters: tuple[Value, ...]
    body: Block
    result: Type = VOID


@dataclass(eq=False, slots=True)
class Program:
    """Functions, callees before callers; the last one is what the outside calls."""

    functions: list[Function]

    @property
    def name(self) -> str:
        return self.functions[-1].name


def blocks_of(statement: Statement) -> tuple[Block, ...]:
    """The blocks inside a statement."""
    if isinstance(statement, Loop):
        return (statement.body,)
    if isinstance(statement, While):
        return (statement.head, statement.body)
    if isinstance(statement, If):
        return (statement.then, statement.orelse)
    return ()


def walk(block: Block) -> Iterator[Statement]:
    """Every statement, outer before inner."""
    for statement in block:
        yield statement
        for inner in blocks_of(statement):
            yield from walk(inner)


def registers_set(block: Block) -> list[Register]:
    """The registers that a block changes, each once, in order."""
    found: dict[Register, None] = {}
    for statement in walk(block):
        if isinstance(statement, Value) and statement.op == "set":
            found[statement.attributes["register"]] = None
    return list(found)
