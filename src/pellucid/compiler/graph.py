"""The graph of a traced function: operators on values, each value computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pellucid.tensor.dtype import dtype
from pellucid.tensor.tensor import Tensor


@dataclass(eq=False, slots=True)
class Value:
    """What one operator gives: its shape and type, and `traced`, what it was in the traced run.

    A value without a producer is an input of the function or a tensor that it found somewhere
    (`captured`), like a parameter.
    """

    shape: tuple[int, ...]
    dtype: dtype
    traced: Tensor
    producer: Node | None = None
    captured: bool = False
    constant: bool = False
    origin: tuple[Any, ...] = ()
    """Of a constant that a pass computed: the tensors and numbers that decide what it is."""

    @property
    def numel(self) -> int:
        return self.traced._layout.numel

    def __str__(self) -> str:
        return f"{self.dtype.name}{list(self.shape)}"


@dataclass(eq=False, slots=True)
class Node:
    """One call. `args` are the operator's arguments with values in the place of tensors; `kind` is
    "fresh", "view", "write" (in place; the output is what the tensor became), or "fused".

    `extra` holds what passes added: an activation, a residual, an expression.
    """

    op: str
    kind: str
    args: tuple[Any, ...]
    settings: dict[str, Any]
    outputs: list[Value]
    spec: Any = None
    line: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def out(self) -> Value:
        return self.outputs[0]

    def inputs(self) -> list[Value]:
        """The values that it reads, in order, those of `extra` last."""
        return [*values_in(self.args), *values_in(self.settings), *values_in(self.extra)]

    def replace(self, known: dict[Value, Value]) -> None:
        """Read other values instead: `known` says which instead of which."""
        self.args = substitute(self.args, known)
        self.settings = substitute(self.settings, known)
        self.extra = substitute(self.extra, known)


def values_in(item: Any) -> Iterator[Value]:
    """The values in nested lists, tuples and dictionaries."""
    if isinstance(item, Value):
        yield item
    elif isinstance(item, (list, tuple)):
        for each in item:
            yield from values_in(each)
    elif isinstance(item, dict):
        for each in item.values():
            yield from values_in(each)


def substitute(item: Any, known: dict[Any, Any]) -> Any:
    """Nested lists, tuples and dictionaries with what `known` says in the place of values."""
    if isinstance(item, Value):
        return known.get(item, item)
    if isinstance(item, list):
        return [substitute(each, known) for each in item]
    if isinstance(item, tuple):
        parts = [substitute(each, known) for each in item]
        return type(item)(*parts) if hasattr(item, "_fields") else tuple(parts)
    if isinstance(item, dict):
        return {key: substitute(each, known) for key, each in item.items()}
    return item


@dataclass(eq=False, slots=True)
class Graph:
    """Nodes in the order in which they may run; the function's inputs; captured tensors; outputs.

    `mutated` are inputs and captured tensors that the function writes to, with what they become.
    """

    inputs: list[Value]
    captured: list[Value]
    nodes: list[Node]
    outputs: list[Value]
    mutated: list[tuple[Value, Value]]
    random: bool = False
    live: bool = False
    """Whether captured tensors change from call to call: nothing of them is a constant."""

    def users(self) -> dict[Value, list[Node]]:
        """Who reads a value. The function's own outputs count as None-less extra users."""
        found: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs():
                found.setdefault(value, []).append(node)
        return found

    def kept(self) -> set[Value]:
        """Values that must exist at the end."""
        return {*self.outputs, *(new for _, new in self.mutated)}

    def __str__(self) -> str:
        names: dict[Value, str] = {}

        def name(value: Value) -> str:
            if value not in names:
                prefix = "x" if value in self.inputs else "w" if value.captured else "v"
                names[value] = f"{prefix}{len(names)}"
            return names[value]

        lines = [f"inputs {', '.join(f'{name(v)}: {v}' for v in self.inputs)}"]
        for node in self.nodes:
            given = ", ".join(
                name(a) if isinstance(a, Value) else _short(a, name) for a in node.args
            )
            extra = "".join(f" {k}={_short(v, name)}" for k, v in node.extra.items())
            outs = ", ".join(f"{name(v)}: {v}" for v in node.outputs)
            lines.append(f"{outs} = {node.op}({given}){extra}")
        lines.append(f"outputs {', '.join(name(v) for v in self.outputs)}")
        return "\n".join(lines)


def _short(item: Any, name: Any) -> str:
    if isinstance(item, Value):
        return str(name(item))
    if isinstance(item, (list, tuple)) and any(True for _ in values_in(item)):
        return "[" + ", ".join(_short(each, name) for each in item) + "]"
    return repr(item)
