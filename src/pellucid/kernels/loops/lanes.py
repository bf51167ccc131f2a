"""The operations of `single.py` for as many models as a vector has lanes: every number of a model
stands beside those of the others, so that no size is too small for a vector and nothing is padded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid.kernels.language.builder import Operand as Index
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32, I64
from pellucid.kernels.loops.classes import ClassesInLanes
from pellucid.kernels.loops.single import Emitter, Operand
from pellucid.kernels.pointwise import evaluate

_ROWS, _COLUMNS = 5, 4
_FEW = 4


class LaneEmitter(ClassesInLanes, Emitter):
    """Writes operations whose elements are vectors."""

    def at(self, operand: Operand, indices: Sequence[Value]) -> tuple[Value, Value]:
        """Memory and index, in floats, of an element."""
        pointer, first = self.start(operand, indices)
        return pointer, first * self.b.lanes

    def fetch(self, operand: Operand, indices: Sequence[Value]) -> Value:
        """An element of all models."""
        pointer, first = self.at(operand, indices)
        return self.b.load(pointer, first, self.b.f32)

    def put(self, value: Value, operand: Operand, indices: Sequence[Value]) -> None:
        """Write an element of all models."""
        pointer, first = self.at(operand, indices)
        self.b.store(value, pointer, first)

    def each(self, size: int, body: Callable[[Value], None]) -> None:
        """`body(i)` for each i, two at a time where that is possible."""
        b = self.b
        if size <= _FEW:
            for i in range(size):
                body(b.i64(i))
            return
        step = 2 if size % 2 == 0 else 1
        with b.loop("e", 0, size, step) as e:
            for i in range(step):
                body(e + i)

    def do_map(
        self, sizes: Sequence[int], expressions: Any, outs: Sequence[Operand],
        ins: Sequence[Operand],
    ) -> None:  # fmt: skip
        *outer, inner = sizes
        with self.nest(outer) as indices:

            def body(e: Value) -> None:
                given = [self.fetch(each, [*indices, e]) for each in ins]
                found = [evaluate(self.b, each, given) for each in expressions]
                for value, out in zip(found, outs, strict=True):
                    self.put(value, out, [*indices, e])

            self.each(inner, body)

    def do_sum(
        self, kept: Sequence[int], summed: Sequence[int], expression: Any, factor: float,
        out: Operand, ins: Sequence[Operand],
    ) -> None:  # fmt: skip
        b = self.b
        zero = b.broadcast(b.constant(0.0, F32), b.lanes)
        *more, last = summed
        parts = next(p for p in (4, 2, 1) if last % p == 0)
        with self.nest(kept) as indices:
            sums = [b.register(zero, "sum") for _ in range(parts)]
            with self.nest(more) as deeper, b.loop("r", 0, last, parts) as r:
                for part, total in enumerate(sums):
                    given = [self.fetch(each, [*indices, *deeper, r + part]) for each in ins]
                    b.set(total, b.get(total) + evaluate(b, expression, given))
            found = self._joined([b.get(each) for each in sums])
            self.put(found * factor if factor != 1 else found, out, indices)

    def do_product(
        self, sizes: tuple[int, int, int], expression: Any, out: Operand, a: Operand, c: Operand,
        ins: Sequence[Operand],
    ) -> None:  # fmt: skip
        b = self.b
        m, n, _ = sizes
        column = 0
        while column < n:
            wide = min(_COLUMNS, n - column)
            most = _ROWS if wide == _COLUMNS else 20 // wide
            for start, stop, height in _bands(m, min(most, 12)):
                if stop - start == height:
                    self._block(b.i64(start), height, column, wide, sizes, expression, out, a, c,
                                ins)  # fmt: skip
                    continue
                with b.loop("row", start, stop, height) as row:
                    self._block(row, height, column, wide, sizes, expression, out, a, c, ins)
            column += wide

    def _block(
        self, row: Value, height: int, column: int, wide: int, sizes: tuple[int, int, int],
        expression: Any, out: Operand, a: Operand, c: Operand, ins: Sequence[Operand],
    ) -> None:  # fmt: skip
        """A tile of products, each of which is a vector over models."""
        b, depth = self.b, sizes[2]
        zero = b.broadcast(b.constant(0.0, F32), b.lanes)
        sums = [[b.register(zero, "acc") for _ in range(wide)] for _ in range(height)]
        lefts = [self.at(a, [row + i]) for i in range(height)]
        right, first = self.at(c, [])

        def add(k: Index) -> None:
            at = b.i64(k) * b.lanes
            columns = [
                b.load(right, first + at * c[2][0] + (column + j) * c[2][1] * b.lanes, b.f32)
                for j in range(wide)
            ]
            for i, (pointer, start) in enumerate(lefts):
                number = b.load(pointer, start + at * a[2][1], b.f32)
                for j in range(wide):
                    r = sums[i][j]
                    b.set(r, b.fma(number, columns[j], b.get(r)))

        if depth <= 2:
            for k in range(depth):
                add(k)
        else:
            with b.loop("k", 0, depth) as k:
                add(k)
        for i in range(height):
            for j in range(wide):
                where = [row + i, b.i64(column + j)]
                more = [self.fetch(each, where) for each in ins]
                self.put(evaluate(b, expression, [b.get(sums[i][j]), *more]), out, where)

    def do_gather(self, rows: int, words: int, source: int, slot: int, out: Operand) -> None:
        b = self.b
        data, indices = self.spaces[f"data{source}"], self.spaces["indices"]
        with b.loop("row", 0, rows) as row:
            line = b.load(indices, row + slot, I64) * words
            with b.loop("word", 0, words) as word:
                value = b.broadcast(b.load(data, line + word, F32), b.lanes)
                self.put(value, out, [row, word])

    def do_log(self, number: int, operand: Operand) -> None:
        self.b.store(self.fetch(operand, []), self.spaces["log"], number * self.b.lanes)


def _bands(m: int, most: int) -> list[tuple[int, int, int]]:
    """Rows [start, stop) in tiles of a height: as even as may be, and what is left."""
    height = -(-m // -(-m // most))
    full = m // height * height
    found = [(0, full, height)]
    return found if full == m else [*found, (full, m, m - full)]
