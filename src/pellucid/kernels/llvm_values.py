"""Values of the loop language as LLVM IR: each operation's instructions."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from pellucid.kernels import llvm_low
from pellucid.kernels.language.nodes import Function, Register, Value
from pellucid.kernels.language.types import VOID, Type
from pellucid.kernels.target import Target

_KINDS = {"f32": "float", "f64": "double", "bf16": "i16"}
"""bf16 is for memory: LLVM gets its bits, since it would call functions for a type that the CPU
does not know.
"""
_INTEGER = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "sdiv", "rem": "srem", "and": "and",
    "or": "or", "xor": "xor", "shift_left": "shl", "shift_right": "ashr",
}  # fmt: skip
_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "rem": "frem"}
_ORDER = {"eq": "eq", "ne": "ne", "lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge"}
_FLOAT_ORDER = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}
_INTRINSICS = {
    "abs": "fabs", "sqrt": "sqrt", "floor": "floor", "round": "rint", "trunc": "trunc",
    "fma": "fma",
}  # fmt: skip


def llvm_type(type: Type) -> str:
    """How LLVM writes a type."""
    if type == VOID or type.kind == "ptr":
        return type.kind
    scalar = _KINDS.get(type.kind, type.kind)
    return scalar if type.lanes == 1 else f"<{type.lanes} x {scalar}>"


def suffix(type: Type) -> str:
    """How LLVM's overloaded intrinsics write a type: v8f32."""
    kind = "i16" if type.kind == "bf16" else type.kind
    return kind if type.lanes == 1 else f"v{type.lanes}{kind}"


def literal(value: Value) -> str:
    """A constant operand."""
    number = value.attributes["value"]
    type = value.type
    if type.is_float:
        if type.kind == "f32":
            number = struct.unpack("f", struct.pack("f", number))[0]
        one = f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    elif type.kind == "i1":
        one = "true" if number else "false"
    elif type.kind == "ptr":
        return "null"
    else:
        one = str(number)
    if type.lanes == 1:
        return one
    return "<" + ", ".join([f"{llvm_type(type.scalar)} {one}"] * type.lanes) + ">"


class ValuePrinter:
    """One function on its way to text. `label` is the block that is being written."""

    def __init__(self, function: Function, target: Target, declared: dict[str, str]) -> None:
        self.function = function
        self.target = target
        self.declared = declared
        self.lines: list[str] = []
        self.names: dict[Value, str] = {}
        self.registers: dict[Register, str] = {}
        self.label = "entry"
        self.count = 0

    # -- names

    def fresh(self, stem: str = "v") -> str:
        self.count += 1
        return f"%{stem}{self.count}"

    def ref(self, value: Value) -> str:
        return literal(value) if value.op == "constant" else self.names[value]

    def typed(self, value: Value) -> str:
        return f"{llvm_type(value.type)} {self.ref(value)}"

    def emit(self, text: str) -> None:
        self.lines.append("  " + text)

    def define(self, text: str, stem: str = "v") -> str:
        name = self.fresh(stem)
        self.emit(f"{name} = {text}")
        return name

    def intrinsic(
        self, name: str, result: Type | str, args: Sequence[str], types: Sequence[str]
    ) -> str:
        """Call an intrinsic; declare it once in the module."""
        kind = result if isinstance(result, str) else llvm_type(result)
        self.declared[name] = f"declare {kind} @{name}({', '.join(types)})"
        given = ", ".join(f"{t} {a}" for t, a in zip(types, args, strict=True))
        call = f"call {kind} @{name}({given})"
        if result == VOID:
            self.emit(call)
            return ""
        return self.define(call)

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label = label

    def _next(self) -> int:
        self.count += 1
        return self.count

    # -- values

    def value(self, value: Value) -> None:
        op = value.op
        if op == "constant":
            return
        if op == "get":
            self.names[value] = self.registers[value.attributes["register"]]
        elif op == "set":
            self.registers[value.attributes["register"]] = self.ref(value.args[0])
        elif op in _ORDER or op in _INTEGER:
            self.names[value] = self._arithmetic(value)
        else:
            rule: Callable[[Value], str] | None = getattr(self, f"_{op}", None)
            if rule is None:
                rule = self._intrinsic
            self.names[value] = rule(value)

    def _arithmetic(self, value: Value) -> str:
        left, right = value.args
        float_ = left.type.is_float
        if value.op in _ORDER:
            word = f"fcmp {_FLOAT_ORDER[value.op]}" if float_ else f"icmp {_ORDER[value.op]}"
        else:
            word = (_FLOAT if float_ else _INTEGER)[value.op]
        return self.define(f"{word} {self.typed(left)}, {self.ref(right)}")

    def _minmax(self, value: Value, float_order: str, integer_order: str) -> str:
        left, right = value.args
        word = f"fcmp {float_order}" if left.type.is_float else f"icmp {integer_order}"
        chosen = self.define(f"{word} {self.typed(left)}, {self.ref(right)}")
        bits = llvm_type(Type("i1", value.type.lanes))
        return self.define(f"select {bits} {chosen}, {self.typed(left)}, {self.typed(right)}")

    def _min(self, value: Value) -> str:
        return self._minmax(value, "olt", "slt")

    def _max(self, value: Value) -> str:
        return self._minmax(value, "ogt", "sgt")

    def _intrinsic(self, value: Value) -> str:
        if value.op == "fma" and not self.target.features:  # no such instruction: round twice
            a, b, c = value.args
            product = self.define(f"fmul {self.typed(a)}, {self.ref(b)}")
            return self.define(f"fadd {llvm_type(value.type)} {product}, {self.ref(c)}")
        if value.op == "abs" and not value.type.is_float:
            negated = self.define(f"sub {llvm_type(value.type)} zeroinitializer, "
                                  f"{self.ref(value.args[0])}")  # fmt: skip
            positive = self.define(f"icmp sgt {self.typed(value.args[0])}, zeroinitializer")
            bits = llvm_type(Type("i1", value.type.lanes))
            return self.define(f"select {bits} {positive}, {self.typed(value.args[0])}, "
                               f"{llvm_type(value.type)} {negated}")  # fmt: skip
        name = f"llvm.{_INTRINSICS[value.op]}.{suffix(value.type)}"
        types = [llvm_type(x.type) for x in value.args]
        return self.intrinsic(name, value.type, [self.ref(x) for x in value.args], types)

    def _dot(self, value: Value) -> str:
        return llvm_low.dot(self, *value.args)

    def _neg(self, value: Value) -> str:
        (x,) = value.args
        if x.type.is_float:
            return self.define(f"fneg {self.typed(x)}")
        return self.define(f"sub {llvm_type(x.type)} zeroinitializer, {self.ref(x)}")

    def _select(self, value: Value) -> str:
        return self.define("select " + ", ".join(self.typed(x) for x in value.args))

    def _convert(self, value: Value) -> str:
        (x,) = value.args
        source, target = x.type, value.type
        if "bf16" in (source.kind, target.kind):
            return llvm_low.convert(self, x, target)
        if source.is_float and target.is_float:
            word = "fpext" if target.bits > source.bits else "fptrunc"
        elif source.is_float:
            word = "fptosi"
        elif target.is_float:
            word = "uitofp" if source.kind == "i1" else "sitofp"
        elif source.kind == "i1":
            word = "zext"
        else:
            word = "sext" if target.bits > source.bits else "trunc"
        return self.define(f"{word} {self.typed(x)} to {llvm_type(target)}")

    def _zero_extend(self, value: Value) -> str:
        return self.define(f"zext {self.typed(value.args[0])} to {llvm_type(value.type)}")

    def _bitcast(self, value: Value) -> str:
        return self.define(f"bitcast {self.typed(value.args[0])} to {llvm_type(value.type)}")

    def _broadcast(self, value: Value) -> str:
        (x,) = value.args
        vector = llvm_type(value.type)
        first = self.define(f"insertelement {vector} poison, {self.typed(x)}, i32 0")
        zeros = f"<{value.type.lanes} x i32> zeroinitializer"
        return self.define(f"shufflevector {vector} {first}, {vector} poison, {zeros}")

    def _iota(self, value: Value) -> str:
        (start,) = value.args
        type = value.type
        if type.lanes == 1:
            return self.ref(start)
        kind = llvm_type(type.scalar)
        steps = ", ".join(f"{kind} {float(i) if type.is_float else i}" for i in range(type.lanes))
        if start.constant == 0:
            word = "fadd" if type.is_float else "add"
            return self.define(f"{word} {llvm_type(type)} <{steps}>, zeroinitializer")
        first = self._broadcast(value)
        word = "fadd" if type.is_float else "add"
        return self.define(f"{word} {llvm_type(type)} {first}, <{steps}>")

    def _extract(self, value: Value) -> str:
        return self.define(
            f"extractelement {self.typed(value.args[0])}, i32 {value.attributes['lane']}"
        )

    def _insert(self, value: Value) -> str:
        x, part = value.args
        return self.define(
            f"insertelement {self.typed(x)}, {self.typed(part)}, i32 {value.attributes['lane']}"
        )

    def _shuffle(self, value: Value) -> str:
        lanes = value.attributes["lanes"]
        mask = ", ".join(f"i32 {i}" for i in lanes)
        a, b = value.args
        if a.type.lanes == 1:
            pair = self.define(f"insertelement <2 x {llvm_type(a.type)}> poison, "
                               f"{self.typed(a)}, i32 0")  # fmt: skip
            return self.define(f"extractelement <2 x {llvm_type(a.type)}> {pair}, i32 {lanes[0]}")
        return self.define(
            f"shufflevector {self.typed(a)}, {self.typed(b)}, <{len(lanes)} x i32> <{mask}>"
        )

    def _reduce(self, value: Value) -> str:
        """Halve the vector until one lane is left: the same order of additions everywhere."""
        (x,) = value.args
        current, type = self.ref(x), x.type
        while type.lanes > 1:
            half = type.lanes // 2
            parts = []
            for first in (0, half):
                mask = ", ".join(f"i32 {first + i}" for i in range(half))
                parts.append(self.define(
                    f"shufflevector {llvm_type(type)} {current}, {llvm_type(type)} poison, "
                    f"<{half} x i32> <{mask}>"
                ))  # fmt: skip
            type = type.of(half)
            current = self._combine(value.attributes["how"], Type(type.kind, half), parts)
        return current

    def _combine(self, how: str, type: Type, parts: list[str]) -> str:
        # A vector of one lane is a vector to LLVM here, since it came out of a shuffle.
        text = f"<1 x {llvm_type(type)}>" if type.lanes == 1 else llvm_type(type)
        if how == "add":
            word = "fadd" if type.is_float else "add"
            found = self.define(f"{word} {text} {parts[0]}, {parts[1]}")
        else:
            order = (
                ("ogt" if how == "max" else "olt")
                if type.is_float
                else ("sgt" if how == "max" else "slt")
            )
            compare = "fcmp" if type.is_float else "icmp"
            bits = f"<{type.lanes} x i1>"
            chosen = self.define(f"{compare} {order} {text} {parts[0]}, {parts[1]}")
            found = self.define(f"select {bits} {chosen}, {text} {parts[0]}, {text} {parts[1]}")
        if type.lanes == 1:
            return self.define(f"extractelement {text} {found}, i32 0")
        return found

    # -- memory

    def _address(self, pointer: Value, index: Value, type: Type) -> str:
        if index.constant == 0:
            return self.ref(pointer)
        kind = llvm_type(type.scalar) if type.kind != "i1" else "i8"
        return self.define(f"getelementptr {kind}, {self.typed(pointer)}, {self.typed(index)}", "p")

    def _offset(self, value: Value) -> str:
        pointer, index = value.args
        kind = f"i{8 * value.attributes['scale']}"
        return self.define(f"getelementptr {kind}, {self.typed(pointer)}, {self.typed(index)}", "p")

    def _stack(self, value: Value) -> str:
        return self.define(f"alloca i8, i64 {value.attributes['nbytes']}, align 64", "stack")

    def _load(self, value: Value) -> str:
        address = self._address(value.args[0], value.args[1], value.type)
        align = value.type.scalar.nbytes
        return self.define(f"load {llvm_type(value.type)}, ptr {address}, align {align}")

    def _store(self, value: Value) -> str:
        moved, pointer, index = value.args
        address = self._address(pointer, index, moved.type)
        self.emit(f"store {self.typed(moved)}, ptr {address}, align {moved.type.scalar.nbytes}")
        return ""

    def _load_masked(self, value: Value) -> str:
        pointer, index, mask = value.args
        type, align = value.type, value.type.scalar.nbytes
        if type.lanes == 1:
            return self._guarded_load(value)
        address = self._address(pointer, index, type)
        name = f"llvm.masked.load.{suffix(type)}.p0"
        return self.intrinsic(
            name, type, [address, str(align), self.ref(mask), "zeroinitializer"],
            ["ptr", "i32", llvm_type(mask.type), llvm_type(type)],
        )  # fmt: skip

    def _guarded_load(self, value: Value) -> str:
        pointer, index, mask = value.args
        stem, before = f"guard.{self._next()}", f"%{self.label}"
        self.emit(f"br i1 {self.ref(mask)}, label %{stem}, label %{stem}.end")
        self.start(stem)
        found = self._load(Value("load", value.type, (pointer, index)))
        self.emit(f"br label %{stem}.end")
        self.start(f"{stem}.end")
        zero = "0.0" if value.type.is_float else "0"
        return self.define(f"phi {llvm_type(value.type)} [{found}, %{stem}], [{zero}, {before}]")

    def _store_masked(self, value: Value) -> str:
        moved, pointer, index, mask = value.args
        type, align = moved.type, moved.type.scalar.nbytes
        if type.lanes == 1:
            stem = f"guard.{self._next()}"
            self.emit(f"br i1 {self.ref(mask)}, label %{stem}, label %{stem}.end")
            self.start(stem)
            self._store(Value("store", VOID, (moved, pointer, index)))
            self.emit(f"br label %{stem}.end")
            self.start(f"{stem}.end")
            return ""
        address = self._address(pointer, index, type)
        name = f"llvm.masked.store.{suffix(type)}.p0"
        return self.intrinsic(
            name, VOID, [self.ref(moved), address, str(align), self.ref(mask)],
            [llvm_type(type), "ptr", "i32", llvm_type(mask.type)],
        )  # fmt: skip

    def _prefetch(self, value: Value) -> str:
        address = self._address(value.args[0], value.args[1], Type("f32"))
        return self.intrinsic(
            "llvm.prefetch.p0", VOID, [address, "0", "3", "1"], ["ptr", "i32", "i32", "i32"]
        )

    # -- threads and calls

    def _atomic_add(self, value: Value) -> str:
        pointer, amount = value.args
        return self.define(f"atomicrmw add {self.typed(pointer)}, {self.typed(amount)} seq_cst")

    def _atomic_load(self, value: Value) -> str:
        return self.define(f"load atomic i64, {self.typed(value.args[0])} seq_cst, align 8")

    def _atomic_store(self, value: Value) -> str:
        pointer, stored = value.args
        self.emit(f"store atomic {self.typed(stored)}, {self.typed(pointer)} seq_cst, align 8")
        return ""

    def _pause(self, value: Value) -> str:
        if self.target.name == "neon":
            return self.intrinsic("llvm.aarch64.hint", VOID, ["1"], ["i32"])
        return self.intrinsic("llvm.x86.sse2.pause", VOID, [], [])

    def _call(self, value: Value) -> str:
        given = ", ".join(self.typed(x) for x in value.args)
        self.emit(f"call void @{value.attributes['function']}({given})")
        return ""

    def _call_pointer(self, value: Value) -> str:
        pointer, *args = value.args
        given = ", ".join(self.typed(x) for x in args)
        call = f"call {llvm_type(value.type)} {self.ref(pointer)}({given})"
        if value.type == VOID:
            self.emit(call)
            return ""
        return self.define(call)
