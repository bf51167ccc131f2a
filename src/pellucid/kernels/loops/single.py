"""Many training steps as one function: every operation of a step written out with its sizes.

A program is a tuple of operations on memory whose sizes and places are known, so that a small
network's step has no calls, no packing and no barriers; `lanes.py` writes the same operations for
sixteen models at once. An *operand* is `(space, offset, strides)`: which memory, where in it, and
elements from one index to the next, all in floats. Spaces:

* "memory": parameters, state and intermediate results, kept between steps
* "numbers": what Python computed for each step, one row a step (rates, bias corrections)

Operations, all tuples that begin with their name:

* `("map", sizes, expressions, outputs, inputs)`: elementwise, outputs may be inputs
* `("sum", kept sizes, summed sizes, expression, factor, output, inputs)`: inputs have strides for
  the kept and then the summed dimensions
* `("product", (m, n, k), expression, output, a, b, inputs)`: expression of A B ("in 0") and inputs
  laid out like it; a has strides (m, k), b (k, n)
* `("gather", rows, words, source, output)`: rows of data number `source`, those that this step's
  indices name
* `("cross_entropy", …)`: see `classes.py`
* `("log", operand)`: one number a step
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from pellucid.kernels.kernel import KernelBuilder
from pellucid.kernels.language.builder import Operand as Index
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32, I64
from pellucid.kernels.loops.classes import ClassesOfOne
from pellucid.kernels.pointwise import evaluate
from pellucid.kernels.vectors import transpose

Operand = tuple[str, int, tuple[int, ...]]
Step = tuple[Any, ...]

_UNROLLED = 8
_TILE = {1: 14, 2: 10, 3: 8, 4: 6}
"""Rows of a tile of a product, by its vectors."""
_SHORT = 256
"""Multiply-adds of a tile up to which its sum over k is written out."""


class Emitter(ClassesOfOne):
    """Writes the operations of one step. `spaces` says where each memory begins."""

    def __init__(self, b: KernelBuilder, spaces: dict[str, Value]) -> None:
        self.b = b
        self.spaces = spaces

    @contextmanager
    def nest(self, sizes: Sequence[int]) -> Iterator[list[Value]]:
        """Loops over all but vectors of elements; sizes of 1 take none."""
        with ExitStack() as stack:
            yield [
                stack.enter_context(self.b.loop("i", 0, size)) if size > 1 else self.b.i64(0)
                for size in sizes
            ]

    def start(self, operand: Operand, indices: Sequence[Value]) -> tuple[Value, Value]:
        """The memory of an operand and the index of an element, leading dimensions given."""
        space, offset, strides = operand
        at = self.b.i64(offset)
        for index, stride in zip(indices, strides, strict=False):
            if stride:
                at = at + index * stride
        return self.spaces[space], at

    def read(self, where: tuple[Value, Value], stride: int, at: Index, mask: Value | None) -> Value:
        """A vector of elements, `stride` apart, from element `at` of the last dimension."""
        b = self.b
        pointer, first = where
        if stride == 0:
            return b.broadcast(b.load(pointer, first, F32), b.lanes)
        if stride == 1:
            return b.load(pointer, first + at, b.f32, mask)
        parts = []
        for lane in range(b.lanes):
            place = (b.i64(at) + lane) * stride
            if mask is not None:
                place = b.select(b.extract(mask, lane), place, b.i64(at) * stride)
            parts.append(b.load(pointer, first + place, F32))
        return b.vector(parts)

    def write(
        self, value: Value, where: tuple[Value, Value], stride: int, at: Index, mask: Value | None
    ) -> None:
        """A vector of elements; strides other than 1 go number by number."""
        b = self.b
        pointer, first = where
        if stride == 1:
            b.store(value, pointer, first + at, mask)
            return
        for lane in range(b.lanes):
            if mask is None:
                b.store(b.extract(value, lane), pointer, first + (b.i64(at) + lane) * stride)
                continue
            with b.when(b.extract(mask, lane)):
                b.store(b.extract(value, lane), pointer, first + (b.i64(at) + lane) * stride)

    def along(self, count: int, body: Callable[[Index, Value | None], None]) -> None:
        """`body(at, mask)` for vectors of `count` elements."""
        b = self.b
        whole = count // b.lanes
        if whole <= _UNROLLED:
            for i in range(whole):
                body(b.i64(i * b.lanes), None)
        else:
            with b.loop("v", 0, whole * b.lanes, b.lanes) as at:
                body(at, None)
        if whole * b.lanes < count:
            at = b.i64(whole * b.lanes)
            body(at, b.tail_mask(b.i64(count) - at, b.f32))

    def emit(self, step: Step) -> None:
        """Write one operation."""
        getattr(self, f"do_{step[0]}")(*step[1:])

    def do_map(
        self, sizes: Sequence[int], expressions: Any, outs: Sequence[Operand],
        ins: Sequence[Operand],
    ) -> None:  # fmt: skip
        b = self.b
        *outer, inner = sizes
        with self.nest(outer) as indices:
            sources = [self.start(each, indices) for each in ins]
            targets = [self.start(each, indices) for each in outs]
            held = {i: self.read(sources[i], 0, 0, None)
                    for i, each in enumerate(ins) if each[2][-1] == 0}  # fmt: skip

            def body(at: Index, mask: Value | None) -> None:
                given = [
                    held[i] if i in held else self.read(sources[i], each[2][-1], at, mask)
                    for i, each in enumerate(ins)
                ]
                found = [evaluate(b, each, given) for each in expressions]
                for value, where, out in zip(found, targets, outs, strict=True):
                    self.write(value, where, out[2][-1], at, mask)

            self.along(inner, body)

    def do_sum(
        self, kept: Sequence[int], summed: Sequence[int], expression: Any, factor: float,
        out: Operand, ins: Sequence[Operand],
    ) -> None:  # fmt: skip
        along_kept = bool(kept) and kept[-1] > 1 and all(
            each[2][len(kept) - 1] in (0, 1) for each in ins
        )  # fmt: skip
        if along_kept:
            self._sum_across(kept, summed, expression, factor, out, ins)
        else:
            self._sum_along(kept, summed, expression, factor, out, ins)

    def _sum_across(
        self, kept: Sequence[int], summed: Sequence[int], expression: Any, factor: float,
        out: Operand, ins: Sequence[Operand],
    ) -> None:  # fmt: skip
        """Vectors of the kept dimension, summed lane by lane, in four partial sums."""
        b = self.b
        *outer, inner = kept
        depth = len(kept) - 1
        *more, last = summed
        parts = 4 if last % 4 == 0 else 2 if last % 2 == 0 else 1
        zero = b.broadcast(b.constant(0.0, F32), b.lanes)
        with self.nest(outer) as indices:

            def body(at: Index, mask: Value | None) -> None:
                sums = [b.register(zero, "sum") for _ in range(parts)]
                with self.nest(more) as deeper, b.loop("r", 0, last, parts) as r:
                    for part, total in enumerate(sums):
                        given = []
                        for each in ins:
                            where = self.start(each, [*indices, b.i64(0), *deeper, r + part])
                            given.append(self.read(where, each[2][depth], at, mask))
                        b.set(total, b.get(total) + evaluate(b, expression, given))
                found = self._joined([b.get(each) for each in sums])
                where = self.start(out, indices)
                self.write(found * factor if factor != 1 else found, where, out[2][depth], at, mask)

            self.along(inner, body)

    def _joined(self, parts: list[Value]) -> Value:
        while len(parts) > 1:
            half = len(parts) // 2
            rest = parts[2 * half :]
            parts = [parts[i] + parts[i + half] for i in range(half)] + rest
        return parts[0]

    def _sum_along(
        self, kept: Sequence[int], summed: Sequence[int], expression: Any, factor: float,
        out: Operand, ins: Sequence[Operand],
    ) -> None:  # fmt: skip
        """Vectors of the summed dimension, whose lanes are added last; as many kept elements as
        there are lanes at a time, where there are so many.
        """
        b = self.b
        lanes = b.lanes
        zero = b.broadcast(b.constant(0.0, F32), lanes)

        def total(indices: Sequence[Value]) -> Value:
            *more, last = summed
            register = b.register(zero, "sum")
            with self.nest(more) as deeper:
                where = [self.start(each, [*indices, *deeper]) for each in ins]

                def body(at: Index, mask: Value | None) -> None:
                    given = [self.read(w, each[2][-1], at, mask)
                             for w, each in zip(where, ins, strict=True)]  # fmt: skip
                    value = evaluate(b, expression, given)
                    if mask is not None:
                        value = b.select(mask, value, zero)
                    b.set(register, b.get(register) + value)

                self.along(last, body)
            return b.get(register)

        rows = kept[-1] if kept else 1
        flat = not kept or (len(kept) == 1 and out[2][-1] == 1)
        if kept and flat and lanes > 1 and rows % lanes == 0 and math.prod(summed) <= 4 * lanes:
            with b.loop("row", 0, rows, lanes) as row:
                found = self._lane_sums([total([row + i]) for i in range(lanes)])
                pointer, first = self.start(out, [])
                b.store(found * factor if factor != 1 else found, pointer, first + row)
            return
        with self.nest(kept) as indices:
            pointer, first = self.start(out, indices)
            b.store(b.reduce("add", total(indices)) * factor, pointer, first)

    def _lane_sums(self, rows: list[Value]) -> Value:
        """A vector whose lane i is the sum of the lanes of rows[i]: halves are added pairwise."""
        b, lanes = self.b, len(rows)
        step = 1
        while len(rows) > 1:
            low = [lane if not lane & step else lanes + lane - step for lane in range(lanes)]
            high = [lane + step if not lane & step else lanes + lane for lane in range(lanes)]
            rows = [
                b.shuffle(rows[i], rows[i + 1], low) + b.shuffle(rows[i], rows[i + 1], high)
                for i in range(0, len(rows), 2)
            ]
            step *= 2
        return rows[0]

    def do_product(
        self, sizes: tuple[int, int, int], expression: Any, out: Operand, a: Operand, c: Operand,
        ins: Sequence[Operand],
    ) -> None:  # fmt: skip
        """Tiles of rows and vectors of columns stay in registers over the whole sum."""
        m, n, _ = sizes
        lanes = self.b.lanes
        vectors = -(-n // lanes)
        column = 0
        while column < vectors:
            wide = min(2 if vectors - column != 3 else 3, vectors - column)
            left = n - column * lanes
            height = _even(m, _TILE[wide])
            full = m // height * height
            if full == height:
                self._tile(self.b.i64(0), height, column, wide, left, sizes, expression, out, a, c,
                           ins)  # fmt: skip
            else:
                with self.b.loop("row", 0, full, height) as row:
                    self._tile(row, height, column, wide, left, sizes, expression, out, a, c, ins)
            if full < m:
                self._tile(self.b.i64(full), m - full, column, wide, left, sizes, expression, out,
                           a, c, ins)  # fmt: skip
            column += wide

    def _tile(
        self, row: Value, height: int, column: int, wide: int, left: int,
        sizes: tuple[int, int, int], expression: Any, out: Operand, a: Operand, c: Operand,
        ins: Sequence[Operand],
    ) -> None:  # fmt: skip
        b, lanes, depth = self.b, self.b.lanes, sizes[2]
        zero = b.broadcast(b.constant(0.0, F32), lanes)
        parts = max(1, min(4 // (height * wide), depth))
        while depth % parts:
            parts -= 1
        masks = [
            None if left >= (j + 1) * lanes
            else b.tail_mask(b.i64(left - j * lanes), b.f32)
            for j in range(wide)
        ]  # fmt: skip
        sums = [[[b.register(zero, "acc") for _ in range(wide)] for _ in range(height)]
                for _ in range(parts)]  # fmt: skip
        first = self.start(a, [row])
        panel = self.start(c, [])

        def add(k: Index) -> None:
            for part in range(parts):
                at = b.i64(k) + part
                columns = [
                    b.load(panel[0], panel[1] + at * c[2][0] + (column + j) * lanes, b.f32,
                           masks[j])
                    for j in range(wide)
                ]  # fmt: skip
                for i in range(height):
                    place = first[1] + at * a[2][1] + i * a[2][0]
                    number = b.broadcast(b.load(first[0], place, F32), lanes)
                    for j in range(wide):
                        r = sums[part][i][j]
                        b.set(r, b.fma(number, columns[j], b.get(r)))

        if depth * height * wide <= _SHORT:
            for k in range(0, depth, parts):
                add(k)
        else:
            unroll = parts * (2 if depth % (2 * parts) == 0 else 1)
            with b.loop("k", 0, depth, unroll) as k:
                for u in range(0, unroll, parts):
                    add(k + u)
        for i in range(height):
            where = [self.start(each, [row + i]) for each in ins]
            target = self.start(out, [row + i])
            for j in range(wide):
                value = self._joined([b.get(sums[p][i][j]) for p in range(parts)])
                at = b.i64((column + j) * lanes)
                more = [self.read(w, each[2][1], at, masks[j])
                        for w, each in zip(where, ins, strict=True)]  # fmt: skip
                self.write(evaluate(b, expression, [value, *more]), target, out[2][1], at, masks[j])

    def do_transpose(self, rows: int, columns: int, out: Operand, source: Operand) -> None:
        """out (columns, rows), its rows padded to whole vectors, from source (rows, columns) with
        neighbouring columns.
        """
        b, lanes = self.b, self.b.lanes
        for j in range(0, columns, lanes):
            width = min(lanes, columns - j)
            mask = None if width == lanes else b.tail_mask(b.i64(width), b.f32)
            for i in range(0, rows, lanes):
                zero = b.broadcast(b.constant(0.0, F32), lanes)
                pointer, first = self.start(source, [])
                block = [
                    b.load(pointer, first + ((i + r) * source[2][0] + j), b.f32, mask)
                    if i + r < rows else zero
                    for r in range(lanes)
                ]  # fmt: skip
                target, start = self.start(out, [])
                for r, row in enumerate(transpose(b, block)[:width]):
                    b.store(row, target, start + ((j + r) * out[2][0] + i))

    def do_gather(self, rows: int, words: int, source: int, slot: int, out: Operand) -> None:
        """Rows of data by this step's indices."""
        b = self.b
        data, indices = self.spaces[f"data{source}"], self.spaces["indices"]
        with b.loop("row", 0, rows) as row:
            line = b.offset(data, b.load(indices, row + slot, I64) * words)
            pointer, first = self.start(out, [row])
            if words % b.lanes and words < b.lanes:
                mask = b.tail_mask(b.i64(words), b.f32)
                b.store(b.load(line, 0, b.f32, mask), pointer, first, mask)
                return
            self.along(words, lambda at, mask: b.store(b.load(line, at, b.f32, mask), pointer,
                                                       first + at, mask))  # fmt: skip

    def do_log(self, number: int, operand: Operand) -> None:
        """Remember a number of this step."""
        pointer, first = self.start(operand, [])
        self.b.store(self.b.load(pointer, first, F32), self.spaces["log"], number)


def _even(m: int, most: int) -> int:
    """Rows of a tile: as even a split of m as fits."""
    return -(-m // -(-m // most))
