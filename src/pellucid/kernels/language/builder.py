"""Writing programs: a `Builder` appends statements to the function that is being written.

    b = Builder(target, "scale", "x: ptr, out: ptr, n: i64, factor: f32")
    x, out, n, factor = b.parameters
    with b.loop("i", 0, n, step=b.lanes) as i:
        b.store(b.load(x, i, b.f32) * factor, out, i)
    program = b.program()

Values carry Python's operators; a Python number beside a value becomes a constant of its type, and
a scalar beside a vector is broadcast. Numbers known while the program is written are folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pellucid.kernels.language.fold import folded
from pellucid.kernels.language.nodes import (
    Block,
    Function,
    If,
    Loop,
    Program,
    Register,
    Value,
    While,
)
from pellucid.kernels.language.types import F32, I1, I32, I64, PTR, VOID, Type, parse
from pellucid.kernels.target import Target

Number = int | float
Operand = Value | int | float

_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


class Builder:
    """One function in the making. `lanes` is the target's number of f32 in a vector register."""

    def __init__(self, target: Target, name: str, parameters: str = "") -> None:
        self.target = target
        self.lanes = target.lanes
        self.f32 = F32.of(target.lanes)
        self.i32 = I32.of(target.lanes)
        self.parameters: tuple[Value, ...] = ()
        self._finished: list[Function] = []
        self._open(name, parameters)

    def _open(self, name: str, parameters: str) -> None:
        found = []
        for part in filter(None, (p.strip() for p in parameters.split(","))):
            own, _, type = part.partition(":")
            found.append(Value("parameter", parse(type.strip()), (), {"name": own.strip()}, self))
        self.parameters = tuple(found)
        self._function = Function(name, self.parameters, Block())
        self._block = self._function.body
        self._constants: dict[tuple[Type, Number], Value] = {}

    # -- the shape of a program

    def function(self, name: str, parameters: str) -> tuple[Value, ...]:
        """Finish the function and begin another, which may call it; gives its parameters."""
        self._finished.append(self._function)
        self._open(name, parameters)
        return self.parameters

    def program(self) -> Program:
        """All functions written; the last one is exported."""
        return Program([*self._finished, self._function])

    def loop(
        self, name: str, start: Operand, stop: Operand, step: Operand = 1, *, unroll: bool = False
    ) -> Any:
        """`with b.loop("i", 0, n) as i:`"""
        return self._loop(name, start, stop, step, unroll)

    @contextmanager
    def _loop(
        self, name: str, start: Operand, stop: Operand, step: Operand, unroll: bool
    ) -> Iterator[Value]:
        var = Value("index", I64, (), {"name": name}, self)
        node = Loop(var, self.i64(start), self.i64(stop), self.i64(step), Block(), unroll)
        self._block.statements.append(node)
        with self._inside(node.body):
            yield var

    @contextmanager
    def repeat(self, condition: Callable[[], Value]) -> Iterator[None]:
        """`with b.repeat(lambda: b.get(x) < 3):` — while the condition, asked anew, holds."""
        head, body = Block(), Block()
        with self._inside(head):
            wanted = condition()
        self._block.statements.append(While(head, wanted, body))
        with self._inside(body):
            yield

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """`with b.when(i < n):`"""
        node = If(condition, Block(), Block())
        self._block.statements.append(node)
        with self._inside(node.then):
            yield

    @contextmanager
    def otherwise(self) -> Iterator[None]:
        """The other branch of the `when` just before."""
        node = self._block.statements[-1]
        if not isinstance(node, If) or node.orelse.statements:
            raise ValueError("otherwise() must follow a when() at once")
        with self._inside(node.orelse):
            yield

    @contextmanager
    def _inside(self, block: Block) -> Iterator[None]:
        outer, self._block = self._block, block
        known, self._constants = self._constants, dict(self._constants)
        try:
            yield
        finally:
            self._block, self._constants = outer, known

    # -- values

    def _add(self, op: str, type: Type, args: Sequence[Value] = (), **attributes: Any) -> Value:
        value = Value(op, type, tuple(args), attributes, self)
        short = folded(value)
        if isinstance(short, Value):
            return short
        if short is not None:
            return self.constant(short, type)
        self._block.statements.append(value)
        return value

    def constant(self, value: Number, type: Type) -> Value:
        """A number, in every lane."""
        number = float(value) if type.is_float else int(value)
        key = (type, number) if number or not type.is_float else (type, repr(number))
        found = self._constants.get(key)  # type: ignore[arg-type]
        if found is None:
            found = Value("constant", type, (), {"value": number}, self)
            self._block.statements.append(found)
            self._constants[key] = found  # type: ignore[index]
        return found

    def value(self, operand: Operand, type: Type) -> Value:
        """`operand` as a value of this type: numbers become constants, scalars are broadcast."""
        if not isinstance(operand, Value):
            return self.constant(operand, type)
        if operand.type.lanes == 1 and type.lanes > 1 and operand.type.kind == type.kind:
            return self.broadcast(operand, type.lanes)
        if operand.type != type:
            raise TypeError(f"{operand.op} gives {operand.type}, {type} is needed")
        return operand

    def i64(self, operand: Operand) -> Value:
        return self.value(operand, I64)

    def _common(self, *operands: Operand) -> list[Value]:
        values = [x for x in operands if isinstance(x, Value)]
        type = max((x.type for x in values), key=lambda t: t.lanes)
        return [self.value(x, type) for x in operands]

    def binary(self, op: str, left: Operand, right: Operand) -> Value:
        """Arithmetic or a comparison; `div` and `rem` of integers round towards zero."""
        a, b = self._common(left, right)
        type = I1.of(a.type.lanes) if op in _COMPARISONS else a.type
        return self._add(op, type, (a, b))

    def unary(self, op: str, x: Value) -> Value:
        return self._add(op, x.type, (x,))

    def minimum(self, left: Operand, right: Operand) -> Value:
        return self.binary("min", left, right)

    def maximum(self, left: Operand, right: Operand) -> Value:
        return self.binary("max", left, right)

    def fma(self, a: Operand, b: Operand, c: Operand) -> Value:
        """a * b + c, rounded once where the target can."""
        x, y, z = self._common(a, b, c)
        return self._add("fma", x.type, (x, y, z))

    def dot(self, a: Value, b: Value, c: Value) -> Value:
        """c plus, in each of its lanes, the products of the pairs of bf16 (f32 lanes) or of the
        four bytes (i32 lanes) of a and b that lie there. Bytes of a count 0 … 255, those of b
        -128 … 127. Sums of bf16 may be rounded in another order, and take subnormal numbers for 0.
        """
        return self._add("dot", c.type, (a, b, c))

    def select(self, condition: Value, yes: Operand, no: Operand) -> Value:
        a, b = self._common(yes, no)
        if condition.type.lanes > a.type.lanes:
            a, b = (self.broadcast(x, condition.type.lanes) for x in (a, b))
        return self._add("select", a.type, (condition, a, b))

    def both(self, left: Value, right: Value) -> Value:
        """Whether two conditions hold."""
        return self._add("and", left.type, (left, right))

    def ceil_div(self, a: Operand, b: Operand) -> Value:
        """ceil(a / b) of integers that are not negative."""
        return (self.i64(a) + (self.i64(b) - 1)) // self.i64(b)

    # -- lanes and conversions

    def broadcast(self, x: Value, lanes: int) -> Value:
        return x if x.type.lanes == lanes else self._add("broadcast", x.type.of(lanes), (x,))

    def iota(self, type: Type, start: Operand = 0) -> Value:
        """start, start + 1, … in the lanes."""
        return self._add("iota", type, (self.value(start, type.scalar),))

    def convert(self, x: Value, kind: Type) -> Value:
        """To another number type, by value; floats to integers round towards zero."""
        type = kind.of(x.type.lanes)
        return x if type == x.type else self._add("convert", type, (x,))

    def zero_extend(self, x: Value, kind: Type) -> Value:
        return self._add("zero_extend", kind.of(x.type.lanes), (x,))

    def bitcast(self, x: Value, type: Type) -> Value:
        return x if type == x.type else self._add("bitcast", type, (x,))

    def extract(self, x: Value, lane: int) -> Value:
        return x if x.type.lanes == 1 else self._add("extract", x.type.scalar, (x,), lane=lane)

    def insert(self, x: Value, part: Value, lane: int) -> Value:
        return part if x.type.lanes == 1 else self._add("insert", x.type, (x, part), lane=lane)

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """Lanes of `a` (0 …) and `b` (after a's)."""
        return self._add("shuffle", a.type.of(len(lanes)), (a, b), lanes=tuple(lanes))

    def reduce(self, how: str, x: Value) -> Value:
        """All lanes into one: "add", "max" or "min", pairwise."""
        return x if x.type.lanes == 1 else self._add("reduce", x.type.scalar, (x,), how=how)

    def vector(self, parts: Sequence[Value]) -> Value:
        """A vector of scalars."""
        result = self.broadcast(parts[0], len(parts))
        for lane, part in enumerate(parts[1:], 1):
            result = self.insert(result, part, lane)
        return result

    # -- memory

    def offset(self, pointer: Value, index: Operand, type: Type = F32) -> Value:
        """The pointer to element `index` of scalars of this type."""
        size = type.scalar.nbytes
        return self._add("offset", PTR, (pointer, self.i64(index)), scale=size)

    def load(self, pointer: Value, index: Operand, type: Type, mask: Value | None = None) -> Value:
        """`type` from element `index`; lanes that the mask leaves out are zero."""
        if mask is None:
            return self._add("load", type, (pointer, self.i64(index)))
        return self._add("load_masked", type, (pointer, self.i64(index), mask))

    def store(
        self, value: Value, pointer: Value, index: Operand, mask: Value | None = None
    ) -> None:
        if mask is None:
            self._add("store", VOID, (value, pointer, self.i64(index)))
        else:
            self._add("store_masked", VOID, (value, pointer, self.i64(index), mask))

    def stack(self, nbytes: int) -> Value:
        """Memory of this call, 64-byte aligned; ask for it outside loops."""
        return self._add("stack", PTR, nbytes=nbytes)

    def prefetch(self, pointer: Value, index: Operand) -> None:
        """Ask for the cache line of f32 element `index`."""
        self._add("prefetch", VOID, (pointer, self.i64(index)))

    def tail_mask(self, left: Value, type: Type) -> Value:
        """Which lanes of a vector lie below `left` elements."""
        wide = I32.of(type.lanes)
        if type.lanes == 1:
            return self.binary("gt", left, 0)
        return self.binary("lt", self.iota(wide), self.convert(left, I32))

    # -- registers

    def register(self, initial: Value, name: str = "r") -> Register:
        register = Register(initial.type, name)
        self.set(register, initial)
        return register

    def get(self, register: Register) -> Value:
        return self._add("get", register.type, register=register)

    def set(self, register: Register, value: Operand) -> None:
        self._add("set", VOID, (self.value(value, register.type),), register=register)

    # -- threads

    def atomic_add(self, pointer: Value, amount: Operand) -> Value:
        """Add to an i64 that others change too; gives what was there before."""
        return self._add("atomic_add", I64, (pointer, self.i64(amount)))

    def atomic_load(self, pointer: Value) -> Value:
        return self._add("atomic_load", I64, (pointer,))

    def atomic_store(self, pointer: Value, value: Operand) -> None:
        self._add("atomic_store", VOID, (pointer, self.i64(value)))

    def pause(self) -> None:
        """Tell the CPU that this is a waiting loop."""
        self._add("pause", VOID)

    def call(self, function: str, *args: Operand) -> None:
        """Call a function written before in this program."""
        for known in self._finished:
            if known.name == function:
                types = [p.type for p in known.parameters]
                given = [self.value(x, t) for x, t in zip(args, types, strict=True)]
                self._add("call", VOID, given, function=function)
                return
        raise ValueError(f"no function {function!r} was written before this one")

    def call_pointer(self, pointer: Value, *args: Value, result: Type = VOID) -> Value:
        """Call the C function at `pointer`."""
        return self._add("call_pointer", result, (pointer, *args))
