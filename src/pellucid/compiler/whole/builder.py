"""From a traced training step to a program of `kernels/loops`: every value gets a fixed place in
one memory, every node becomes operations whose sizes are known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.compiler.graph import Graph, Node, Value
from pellucid.compiler.lower.rules import view_layout
from pellucid.compiler.passes import IDENTITIES, name_of
from pellucid.compiler.plan import Buffer, arrange
from pellucid.compiler.steps import last_uses
from pellucid.compiler.symbols import rule_expressions
from pellucid.kernels.loops.single import Step
from pellucid.kernels.target import current
from pellucid.tensor.dtype import float32, int64
from pellucid.tensor.layout import Layout, NoView, contiguous, expand

IDENTITY = ("in", 0)
RULES: dict[str, Callable[[Builder, Node], None]] = {}
"""How nodes become operations (`rules.py`), by operator."""
WHOLE: dict[str, Callable[[Builder, Node], None]] = {}
"""Rules that look at types, outputs and tape themselves."""
MOST_WORK = 1 << 24
"""Multiply-adds of a step up to which it is worth a function of its own."""


class NotWhole(Exception):
    """Why a step cannot be one function."""


@dataclass(eq=False)
class Place:
    """Where a value lies: a buffer (or a space of its own) and a layout, in floats."""

    buffer: Buffer
    layout: Layout
    space: str = "memory"

    def operand(self, strides: Sequence[int] | None = None) -> Any:
        """The place as a program names it; the buffer's offset is known later."""
        used = self.layout.strides if strides is None else tuple(strides)
        return (self, tuple(used))


@dataclass
class Program:
    """Operations, and what lies where: `room` floats in all, `state` the values that are there
    before the first step, `values` the places of all that lie in rows.
    """

    steps: tuple[Step, ...] = ()
    room: int = 0
    row: int = 0
    state: list[Value] = field(default_factory=list)
    values: dict[Value, int] = field(default_factory=dict)
    classes: list[tuple[int, int, int]] = field(default_factory=list)
    """Data that are classes: which, how many there are, and the number that is ignored."""
    logs: int = 0
    work: int = 0


class Builder:
    """Makes the program of one graph. Inputs named in `gathered` are rows of data by index; others
    are found in memory like state.
    """

    def __init__(
        self, graph: Graph, rules: list[Any], starts: list[int], row: int, lanes: int = 0
    ) -> None:
        self.graph, self.lanes = graph, lanes
        self.rules, self.starts = rules, starts
        self.program = Program(row=row)
        self.places: dict[Value, Place] = {}
        self.buffers: list[Buffer] = []
        self.steps: list[tuple[Any, ...]] = []
        self.deferred: dict[Value, tuple[Place, Place]] = {}
        """Products that wait for the elementwise operator that alone reads them."""
        self.summands: dict[Value, tuple[Any, list[Place]]] = {}
        """Elementwise results that wait for the sum that alone reads them."""
        self.sources: dict[Value, int] = {}
        """Classes by value: which data they are."""
        self.taken: set[int] = set()
        """Nodes that became part of another."""
        self.last = last_uses(graph)
        self.users = graph.users()
        self.kept = graph.kept()
        self.at = 0

    # -- places

    def buffer(self, floats: int, held: bool = False) -> Buffer:
        """Memory, given again when nobody reads it any more unless it is held."""
        made = Buffer("arena", 4 * max(floats, 1))
        self.buffers.append(made)
        if held:
            made.first, made.last = 0, 1 << 30
        return made

    def fresh(self, shape: Sequence[int]) -> Place:
        layout = contiguous(tuple(shape))
        return Place(self.buffer(layout.numel), layout)

    def held(self, value: Value) -> Place:
        """A place for what is there before the first step."""
        layout = contiguous(value.shape)
        place = self.places[value] = Place(self.buffer(layout.numel, held=True), layout)
        return place

    def place(self, value: Value) -> Place:
        """Where a value lies; what was found (parameters, state, constants) gets a place now."""
        if value in self.deferred:
            self.flush(value)
        if value in self.summands:
            expression, places = self.summands.pop(value)
            self.places[value] = self.fresh(value.shape)
            self.map([expression], [self.places[value]], places)
        found = self.places.get(value)
        if found is None:
            if value.producer is not None and not value.constant:
                raise NotWhole(f"{value.producer.op} gives several results")
            if value.dtype is not float32:
                raise NotWhole(f"it uses a {value}")
            found = self.held(value)
        return found

    def touch(self, *operands: Any) -> None:
        """These places are used by the operation that is written next."""
        now = len(self.steps)
        for place, _ in operands:
            if isinstance(place, Place):
                buffer = place.buffer
                buffer.first = now if buffer.first < 0 else buffer.first
                buffer.last = max(buffer.last, now)

    # -- operations

    def map(
        self, expressions: Sequence[Any], outs: Sequence[Place], ins: Sequence[Place | Any]
    ) -> None:
        """Elementwise; inputs are broadcast to the outputs' shape, neighbouring dimensions that all
        step through alike are joined.
        """
        shape = outs[0].layout.shape
        given: list[tuple[Any, Sequence[int]]] = [(p, p.layout.strides) for p in outs]
        for each in ins:
            if isinstance(each, Place):
                given.append((each, expand(each.layout, shape).strides))
            else:
                given.append((each, (0,) * len(shape)))
        sizes, strides = _joined(shape, [s for _, s in given])
        operands = [(p, tuple(s)) for (p, _), s in zip(given, strides, strict=True)]
        self.touch(*operands)
        count = len(outs)
        self.steps.append(("map", sizes, tuple(expressions), operands[:count], operands[count:]))

    def sum(self, value: Value, axes: Sequence[int], expression: Any, ins: Sequence[Place],
            shape: Sequence[int], factor: float) -> Place:  # fmt: skip
        """The sum of an expression over some dimensions of its inputs, which have `shape`."""
        kept = [a for a in range(len(shape)) if a not in axes]
        out = self.fresh(value.shape)
        expanded = [expand(p.layout, tuple(shape)).strides for p in ins]
        dims, kept_strides = _joined(
            [shape[a] for a in kept],
            [contiguous(tuple(shape[a] for a in kept)).strides,
             *[[s[a] for a in kept] for s in expanded]],
        )  # fmt: skip
        more, summed_strides = _joined([shape[a] for a in axes],
                                       [[s[a] for a in axes] for s in expanded])  # fmt: skip
        operands = [
            (p, (*k, *s)) for p, k, s in zip(ins, kept_strides[1:], summed_strides, strict=True)
        ]
        target = (out, tuple(kept_strides[0]))
        self.touch(target, *operands)
        self.steps.append(("sum", dims, more, expression, factor, target, operands))
        return out

    def product(
        self, value: Value, a: Place, c: Place, expression: Any, ins: Sequence[Place]
    ) -> Place:
        """expression(A B, inputs): a (m, k), c (k, n), places of matrices."""
        (m, k), n = a.layout.shape, c.layout.shape[1]
        out = self.fresh(value.shape)
        self.program.work += m * n * k
        alone = n == 1 and k > 1 and not self.lanes
        if alone and expression == IDENTITY and not ins and c.layout.strides[0] in (0, 1):
            self._as_sum(out, a, c)
            return out
        if c.layout.strides[1] != 1 and n > 1:
            c = self._turned(c)
        operands = [(p, expand(p.layout, (m, n)).strides) for p in ins]
        target, left, right = (out, (n, 1)), (a, a.layout.strides), (c, c.layout.strides)
        self.touch(target, left, right, *operands)
        self.steps.append(("product", (m, n, k), expression, target, left, right, operands))
        return out

    def _as_sum(self, out: Place, a: Place, c: Place) -> None:
        m, k = a.layout.shape
        operands = [(a, a.layout.strides), (c, (0, c.layout.strides[0]))]
        target = (out, (1,))
        self.touch(target, *operands)
        product = ("mul", ("in", 0), ("in", 1))
        self.steps.append(("sum", (m,), (k,), product, 1.0, target, operands))

    def _turned(self, c: Place) -> Place:
        """The matrix with neighbouring columns, rows padded to whole vectors."""
        if self.lanes:
            return c
        k, n = c.layout.shape
        lanes = current().lanes
        row = -(-n // lanes) * lanes
        if c.layout.strides[0] != 1 and k > 1:
            out = self.fresh((k, n))
            self.map([IDENTITY], [out], [c])
            return out
        columns = -(-k // lanes) * lanes
        place = Place(self.buffer(columns * row), Layout((k, n), (row, 1), 0))
        operands = ((place, (row, 1)), (c, (c.layout.strides[1], 1)))
        self.touch(*operands)
        self.steps.append(("transpose", n, k, *operands))
        return place

    def flush(self, value: Value) -> None:
        """Write a product that waited for somebody who would take it over."""
        make = self.deferred.pop(value)
        self.places[value] = self.product(value, *make, IDENTITY, [])

    # -- the whole

    def build(self, gathered: dict[Value, tuple[int, int]], logged: Sequence[Value]) -> Program:
        """`gathered` says of inputs which data and from which index of a step's they come."""
        program = self.program
        for value, (source, slot) in gathered.items():
            if value.dtype is int64:
                self._gather_classes(value, source, slot)
                continue
            rows, words = value.shape[0], math.prod(value.shape[1:])
            place = self.places[value] = self.fresh(value.shape)
            target = (place, (words, 1))
            self.touch(target)
            self.steps.append(("gather", rows, words, source, slot, target))
        for at, node in enumerate(self.graph.nodes):
            self.at = at
            self.node(node)
        for value in [*self.deferred, *self.summands]:
            self.place(value)
        for number, value in enumerate(logged):
            operand = (self.place(value), ())
            self.touch(operand)
            self.steps.append(("log", number, operand))
        program.logs = len(logged)
        self._write_back()
        for value in self.graph.outputs:
            if value in logged:
                continue
            place = self.place(value)
            if not place.layout.is_row_major:
                copy = self.places[value] = self.fresh(value.shape)
                self.map([IDENTITY], [copy], [place])
            self.places[value].buffer.last = 1 << 30
        program.room = -(-arrange(self.buffers) // 64) * 16
        program.steps = tuple(_quick(_settled(step)) for step in self.steps)
        for value, place in self.places.items():
            if place.layout.is_row_major:
                program.values[value] = place.buffer.offset // 4 + place.layout.offset
        program.state = [v for v in self.places if v.producer is None and v not in gathered]
        return program

    def _gather_classes(self, value: Value, source: int, slot: int) -> None:
        """Rows of one whole number, kept as floats."""
        if value.numel != value.shape[0]:
            raise NotWhole(f"its data are rows of {value}")
        place = self.places[value] = self.fresh(value.shape)
        self.sources[value] = source
        target = (place, (1,))
        self.touch(target)
        self.steps.append(("gather_classes", value.shape[0], source, slot, 1, target))

    def _write_back(self) -> None:
        """What became of state goes where the next step finds it."""
        waiting: list[tuple[Place, Place]] = []
        homes = {id(self.place(old).buffer) for old, _ in self.graph.mutated}
        for old, new in self.graph.mutated:
            home, now = self.place(old), self.place(new)
            if now.buffer is home.buffer and now.layout == home.layout:
                continue
            if id(now.buffer) in homes:
                copy = self.fresh(now.layout.shape)
                self.map([IDENTITY], [copy], [now])
                now = copy
            waiting.append((home, now))
        for home, now in waiting:
            self.map([IDENTITY], [home], [now])

    def node(self, node: Node) -> None:
        """Write one node.

        Raises: NotWhole for an operator or a type that these programs do not have.
        """
        if node.op == "update":
            self._update(node)
            return
        if id(node) in self.taken:
            return
        if node.op in WHOLE:
            WHOLE[node.op](self, node)
            return
        if node.extra.keys() & {"tape", "also"}:
            raise NotWhole(f"{node.op} has no form of fixed size")
        if any(v.dtype is not float32 for v in (*node.outputs, *node.inputs())):
            raise NotWhole(f"{node.op} works on {node.out}")
        if "random" in node.extra:
            raise NotWhole(f"{node.op} draws random numbers")
        name = name_of(node)
        if node.kind == "view" and node.op != "as_strided":
            self._view(node)
        elif name in IDENTITIES and node.args[0].numel == node.out.numel:
            self._reshaped(node)
        elif name in RULES and len(node.outputs) == 1:
            RULES[name](self, node)
        else:
            raise NotWhole(f"{node.op} has no form of fixed size")

    def _update(self, node: Node) -> None:
        call = node.extra["rule"]
        index = next(i for i, r in enumerate(self.rules) if r is call)
        found = None
        if call.optimizer._numbers_keep_their_kind and call.optimizer._numbers_depend_on_step_only:
            found = rule_expressions(call.rule, len(node.args), call.numbers)
        if found is None or any(v.dtype is not float32 for v in node.args):
            raise NotWhole(f"the rule of {type(call.optimizer).__name__} is not one expression")
        expressions, slots = found
        places = [self.place(v) for v in node.args]
        olds = [node.args[0], *node.args[2:]]
        written = [places[0], *places[2:]]
        for value in [*self.deferred, *self.summands]:
            self.place(value)
        if any(self.last[v] > self.at or v.constant for v in olds):
            written = [self.fresh(v.shape) for v in node.outputs]
        numbers = [("numbers", self.starts[index] + slot) for slot in slots]
        self.map(expressions, written, [*places, *numbers])
        for value, place in zip(node.outputs, written, strict=True):
            self.places[value] = place

    def _view(self, node: Node) -> None:
        value = node.args[0]
        place = self.place(value)
        found = self._shown(node, place, value)
        if found is None:
            copy = self.fresh(place.layout.shape)
            self.map([IDENTITY], [copy], [place])
            place = copy
            found = self._shown(node, place, value)
        layouts = found if isinstance(found, list) else [found]
        if not all(isinstance(layout, Layout) for layout in layouts):
            raise NotWhole(f"{node.op} shows memory as another type")
        for out, layout in zip(node.outputs, layouts, strict=True):
            self.places[out] = Place(place.buffer, layout, place.space)

    def _shown(self, node: Node, place: Place, value: Value) -> Any:
        try:
            found = view_layout(node.spec, place.layout, value, node.args[1:], node.settings)
        except RuntimeError:  # the traced run made this view, so only the layout can be the reason
            return None
        return None if isinstance(found, NoView) else found

    def _reshaped(self, node: Node) -> None:
        place = self.place(node.args[0])
        if place.layout.shape != node.out.shape:
            if not place.layout.is_row_major:
                copy = self.fresh(place.layout.shape)
                self.map([IDENTITY], [copy], [place])
                place = copy
            flat = contiguous(node.out.shape)
            layout = Layout(flat.shape, flat.strides, place.layout.offset)
            place = Place(place.buffer, layout, place.space)
        self.places[node.out] = place


def _joined(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Sizes and strides with neighbouring dimensions joined where all step through them alike, the
    longest steps of the first first; at least one dimension.
    """
    order = sorted((a for a, size in enumerate(shape) if size != 1), key=lambda a: -strides[0][a])
    dims: list[tuple[int, list[int]]] = []
    for axis in order:
        size, steps = shape[axis], [s[axis] for s in strides]
        if dims and all(a == c * size for a, c in zip(dims[-1][1], steps, strict=True)):
            dims[-1] = (dims[-1][0] * size, steps)
        else:
            dims.append((size, steps))
    if not dims:
        dims.append((1, [1] * len(strides)))
    return tuple(size for size, _ in dims), [
        tuple(steps[i] for _, steps in dims) for i in range(len(strides))
    ]


def _quick(item: Any) -> Any:
    """Functions that loops compute in a quicker way, exact to some units in the last place."""
    if isinstance(item, tuple):
        return tuple(_quick(each) for each in item)
    return "tanh_rational" if item == "tanh" else item


def _settled(item: Any) -> Any:
    """A step with numbers in the place of places."""
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], tuple):
        place, strides = item
        if isinstance(place, Place):
            return (place.space, place.buffer.offset // 4 + place.layout.offset, strides)
        if isinstance(place, tuple) and place and place[0] == "numbers":
            return (*place, strides)
    if isinstance(item, (tuple, list)):
        return tuple(_settled(each) for each in item)
    return item
