"""The gradient of a 3x3 convolution for its weights, by Winograd's way.

Y = A^T [(G g G^T) * (B^T d B)] A is linear in g, so that dg = G^T [sum over tiles of
(B^T d B) (A dY A^T)^T] G: for each of the (m + 2)^2 places of a tile one matrix product over the
tiles, which multiplies as many times less as the forward way does. The columns of the result are
shared out to the threads, so that the sums are the same however many there are.
"""

from __future__ import annotations

from typing import Any

from pellucid.kernels.gemm import Product, product_rows
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.tile import Panel, width
from pellucid.kernels.vectors import over_vectors
from pellucid.kernels.winograd import Stages, apply, matrices

ROWS = 28
"""Output channels of a unit."""


@kernel(
    "x: ptr, grad: ptr, out: ptr, v: ptr, d: ptr, room: ptr, images: i64, h: i64, w: i64, c: i64, "
    "k: i64, oh: i64, ow: i64, ph: i64, pw: i64, chunk: i64, v_row: i64, d_row: i64"
)
def winograd_weights(b: KernelBuilder, *, m: int) -> None:
    """x (N, H, W, C) and grad (N, OH, OW, K) into out (K, 3, 3, C).

    `chunk` tiles at a time are transformed into `v` and `d`, (m + 2)^2 matrices (chunk, v_row) and
    (chunk, d_row), with room for whole panels. Each thread has (m + 2)^2 ROWS NR floats of `room`.
    """
    b.begin()
    arg, nr, places = b.arg, width(b.target), (m + 2) ** 2
    down, across = b.ceil_div(arg.oh, m), b.ceil_div(arg.ow, m)
    stages = _Stages(b, m, down, across)
    tiles = arg.images * down * across
    panels, blocks = b.ceil_div(arg.c, nr), b.ceil_div(arg.k, ROWS)
    room = b.offset(arg.room, b.thread * (places * ROWS * nr))
    with b.loop("first", 0, tiles, arg.chunk) as first:
        count = b.minimum(arg.chunk, tiles - first)
        with b.units(count) as tile:
            stages.input(first + tile, tile, arg.v)
            stages.gradient(first + tile, tile)
        b.barrier()
        with b.units(panels * blocks) as unit:
            panel, begin = unit // blocks, unit % blocks * ROWS
            rows = b.minimum(arg.k - begin, ROWS)
            with b.loop("place", 0, places) as place:
                product = Product(
                    b.offset(arg.d, place * arg.chunk * arg.d_row + begin), 1, arg.d_row,
                    b.offset(room, place * (ROWS * nr)), nr,
                )  # fmt: skip
                source = Panel(b.offset(arg.v, place * arg.chunk * arg.v_row + panel * nr),
                               arg.v_row)  # fmt: skip
                product_rows(b, product, source, (0, rows), 0, None, count)
            columns = b.minimum(arg.c - panel * nr, nr)
            with b.loop("row", 0, rows) as row:
                stages.finish(b.offset(room, row * nr), (begin + row) * 9 * arg.c + panel * nr,
                              columns, b.binary("eq", first, 0))  # fmt: skip
        b.barrier()


class _Stages(Stages):
    """The transforms of images and gradients, and back to weights."""

    def __init__(self, b: KernelBuilder, m: int, down: Value, across: Value) -> None:
        super().__init__(b, m, down, across, (False, False, ""))
        _, g, a = matrices(m)
        self.spread = [list(column) for column in zip(*a, strict=True)]
        self.gather = g.T.tolist()

    def gradient(self, tile: Value, slot: Value) -> None:
        """A dY A^T of one tile, all channels, to row `slot` of each place's matrix; pixels beyond
        the image count as zero.
        """
        b, arg, size, m = self.b, self.b.arg, self.size, self.m
        image, y, x = self._place(tile)
        inside = b.both(y + m <= arg.oh, x + m <= arg.ow)
        pixel = ((image * arg.oh + y) * arg.ow + x) * arg.k
        place = arg.chunk * arg.d_row
        target = b.offset(arg.d, slot * arg.d_row)

        def transform(at: Value, load: Any) -> None:
            with b.loop("j", 0, m) as j:
                found = apply(b, self.spread, [load(i, j) for i in range(m)])
                for i, value in enumerate(found):
                    b.store(value, self.scratch, (i * size + j) * b.lanes)
            with b.loop("i", 0, size) as i:
                line = [b.load(self.scratch, (i * size + j) * b.lanes, b.f32) for j in range(m)]
                for j, value in enumerate(apply(b, self.spread, line)):
                    b.store(value, target, (i * size + j) * place + at)

        def whole(at: Value, mask: Value | None) -> None:
            def load(i: int, j: Value) -> Value:
                where = pixel + (arg.ow * i + j) * arg.k + at
                return b.load(arg.grad, where, b.f32, mask)

            transform(at, load)

        def border(at: Value, mask: Value | None) -> None:
            zero = b.broadcast(b.constant(0.0, F32), b.lanes)

            def load(i: int, j: Value) -> Value:
                ok = b.both(y + i < arg.oh, x + j < arg.ow)
                where = b.select(ok, pixel + (arg.ow * i + j) * arg.k + at, at)
                return b.select(ok, b.load(arg.grad, where, b.f32, mask), zero)

            transform(at, load)

        with b.when(inside):
            over_vectors(b, arg.k, whole)
        with b.otherwise():
            over_vectors(b, arg.k, border)

    def finish(self, source: Value, start: Value, columns: Value, first: Value) -> None:
        """G^T dU G of one output channel and a panel of input channels, added to what is there
        unless it is the first.
        """
        b, size, nr = self.b, self.size, width(self.b.target)
        step = ROWS * nr

        def vector(at: Value, mask: Value | None) -> None:
            with b.loop("j", 0, size) as j:
                line = [b.load(source, (j + size * i) * step + at, b.f32) for i in range(size)]
                for i, value in enumerate(apply(b, self.gather, line)):
                    b.store(value, self.scratch, (j + size * i) * b.lanes)
            with b.loop("i", 0, 3) as i:
                line = [b.load(self.scratch, (i * size + j) * b.lanes, b.f32) for j in range(size)]
                for j, value in enumerate(apply(b, self.gather, line)):
                    where = start + (i * 3 + j) * b.arg.c + at
                    with b.when(first):
                        b.store(value, b.arg.out, where, mask)
                    with b.otherwise():
                        before = b.load(b.arg.out, where, b.f32, mask)
                        b.store(before + value, b.arg.out, where, mask)

        over_vectors(b, columns, vector)
