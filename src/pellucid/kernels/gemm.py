"""Matrix products: C = activation(A B + bias + residual).

The blocks of C are shared out to the threads. In a block, k is cut into pieces whose panel of B
(`kc` x NR) stays in the L1 cache while the rows of A, `mc` x `kc` in L2, pass by (Goto and van de
Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008). B is packed into panels
[n / NR][k][NR] (`pack_b`), or read where it lies if its columns are next to each other and it is
not used often enough to be worth packing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    put,
    row_tiles,
    store_tile,
    values_of,
    width,
)


@dataclass
class Product:
    """What the rows of a product need: where A and C begin, how far apart rows and k lie, and what
    is done with a finished tile.
    """

    a: Value
    a_row: Operand
    a_k: Operand
    c: Value
    c_row: Operand
    bias: Value | None = None
    residual: Value | None = None
    residual_row: Operand = 0
    activation: str = ""


def product_rows(
    b: Builder, product: Product, panel: Panel, rows: tuple[Operand, Operand], column: Operand,
    left: Value | None, depth: Operand, k0: Operand = 0, ends: tuple[Value, Value] | None = None,
) -> None:  # fmt: skip
    """All row tiles of one panel, of which `left` columns exist (None: all, or C has room for
    them), for k from `k0` over `depth`.

    `ends` says whether this is the first and the last piece of k; None if it is the only one.
    """
    packed = panel.masks is None

    def tiles(masks: list[Value] | None) -> None:
        source = Panel(panel.pointer, panel.stride, None if packed else masks)
        for height, row in row_tiles(b, *rows):
            start = b.offset(product.a, row * product.a_row + b.i64(k0) * product.a_k)

            def number(i: int, k: Value, start: Value = start) -> Value:
                at = k * product.a_k + b.i64(product.a_row) * i
                return b.broadcast(b.load(start, at, F32), b.lanes)

            sums = multiply(b, height, b.target.vectors, number, source, depth)
            finish(b, sums, product, row, column, ends, masks)

    if left is None:
        tiles(None)
        return
    with b.when(left >= width(b.target)):
        tiles(None)
    with b.otherwise():
        tiles(column_masks(b, left, b.target.vectors))


def finish(
    b: Builder, sums: Grid, product: Product, row: Value, column: Operand,
    ends: tuple[Value, Value] | None, masks: list[Value] | None,
) -> None:  # fmt: skip
    """Add what earlier pieces of k left in C; after the last piece, bias, residual, activation."""
    where = [j * b.lanes for j in range(len(sums[0]))]
    out = b.offset(product.c, row * product.c_row + column)

    def each(pointer: Value, stride: Operand, rows: int = len(sums)) -> Grid:
        return [
            [b.load(pointer, b.i64(stride) * i + at, b.f32, masks[j] if masks else None)
             for j, at in enumerate(where)]
            for i in range(rows)
        ]  # fmt: skip

    def ended(values: Grid) -> Grid:
        if product.bias is not None:
            bias = b.offset(product.bias, column)
            added = each(bias, 0, 1)[0]
            values = [[v + more for v, more in zip(line, added, strict=True)] for line in values]
        if product.residual is not None:
            place = b.offset(product.residual, row * product.residual_row + column)
            values = _add(values, each(place, product.residual_row))
        change = ACTIVATIONS[product.activation]
        return [[change(b, v) for v in line] for line in values]

    if ends is None:
        store_tile(b, ended(sums), out, product.c_row, masks)
        return
    first, last = ends
    tile = keep(b, sums)
    with b.when(b.binary("eq", first, 0)):
        put(b, tile, _add(values_of(b, tile), each(out, product.c_row)))
    with b.when(last):
        put(b, tile, ended(values_of(b, tile)))
    store_tile(b, values_of(b, tile), out, product.c_row, masks)


def by_pieces(
    b: Builder, k: Value, kc: Value, cut: bool,
    piece: Callable[[Value, Value, tuple[Value, Value] | None], None],
) -> None:  # fmt: skip
    """Call `piece(k0, depth, ends)` once for all of k, or with `cut` for `kc` of it at a time."""
    if not cut:
        piece(b.i64(0), k, None)
        return
    with b.loop("k0_", 0, k, kc) as k0:
        ends = (b.binary("eq", k0, 0), b.binary("ge", k0 + kc, k))
        piece(k0, b.minimum(kc, k - k0), ends)


def _add(left: Grid, right: Grid) -> Grid:
    return [[x + y for x, y in zip(*pair, strict=True)] for pair in zip(left, right, strict=True)]


@kernel(
    "a: ptr, b: ptr, c: ptr, bias: ptr, residual: ptr, m: i64, n: i64, k: i64, lda: i64, ak: i64, "
    "ldb: i64, ldc: i64, ldr: i64, batch: i64, a_step: i64, b_step: i64, c_step: i64, "
    "mc: i64, nc: i64, kc: i64"
)
def gemm(
    b: KernelBuilder, *, packed: bool = True, unit: bool = True, bias: bool = False,
    residual: bool = False, activation: str = "", cut: bool = False,
) -> None:  # fmt: skip
    """`batch` products of A (m, k), elements lda and ak apart, with B (k, n), packed or with rows
    ldb apart, into C (m, n), rows ldc apart. With `unit`, ak is 1. A block is `mc` rows by `nc`
    panels; with `cut` it is finished for `kc` of k at a time, else for all of k at once.
    """
    b.begin()
    arg, nr = b.arg, width(b.target)
    panels = b.ceil_div(arg.n, nr)
    across, down = b.ceil_div(panels, arg.nc), b.ceil_div(arg.m, arg.mc)
    with b.units(arg.batch * across * down) as block:
        item, rest = block // (across * down), block % (across * down)
        column, row = rest // down, rest % down
        first, last = column * arg.nc, b.minimum((column + 1) * arg.nc, panels)
        rows = row * arg.mc, b.minimum((row + 1) * arg.mc, arg.m)
        b_item = b.offset(arg.b, item * arg.b_step)
        product = Product(
            b.offset(arg.a, item * arg.a_step), arg.lda, 1 if unit else arg.ak,
            b.offset(arg.c, item * arg.c_step), arg.ldc, arg.bias if bias else None,
            arg.residual if residual else None, arg.ldr, activation,
        )  # fmt: skip

        def piece(k0: Value, depth: Value, ends: tuple[Value, Value] | None) -> None:
            with b.loop("panel", first, last) as panel:
                if packed:
                    source = Panel(b.offset(b_item, (panel * arg.k + k0) * nr), nr)
                else:
                    source = Panel(b.offset(b_item, k0 * arg.ldb + panel * nr), arg.ldb, [])
                product_rows(b, product, source, rows, panel * nr, arg.n - panel * nr, depth, k0,
                             ends)  # fmt: skip

        by_pieces(b, arg.k, arg.kc, cut, piece)


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
