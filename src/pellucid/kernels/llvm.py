"""A program of the loop language as LLVM IR text.

Loops become blocks; a register becomes a phi node wherever two ways meet, so no memory is used for
it. Floats carry no fast-math flags: what the program says is what is computed. `llvm_values.py`
knows the instructions of each operation.
"""

from __future__ import annotations

from pellucid.kernels.language.nodes import (
    Block,
    Function,
    If,
    Loop,
    Program,
    Register,
    Value,
    While,
    registers_set,
    walk,
)
from pellucid.kernels.llvm_values import ValuePrinter, llvm_type
from pellucid.kernels.target import Target


class _Printer(ValuePrinter):
    """The statements of a function, around its values."""

    def block(self, block: Block) -> None:
        for statement in block:
            if isinstance(statement, Value):
                self.value(statement)
            elif isinstance(statement, Loop):
                self.loop(statement)
            elif isinstance(statement, While):
                self.repeat(statement)
            else:
                self.choose(statement)

    def _headers(self, changed: list[Register], stem: str) -> list[tuple[Register, int, str]]:
        """A phi for each register a loop changes; the second way is filled in afterwards."""
        places = []
        for register in changed:
            name = self.fresh(register.name)
            places.append((register, len(self.lines), name))
            before = self.registers[register]
            self.lines.append(
                f"  {name} = phi {llvm_type(register.type)} [{before}, {stem}], [@@, @@]"
            )
        for register, _, name in places:
            self.registers[register] = name
        return places

    def _close(self, places: list[tuple[Register, int, str]], leaving: dict[Register, str]) -> None:
        for register, line, _ in places:
            text = self.lines[line]
            self.lines[line] = text.replace("[@@, @@]", f"[{leaving[register]}, %{self.label}]")

    def loop(self, node: Loop) -> None:
        stem = f"{node.var.attributes['name']}.{self._next()}"
        changed = [r for r in registers_set(node.body) if r in self.registers]
        before = f"%{self.label}"
        start, stop, step = (self.ref(x) for x in (node.start, node.stop, node.step))
        if not _runs(node):
            enter = self.define(f"icmp slt i64 {start}, {stop}")
            self.emit(f"br i1 {enter}, label %{stem}, label %{stem}.end")
        else:
            self.emit(f"br label %{stem}")
        outer = dict(self.registers)
        self.start(stem)
        var = self.fresh(node.var.attributes["name"])
        place = len(self.lines)
        self.lines.append(f"  {var} = phi i64 [{start}, {before}], [@@, @@]")
        self.names[node.var] = var
        places = self._headers(changed, before)
        self.block(node.body)
        following = self.define(f"add nsw i64 {var}, {step}")
        more = self.define(f"icmp slt i64 {following}, {stop}")
        self.lines[place] = self.lines[place].replace("[@@, @@]", f"[{following}, %{self.label}]")
        leaving = dict(self.registers)
        self._close(places, leaving)
        last = f"%{self.label}"
        self.emit(f"br i1 {more}, label %{stem}, label %{stem}.end")
        self.start(f"{stem}.end")
        for register in changed:
            if _runs(node):
                self.registers[register] = leaving[register]
            else:
                self.registers[register] = self.define(
                    f"phi {llvm_type(register.type)} [{outer[register]}, {before}], "
                    f"[{leaving[register]}, {last}]",
                    register.name,
                )
        self._forget(outer)

    def repeat(self, node: While) -> None:
        stem = f"while.{self._next()}"
        inner = Block([*node.head.statements, *node.body.statements])
        changed = [r for r in registers_set(inner) if r in self.registers]
        before = f"%{self.label}"
        self.emit(f"br label %{stem}")
        outer = dict(self.registers)
        self.start(stem)
        places = self._headers(changed, before)
        self.block(node.head)
        tested = {r: self.registers[r] for r in changed}
        self.emit(f"br i1 {self.ref(node.condition)}, label %{stem}.body, label %{stem}.end")
        self.start(f"{stem}.body")
        self.block(node.body)
        self._close(places, dict(self.registers))
        self.emit(f"br label %{stem}")
        self.start(f"{stem}.end")
        self.registers.update(tested)
        self._forget(outer)

    def choose(self, node: If) -> None:
        stem = f"if.{self._next()}"
        changed = [
            r
            for r in dict.fromkeys([*registers_set(node.then), *registers_set(node.orelse)])
            if r in self.registers
        ]
        outer = dict(self.registers)
        no = f"{stem}.else" if node.orelse.statements else f"{stem}.end"
        before = f"%{self.label}"
        self.emit(f"br i1 {self.ref(node.condition)}, label %{stem}.then, label %{no}")
        self.start(f"{stem}.then")
        self.block(node.then)
        yes_values, yes_label = dict(self.registers), f"%{self.label}"
        self.emit(f"br label %{stem}.end")
        no_values, no_label = outer, before
        if node.orelse.statements:
            self.registers = dict(outer)
            self.start(f"{stem}.else")
            self.block(node.orelse)
            no_values, no_label = dict(self.registers), f"%{self.label}"
            self.emit(f"br label %{stem}.end")
        self.start(f"{stem}.end")
        self.registers = dict(outer)
        for register in changed:
            self.registers[register] = self.define(
                f"phi {llvm_type(register.type)} [{yes_values[register]}, {yes_label}], "
                f"[{no_values[register]}, {no_label}]",
                register.name,
            )

    def _forget(self, outer: dict[Register, str]) -> None:
        """Registers that began inside a block end with it."""
        self.registers = {r: self.registers[r] for r in outer}


def _runs(node: Loop) -> bool:
    """Whether a loop is known to run at least once."""
    start, stop = node.start.constant, node.stop.constant
    return start is not None and stop is not None and start < stop


def _hoist_stacks(function: Function) -> None:
    """Stack memory belongs to the call: it is asked for in the entry block only."""
    for statement in walk(function.body):
        if (
            isinstance(statement, Value)
            and statement.op == "stack"
            and (statement not in function.body.statements)
        ):
            raise ValueError(f"{function.name}: stack memory inside a loop or a branch")


def print_program(program: Program, target: Target) -> str:
    """The LLVM IR of a program; all functions but the last are internal to it."""
    declared: dict[str, str] = {}
    texts = []
    for function in program.functions:
        _hoist_stacks(function)
        printer = _Printer(function, target, declared)
        parameters = []
        for parameter in function.parameters:
            name = f"%{parameter.attributes['name']}"
            printer.names[parameter] = name
            parameters.append(f"{llvm_type(parameter.type)} {name}")
        printer.block(function.body)
        printer.emit("ret void")
        kind = "" if function is program.functions[-1] else "internal "
        width = f'"prefer-vector-width"="{32 * target.lanes}" ' if target.lanes > 1 else ""
        head = f"define {kind}void @{function.name}({', '.join(parameters)}) {width}nounwind {{"
        texts.append("\n".join([head, "entry:", *printer.lines, "}"]))
    return "\n\n".join([*declared.values(), *texts]) + "\n"
