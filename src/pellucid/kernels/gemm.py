"""Matrix products: C = activation(A B + bias + residual).

The blocks of C are shared out to the threads. In a block, k is cut into pieces whose panel of B
(`kc` x NR) stays in the L1 cache while the rows of A, `mc` x `kc` in L2, pass by (Goto and van de
Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008). B is packed into panels
[n / NR][k][NR] (`pack_b`), or read where it lies if its columns are next to each other and it is
not used often enough to be worth packing.
"""

from __future__ import annotations

from pellucid.kernels.activations import ACTIVATIONS
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.builder import Builder, Operand
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.tile import (
    Grid,
    Panel,
    column_masks,
    keep,
    multiply,
    row_tiles,
    store_tile,
    width,
)


@kernel(
    "a: ptr, b: ptr, c: ptr, bias: ptr, residual: ptr, m: i64, n: i64, k: i64, lda: i64, ak: i64, "
    "ldb: i64, ldc: i64, ldr: i64, batch: i64, a_step: i64, b_step: i64, c_step: i64, "
    "mc: i64, nc: i64, kc: i64"
)
def gemm(
    b: KernelBuilder, *, packed: bool = True, unit: bool = True, bias: bool = False,
    residual: bool = False, activation: str = "",
) -> None:  # fmt: skip
    """`batch` products of A (m, k), elements lda and ak apart, with B (k, n), packed or with rows
    ldb apart, into C (m, n), rows ldc apart. With `unit`, ak is 1. `nc` counts panels of a block.
    """
    b.begin()
    arg, nr = b.arg, width(b.target)
    panels = b.ceil_div(arg.n, nr)
    across, down = b.ceil_div(panels, arg.nc), b.ceil_div(arg.m, arg.mc)
    start, stop = b.share(arg.batch * across * down)
    with b.loop("block", start, stop) as block:
        item, rest = block // (across * down), block % (across * down)
        column, row = rest // down, rest % down
        first, last = column * arg.nc, b.minimum((column + 1) * arg.nc, panels)
        top, bottom = row * arg.mc, b.minimum((row + 1) * arg.mc, arg.m)
        a_item = b.offset(arg.a, item * arg.a_step)
        b_item, c_item = b.offset(arg.b, item * arg.b_step), b.offset(arg.c, item * arg.c_step)
        with b.loop("k0_", 0, arg.k, arg.kc) as k0:
            depth = b.minimum(arg.kc, arg.k - k0)
            ends = (b.binary("eq", k0, 0), b.binary("ge", k0 + arg.kc, arg.k))
            with b.loop("panel", first, last) as panel:
                left = arg.n - panel * nr
                if packed:
                    source = Panel(b.offset(b_item, (panel * arg.k + k0) * nr), nr)
                else:
                    source = Panel(b.offset(b_item, k0 * arg.ldb + panel * nr), arg.ldb)
                _rows(b, a_item, source, c_item, (top, bottom), panel * nr, k0, depth, left, ends,
                      packed, unit, bias, residual, activation)  # fmt: skip


def _rows(
    b: KernelBuilder, a: Value, panel: Panel, c: Value, rows: tuple[Value, Value], column: Value,
    k0: Value, depth: Value, left: Value, ends: tuple[Value, Value], packed: bool, unit: bool,
    bias: bool, residual: bool, activation: str,
) -> None:  # fmt: skip
    """All row tiles of one panel."""
    arg, vectors = b.arg, b.target.vectors
    whole = left >= width(b.target)
    step: Operand = 1 if unit else arg.ak

    def tiles(masks: list[Value] | None) -> None:
        source = Panel(panel.pointer, panel.stride, None if packed else masks)
        for height, row in row_tiles(b, *rows):
            start = b.offset(a, row * arg.lda + k0 * step)

            def number(i: int, k: Value, start: Value = start) -> Value:
                return b.broadcast(b.load(start, k * step + arg.lda * i, F32), b.lanes)

            sums = multiply(b, height, vectors, number, source, depth)
            out = b.offset(c, row * arg.ldc + column)
            finish(b, sums, out, arg.ldc, ends, masks, _extras(b, row, column, bias, residual),
                   activation)  # fmt: skip

    with b.when(whole):
        tiles(None)
    with b.otherwise():
        tiles(column_masks(b, left, vectors))


def _extras(
    b: KernelBuilder, row: Value, column: Value, bias: bool, residual: bool
) -> tuple[Value | None, tuple[Value, Operand] | None]:
    """Where a tile's bias and residual lie."""
    where = b.offset(b.arg.residual, row * b.arg.ldr + column)
    return (
        b.offset(b.arg.bias, column) if bias else None,
        (where, b.arg.ldr) if residual else None,
    )


def finish(
    b: Builder, sums: Grid, out: Value, stride: Operand, ends: tuple[Value, Value],
    masks: list[Value] | None, extras: tuple[Value | None, tuple[Value, Operand] | None],
    activation: str,
) -> None:  # fmt: skip
    """Add what earlier pieces of k left in C; after the last piece, bias, residual, activation."""
    first, last = ends
    tile = keep(b, sums)
    where = [j * b.lanes for j in range(len(sums[0]))]
    with b.when(b.select(first, b.constant(0, first.type), b.constant(1, first.type))):
        for i, row in enumerate(tile):
            for j, register in enumerate(row):
                before = b.load(out, b.i64(stride) * i + where[j], b.f32, masks and masks[j])
                b.set(register, b.get(register) + before)
    bias, residual = extras
    if bias is not None or residual is not None or activation:
        with b.when(last):
            added = [
                b.load(bias, at, b.f32, masks and masks[j]) if bias is not None else None
                for j, at in enumerate(where)
            ]
            for i, row in enumerate(tile):
                for j, register in enumerate(row):
                    value = b.get(register)
                    more = added[j]
                    if more is not None:
                        value = value + more
                    if residual is not None:
                        at = b.i64(residual[1]) * i + where[j]
                        value = value + b.load(residual[0], at, b.f32, masks and masks[j])
                    b.set(register, ACTIVATIONS[activation](b, value))
    store_tile(b, [[b.get(r) for r in row] for row in tile], out, stride, masks)


@kernel("b: ptr, out: ptr, k: i64, n: i64, bk: i64, bn: i64, batch: i64, b_step: i64, o_step: i64")
def pack_b(b: KernelBuilder, *, unit: bool = True) -> None:
    """B (k, n), elements bk and bn apart, into panels [n / NR][k][NR]; missing columns are zero.

    With `unit`, bn is 1 and rows are copied by vectors.
    """
    b.begin()
    arg, nr = b.arg, width(b.target)
    panels = b.ceil_div(arg.n, nr)
    start, stop = b.share(arg.batch * panels)
    zero = b.constant(0.0, F32)
    with b.loop("item", start, stop) as item:
        entry, panel = item // panels, item % panels
        source = b.offset(arg.b, entry * arg.b_step + panel * nr * arg.bn)
        target = b.offset(arg.out, entry * arg.o_step + panel * arg.k * nr)
        left = b.minimum(arg.n - panel * nr, nr)
        if unit:
            masks = column_masks(b, left, b.target.vectors)
            with b.loop("k", 0, arg.k) as k:
                for j, mask in enumerate(masks):
                    value = b.load(source, k * arg.bk + j * b.lanes, b.f32, mask)
                    b.store(value, target, k * nr + j * b.lanes)
        else:
            with b.loop("k", 0, arg.k) as k:
                with b.loop("j", 0, left) as j:
                    b.store(b.load(source, k * arg.bk + j * arg.bn, F32), target, k * nr + j)
                with b.loop("j", left, nr) as j:
                    b.store(zero, target, k * nr + j)
