"""Cross-entropy in loops, for one model or one in each lane: losses of classes, whose numbers are
kept as floats.

    ("cross_entropy", (n, c), mean, ignored, x, target, logs, total, loss)
    ("cross_entropy_gradient", (n, c), mean, ignored, x, target, logs, total, grad, out)

`logs` (n,) are logarithms of sums of e^x, `total` the number of rows whose target is not `ignored`.
"""

from __future__ import annotations

from typing import Any

from pellucid.kernels.activations import exp
from pellucid.kernels.language.builder import Operand as Index
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32, I32, I64
from pellucid.kernels.rows import log

Operand = tuple[str, int, tuple[int, ...]]


def _class(b: Any, number: Value, classes: int) -> Value:
    """A class as an index that is inside whatever the data hold."""
    return b.minimum(b.maximum(b.convert(number, I64), 0), classes - 1)


def _weight(b: Any, number: Value, ignored: int) -> Value:
    return b.select(b.binary("eq", number, float(ignored)), 0.0, b.constant(1.0, F32))


class ClassesOfOne:
    """For one model: vectors of classes."""

    def do_gather_classes(
        self: Any, rows: int, source: int, slot: int, width: int, out: Operand
    ) -> None:
        """Classes (i64) of this step's rows, as floats."""
        b = self.b
        data, indices = self.spaces[f"data{source}"], self.spaces["indices"]
        with b.loop("row", 0, rows) as row:
            number = b.load(data, b.load(indices, row + slot, I64) * width, I64)
            pointer, first = self.start(out, [row])
            b.store(b.convert(number, F32), pointer, first)

    def do_cross_entropy(
        self: Any, sizes: tuple[int, int], mean: bool, ignored: int, x: Operand, target: Operand,
        logs: Operand, total: Operand, loss: Operand,
    ) -> None:  # fmt: skip
        b, (n, c) = self.b, sizes
        zero, lowest = (b.broadcast(b.constant(v, F32), b.lanes) for v in (0.0, float("-inf")))
        found, weights = (b.register(b.constant(0.0, F32), name) for name in ("loss", "weights"))
        with b.loop("row", 0, n) as row:
            where = self.start(x, [row])
            top, terms = b.register(lowest, "top"), b.register(zero, "terms")

            def largest(at: Index, mask: Value | None) -> None:
                value = self.read(where, x[2][1], at, mask)
                value = value if mask is None else b.select(mask, value, lowest)
                b.set(top, b.maximum(b.get(top), value))

            self.along(c, largest)
            highest = b.reduce("max", b.get(top))

            def add(at: Index, mask: Value | None) -> None:
                value = exp(b, self.read(where, x[2][1], at, mask) - highest)
                value = value if mask is None else b.select(mask, value, zero)
                b.set(terms, b.get(terms) + value)

            self.along(c, add)
            above = log(b, b.reduce("add", b.get(terms)))
            row_log = highest + above
            pointer, first = self.start(logs, [row])
            b.store(row_log, pointer, first)
            pointer, first = self.start(target, [row])
            number = b.load(pointer, first, F32)
            score = b.load(where[0], where[1] + _class(b, number, c) * x[2][1], F32)
            weight = _weight(b, number, ignored)
            b.set(weights, b.get(weights) + weight)
            part = b.select(b.binary("gt", weight, 0.0), above - (score - highest), 0.0)
            b.set(found, b.get(found) + part)
        pointer, first = self.start(total, [])
        b.store(b.get(weights), pointer, first)
        pointer, first = self.start(loss, [])
        b.store(b.get(found) / b.get(weights) if mean else b.get(found), pointer, first)

    def do_cross_entropy_gradient(
        self: Any, sizes: tuple[int, int], mean: bool, ignored: int, x: Operand, target: Operand,
        logs: Operand, total: Operand, grad: Operand, out: Operand,
    ) -> None:  # fmt: skip
        b, (n, c) = self.b, sizes
        step = b.load(*self.start(grad, []), F32)
        if mean:
            step = step / b.load(*self.start(total, []), F32)
        with b.loop("row", 0, n) as row:
            where, goal = self.start(x, [row]), self.start(out, [row])
            number = b.load(*self.start(target, [row]), F32)
            row_log = b.load(*self.start(logs, [row]), F32)
            factor = b.select(b.binary("eq", number, float(ignored)), 0.0, step)
            chosen = b.convert(_class(b, number, c), I32)

            def put(at: Index, mask: Value | None) -> None:
                value = exp(b, self.read(where, x[2][1], at, mask) - row_log) * factor
                lanes = b.iota(b.i32, b.convert(b.i64(at), I32)) if b.lanes > 1 else None
                if lanes is None:
                    mine = b.binary("eq", b.convert(b.i64(at), I32), chosen)
                else:
                    mine = b.binary("eq", lanes, b.broadcast(chosen, b.lanes))
                value = value - b.select(mine, b.broadcast(factor, b.lanes), 0.0)
                self.write(value, goal, out[2][1], at, mask)

            self.along(c, put)


class ClassesInLanes:
    """For a model in each lane; the classes are the same for all."""

    def _number(self: Any, target: Operand, row: Value) -> Value:
        pointer, first = self.at(target, [row])
        return self.b.load(pointer, first, F32)

    def do_gather_classes(
        self: Any, rows: int, source: int, slot: int, width: int, out: Operand
    ) -> None:
        """Classes (i64) of this step's rows, as floats."""
        b = self.b
        data, indices = self.spaces[f"data{source}"], self.spaces["indices"]
        with b.loop("row", 0, rows) as row:
            number = b.load(data, b.load(indices, row + slot, I64) * width, I64)
            self.put(b.broadcast(b.convert(number, F32), b.lanes), out, [row])

    def do_cross_entropy(
        self: Any, sizes: tuple[int, int], mean: bool, ignored: int, x: Operand, target: Operand,
        logs: Operand, total: Operand, loss: Operand,
    ) -> None:  # fmt: skip
        b, (n, c) = self.b, sizes
        zero, lowest = (b.broadcast(b.constant(v, F32), b.lanes) for v in (0.0, float("-inf")))
        found, weights = b.register(zero, "loss"), b.register(zero, "weights")
        with b.loop("row", 0, n) as row:
            top, terms = b.register(lowest, "top"), b.register(zero, "terms")
            with b.loop("c", 0, c) as i:
                b.set(top, b.maximum(b.get(top), self.fetch(x, [row, i])))
            with b.loop("c", 0, c) as i:
                b.set(terms, b.get(terms) + exp(b, self.fetch(x, [row, i]) - b.get(top)))
            row_log = b.get(top) + log(b, b.get(terms))
            self.put(row_log, logs, [row])
            number = self._number(target, row)
            score = self.fetch(x, [row, _class(b, number, c)])
            weight = _weight(b, number, ignored)
            b.set(weights, b.get(weights) + weight)
            part = b.select(b.binary("gt", weight, 0.0), row_log - score, zero)
            b.set(found, b.get(found) + part)
        self.put(b.get(weights), total, [])
        self.put(b.get(found) / b.get(weights) if mean else b.get(found), loss, [])

    def do_cross_entropy_gradient(
        self: Any, sizes: tuple[int, int], mean: bool, ignored: int, x: Operand, target: Operand,
        logs: Operand, total: Operand, grad: Operand, out: Operand,
    ) -> None:  # fmt: skip
        b, (n, c) = self.b, sizes
        step = self.fetch(grad, [])
        if mean:
            step = step / self.fetch(total, [])
        zero = b.broadcast(b.constant(0.0, F32), b.lanes)
        with b.loop("row", 0, n) as row:
            number, row_log = self._number(target, row), self.fetch(logs, [row])
            factor = b.select(b.binary("eq", number, float(ignored)), zero, step)
            chosen = _class(b, number, c)
            with b.loop("c", 0, c) as i:
                value = exp(b, self.fetch(x, [row, i]) - row_log) * factor
                value = value - b.select(b.binary("eq", i, chosen), factor, zero)
                self.put(value, out, [row, i])
