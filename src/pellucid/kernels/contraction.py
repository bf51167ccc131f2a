"""What contractions need beside `gemm`: operands packed from wherever they lie, and dots of rows.

The letters of an operand fall into a batch, rows and columns. Where an element lies is the sum of
an offset for each of the three (Matthews, "High-Performance Tensor Contraction without
Transposition", 2016: block-scatter matrices), so that any order of any number of letters is packed
in one pass, and no permuted copy is made.
"""

from __future__ import annotations

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32, I32, I64
from pellucid.kernels.vectors import transpose

ROWS = 64
"""Rows that are packed as one unit."""


@kernel(
    "source: ptr, out: ptr, batch_at: ptr, row_at: ptr, column_at: ptr, row_runs: ptr, "
    "column_runs: ptr, batch: i64, rows: i64, columns: i64, wide: i64, step: i64"
)
def pack_scattered(b: KernelBuilder) -> None:
    """Matrices (rows, columns) into panels [columns / wide][rows][wide], `step` floats a matrix.

    Element (i, j) of matrix e is source[batch_at[e] + row_at[i] + column_at[j]] (i64); the columns
    that the last panel lacks are zero. `row_runs` and `column_runs` say of each whole vector of
    rows or columns how many come before its second run of neighbours: all, if it is one run; 0, if
    there are more than two. `wide` is whole vectors.
    """
    b.begin()
    arg, lanes = b.arg, b.lanes
    panels, parts = b.ceil_div(arg.columns, arg.wide), b.ceil_div(arg.rows, ROWS)
    with b.units(arg.batch * panels * parts) as unit:
        entry, rest = unit // (panels * parts), unit % (panels * parts)
        panel, first = rest // parts, rest % parts * ROWS
        last = b.minimum(first + ROWS, arg.rows)
        source = b.offset(arg.source, b.load(arg.batch_at, entry, I64))
        target = b.offset(arg.out, entry * arg.step + panel * arg.rows * arg.wide)
        with b.loop("v", 0, arg.wide, lanes) as v:
            column = panel * arg.wide + v
            place = b.offset(target, v)
            with b.when(column + lanes <= arg.columns):
                _whole_vector(b, source, place, column, first, last)
            with b.otherwise():
                _by_numbers(b, source, place, column, first, last)


def _whole_vector(
    b: KernelBuilder, source: Value, place: Value, column: Value, first: Value, last: Value
) -> None:
    """One vector of columns: as they lie, if they are one run or two."""
    arg, lanes = b.arg, b.lanes
    run = b.load(arg.column_runs, column // lanes, I64)
    line = b.offset(source, b.load(arg.column_at, column, I64))
    with b.when(b.binary("eq", run, lanes)), b.loop("i", first, last) as i:
        b.store(b.load(line, b.load(arg.row_at, i, I64), b.f32), place, i * arg.wide)
    with b.otherwise():
        with b.when(run > 0):
            head = b.tail_mask(run, b.f32)
            tail = b.binary("ge", b.iota(b.i32), b.convert(run, I32)) if lanes > 1 else head
            other = b.offset(source, b.load(arg.column_at, column + run, I64) - run)
            with b.loop("i", first, last) as i:
                row = b.load(arg.row_at, i, I64)
                value = b.load(line, row, b.f32, head) + b.load(other, row, b.f32, tail)
                b.store(value, place, i * arg.wide)
        with b.otherwise():
            _by_blocks(b, source, place, column, first, last)


def _by_blocks(
    b: KernelBuilder, source: Value, place: Value, column: Value, first: Value, last: Value
) -> None:
    """One vector of columns: blocks whose rows lie next to each other are transposed."""
    arg, lanes = b.arg, b.lanes
    with b.loop("i", first, last, lanes) as i:
        whole = i + lanes <= last
        run = b.load(arg.row_runs, i // lanes, I64)
        with b.when(b.both(whole, b.binary("eq", run, lanes))):
            line = b.offset(source, b.load(arg.row_at, i, I64))
            block = [b.load(line, b.load(arg.column_at, column + r, I64), b.f32)
                     for r in range(lanes)]  # fmt: skip
            for r, row in enumerate(transpose(b, block)):
                b.store(row, place, (i + r) * arg.wide)
        with b.otherwise():
            _by_numbers(b, source, place, column, i, b.minimum(i + lanes, last))


def _by_numbers(
    b: KernelBuilder, source: Value, place: Value, column: Value, first: Value, last: Value
) -> None:
    """One vector of columns, number by number; zeros where there is no column."""
    arg, zero = b.arg, b.constant(0.0, F32)
    left = b.maximum(b.minimum(arg.columns - column, b.lanes), 0)
    with b.loop("i", first, last) as i:
        line = b.offset(source, b.load(arg.row_at, i, I64))
        with b.loop("j", 0, left) as j:
            value = b.load(line, b.load(arg.column_at, column + j, I64), F32)
            b.store(value, place, i * arg.wide + j)
        with b.loop("j", left, b.lanes) as j:
            b.store(zero, place, i * arg.wide + j)


@kernel("x: ptr, y: ptr, out: ptr, x_at: ptr, y_at: ptr, rows: i64, k: i64")
def dot_rows(b: KernelBuilder) -> None:
    """out[i] = the sum over k of x[x_at[i] + k] y[y_at[i] + k], in one pass over both."""
    b.begin()
    arg, side = b.arg, 4
    zero = b.broadcast(b.constant(0.0, F32), b.lanes)
    with b.units(b.ceil_div(arg.rows, ROWS)) as unit:
        last = b.minimum((unit + 1) * ROWS, arg.rows)
        with b.loop("row", unit * ROWS, last) as row:
            x = b.offset(arg.x, b.load(arg.x_at, row, I64))
            y = b.offset(arg.y, b.load(arg.y_at, row, I64))
            sums = [b.register(zero, "sum") for _ in range(side)]
            whole = arg.k // (side * b.lanes) * (side * b.lanes)
            with b.loop("k", 0, whole, side * b.lanes) as k:
                for i, total in enumerate(sums):
                    left, right = (b.load(p, k + i * b.lanes, b.f32) for p in (x, y))
                    b.set(total, b.fma(left, right, b.get(total)))
            with b.loop("k", whole, arg.k, b.lanes) as k:
                mask = b.tail_mask(arg.k - k, b.f32)
                left, right = (b.load(p, k, b.f32, mask) for p in (x, y))
                b.set(sums[0], b.fma(left, right, b.get(sums[0])))
            pairs = [b.get(sums[i]) + b.get(sums[i + 2]) for i in range(2)]
            b.store(b.reduce("add", pairs[0] + pairs[1]), arg.out, row)
