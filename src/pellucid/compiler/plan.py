"""A plan: kernels with their arguments, operators that run as in eager mode, one arena of memory.

Lowering rules add steps to a `Planner`. `finish` gives every buffer of the arena its place (buffers
that are never alive together share it), writes all arguments into one block of words, and joins
neighbouring kernels into stretches that run in one native call each.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from pellucid.compiler.graph import Node, Value
from pellucid.kernels import pool
from pellucid.kernels.driver import run_steps
from pellucid.kernels.kernel import Compiled
from pellucid.kernels.low import widen_rows
from pellucid.tensor.dtype import dtype, float32
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.storage import Storage, raw_writes
from pellucid.tensor.tensor import Tensor, make

_LINE = 64


@dataclass(eq=False, slots=True)
class Buffer:
    """A run of bytes. `kind`: "arena", "constant" (a tensor of its own), "input" or "output" (an
    address that each call brings; `number` says which).
    """

    kind: str
    nbytes: int
    number: int = 0
    owner: Tensor | None = None
    offset: int = 0
    first: int = -1
    last: int = -1


@dataclass(frozen=True, slots=True)
class Ref:
    """An address in a buffer, as an argument of a kernel."""

    buffer: Buffer
    nbytes: int = 0


@dataclass(eq=False, slots=True)
class Physical:
    """Where a value lies: a buffer and, in elements of `dtype`, a layout over it."""

    buffer: Buffer
    layout: Layout
    dtype: dtype

    def ref(self, extra: int = 0) -> Ref:
        """The address of the element `extra` after the first."""
        return Ref(self.buffer, (self.layout.offset + extra) * self.dtype.itemsize)


@dataclass(eq=False, slots=True)
class Step:
    """One kernel of a plan. `flops` and `nbytes` are what it has to do at least."""

    label: str
    kernel: Compiled
    values: list[Any]
    shape: str = ""
    flops: float = 0.0
    nbytes: float = 0.0


@dataclass(eq=False, slots=True)
class EagerStep:
    """An operator that has no kernel here: it runs as in eager mode, on tensors over the arena."""

    node: Node
    call: Callable[..., Any]
    inputs: dict[Any, Physical]
    outputs: list[Physical]

    @property
    def label(self) -> str:
        return self.node.op


_packed: WeakValueDictionary[Any, np.ndarray] = WeakValueDictionary()
"""Packed constants of all plans that exist."""


def _state(item: Any) -> Any:
    """What decides the numbers of a tensor, besides its storage being the same one."""
    if not isinstance(item, Tensor):
        return item
    storage = item._storage
    return id(storage), storage.version, raw_writes(storage), item._layout, item.dtype.name


class Planner:
    """Collects steps; the lowering rules' view of a plan."""

    def __init__(self, threads: int, *, exact: bool = False, precision: str = "float32") -> None:
        self.threads = threads
        self.exact = exact
        self.precision = precision
        self.low: dict[Value, Physical] = {}
        """Where values lie in the precision of products, beside or instead of `places`."""
        self.padded: set[Value] = set()
        """Those of `low` whose rows are filled up with zeros to whole words."""
        self.quantised: dict[tuple[Value, str], Any] = {}
        """Values in bytes, and in which form: see `lower/quantised.py`."""
        self.checks: list[tuple[np.ndarray, str]] = []
        """Flags that kernels raise, and what an IndexError then says."""
        self.steps: list[Step | EagerStep] = []
        self.buffers: list[Buffer] = []
        self.places: dict[Value, Physical] = {}
        self.readers: dict[Value, list[Node]] = {}
        self.kept_values: set[Value] = set()
        """What nodes read, and what the caller gets: lowering rules choose layouts by it."""
        self.kept: list[np.ndarray] = []
        self.storages: list[Storage] = []

    def buffer(self, nbytes: int) -> Buffer:
        """Bytes of the arena, alive from the step that is added next that uses them to the last."""
        made = Buffer("arena", max(nbytes, 1))
        self.buffers.append(made)
        return made

    def fresh(self, layout: Layout, type: dtype = float32) -> Physical:
        """Memory for a layout that starts at 0 and is dense."""
        return Physical(self.buffer(layout.span * type.itemsize), layout, type)

    def constant(self, tensor: Tensor) -> Physical:
        """A tensor that stays where it is."""
        return Physical(Buffer("constant", 0, owner=tensor), tensor._layout, tensor.dtype)

    def array(self, array: np.ndarray) -> Ref:
        """An array that a kernel reads, kept alive by the plan."""
        self.kept.append(array)
        holder = Buffer("constant", array.nbytes)
        holder.offset = array.ctypes.data
        return Ref(holder)

    def packed(self, value: Value, form: tuple[Any, ...], make: Callable[[], np.ndarray]) -> Ref:
        """A constant in the order in which a kernel reads it, made by `make`. Plans with the same
        constant and `form` share the array.
        """
        sources = value.origin or (value.traced,)
        key = form, tuple([_state(each) for each in sources])
        found = _packed.get(key)
        if found is None:
            found = _packed[key] = make()
        # While the array lives, so do the storages whose numbers are in the key.
        self.storages += [each._storage for each in sources if isinstance(each, Tensor)]
        return self.array(found)

    def place(self, value: Value) -> Physical:
        """Where a value lies. Constants get a place when they are first asked for."""
        found = self.places.get(value)
        if found is None:
            low = self.low.get(value)
            if value.producer is not None and low is None:
                raise RuntimeError(f"{value} of {value.producer.op} has no place in this plan")
            found = self.constant(value.traced) if low is None else self._widened(low)
            self.places[value] = found
        return found

    def multiplies_in(self, node: Node) -> str:
        """The precision of a product: the plan's, unless its own operands have a lower one."""
        if self.precision != "float32":
            return self.precision
        return str(node.extra.get("precision", "float32"))

    def _widened(self, low: Physical) -> Physical:
        """All of what lies there as floats, laid out alike."""
        count = low.layout.offset + low.layout.span
        out = Physical(self.buffer(4 * count), low.layout, float32)
        self.step("widen", widen_rows(), [Ref(low.buffer), Ref(out.buffer), 1, count, 0, 0],
                  str(list(low.layout.shape)), nbytes=6.0 * count)  # fmt: skip
        return out

    def step(
        self, label: str, kernel: Compiled, values: Sequence[Any], shape: str = "",
        flops: float = 0.0, nbytes: float = 0.0, uses: Iterable[Buffer] = (),
    ) -> None:  # fmt: skip
        """Add a kernel. Buffers named in `values` and `uses` are alive now."""
        self._touch([*uses, *(v.buffer for v in values if isinstance(v, Ref))])
        self.steps.append(Step(label, kernel, list(values), shape, flops, nbytes))

    def eager(self, step: EagerStep) -> None:
        self._touch([p.buffer for p in (*step.inputs.values(), *step.outputs)])
        self.steps.append(step)

    def _touch(self, buffers: Iterable[Buffer]) -> None:
        now = len(self.steps)
        for each in buffers:
            each.first = now if each.first < 0 else each.first
            each.last = now

    def hold(self, physical: Physical) -> None:
        """Keep a buffer to the end of the plan."""
        physical.buffer.last = 1 << 30


def arrange(buffers: list[Buffer]) -> int:
    """Give arena buffers their offsets, the largest first, each at the lowest place that is free
    while it is alive; the size of the arena.
    """
    placed: list[Buffer] = []
    total = 0
    for buffer in sorted(buffers, key=lambda b: -b.nbytes):
        if buffer.first < 0:
            continue
        size = _rounded(buffer.nbytes)
        spans = sorted(
            (other.offset, other.offset + _rounded(other.nbytes))
            for other in placed
            if other.first <= buffer.last and buffer.first <= other.last
        )
        at = 0
        for start, end in spans:
            if at + size <= start:
                break
            at = max(at, end)
        buffer.offset = at
        placed.append(buffer)
        total = max(total, at + size)
    return total


def _rounded(nbytes: int) -> int:
    return (nbytes + _LINE - 1) // _LINE * _LINE


@dataclass(eq=False)
class Plan:
    """Steps with arguments in place, ready to run again and again."""

    planner: Planner
    arena_bytes: int = 0
    arena: Any = None
    segments: list[Any] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    patches: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    accuracy: Any = None
    """Of plans below float32: how far their first results were from float32's."""

    @classmethod
    def placed(cls, planner: Planner, arena_bytes: int) -> Plan:
        """A plan whose buffers have their offsets already."""
        plan = cls(planner, arena_bytes)
        plan.arena = Storage(arena_bytes + _LINE)
        plan._write_words()
        return plan

    @classmethod
    def finish(cls, planner: Planner) -> Plan:
        return cls.placed(planner, arrange(planner.buffers))

    def _address(self, buffer: Buffer) -> int:
        if buffer.kind == "arena":
            return int(self.arena.address) + buffer.offset
        if buffer.owner is not None:
            return int(buffer.owner._storage.address)
        return buffer.offset

    def _write_words(self) -> None:
        """All arguments in one block; tables of (kernel, arguments) for each native stretch."""
        steps = self.planner.steps
        sizes = [s.kernel.nbytes // 8 for s in steps if isinstance(s, Step)]
        total = sum(sizes) + 2 * len(sizes)
        self.words = (ctypes.c_int64 * max(total, 1))()
        base = ctypes.addressof(self.words)
        at = 2 * len(sizes)
        row = 0
        stretch: tuple[int, int] | None = None
        for step in steps:
            if isinstance(step, EagerStep):
                self._close(stretch, base)
                stretch = None
                self.segments.append(step)
                continue
            values = []
            for position, value in enumerate(step.values):
                if isinstance(value, Ref):
                    values.append(self._address(value.buffer) + value.nbytes)
                    if value.buffer.kind in ("input", "output"):
                        key = (value.buffer.kind, value.buffer.number)
                        self.patches.setdefault(key, []).append((at + position, value.nbytes))
                        values[-1] = 0
                else:
                    values.append(value)
            step.kernel.pack_into(self.words, 8 * at, *values)
            self.words[2 * row] = step.kernel.address
            self.words[2 * row + 1] = base + 8 * at
            stretch = (row, 1) if stretch is None else (stretch[0], stretch[1] + 1)
            at += step.kernel.nbytes // 8
            row += 1
        self._close(stretch, base)

    def _close(self, stretch: tuple[int, int] | None, base: int) -> None:
        if stretch is None:
            return
        kernel = run_steps()
        block = kernel.pack(base + 16 * stretch[0], stretch[1])
        self.segments.append((kernel, ctypes.addressof(block), block))

    def addresses(self) -> list[tuple[Step | EagerStep, int]]:
        """Each step and where its arguments lie (0 for operators that run as in eager mode)."""
        found: list[tuple[Step | EagerStep, int]] = []
        row = 0
        for step in self.planner.steps:
            native = isinstance(step, Step)
            found.append((step, self.words[2 * row + 1] if native else 0))
            row += native
        return found

    def call(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Run on these inputs, row-major, into these outputs; one call at a time."""
        with self.lock:
            for number, tensor in enumerate(inputs):
                address = tensor._storage.address + tensor._layout.offset * tensor.dtype.itemsize
                self.patch("input", number, address)
            for number, tensor in enumerate(outputs):
                self.patch("output", number, tensor._storage.address)
            self.run(inputs, outputs)

    def patch(self, kind: str, number: int, address: int) -> None:
        """Tell the kernels where an input or an output lies in this call."""
        words = self.words
        for position, nbytes in self.patches.get((kind, number), ()):
            words[position] = address + nbytes

    def run(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Run all steps."""
        team = pool.pool()
        for segment in self.segments:
            if isinstance(segment, EagerStep):
                self._run_eager(segment, inputs, outputs)
            else:
                team.run(segment[0], segment[1])
        for flag, words in self.planner.checks:
            if flag[0]:
                flag[0] = 0
                raise IndexError(words)

    def tensor(
        self, physical: Physical, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Tensor:
        """A tensor over a value's memory."""
        buffer, layout = physical.buffer, physical.layout
        if buffer.owner is not None:
            return make(buffer.owner._storage, layout, physical.dtype)
        if buffer.kind == "arena":
            offset = layout.offset + buffer.offset // physical.dtype.itemsize
            return make(self.arena, Layout(layout.shape, layout.strides, offset), physical.dtype)
        if buffer.kind == "output":
            return make(outputs[buffer.number]._storage, layout, physical.dtype)
        given = inputs[buffer.number]
        shown = Layout(layout.shape, layout.strides, layout.offset + given._layout.offset)
        return make(given._storage, shown, physical.dtype)

    def _run_eager(
        self, step: EagerStep, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> None:
        given = {v: self.tensor(p, inputs, outputs) for v, p in step.inputs.items()}
        result = step.call(given)
        found = result if isinstance(result, (list, tuple)) else (result,)
        for physical, tensor in zip(step.outputs, found, strict=True):
            np.copyto(self.tensor(physical, inputs, outputs)._array, tensor._array)


def row_major(shape: Sequence[int]) -> Layout:
    return contiguous(tuple(shape))
