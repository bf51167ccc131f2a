"""Convolution 3x3, stride 1, by Winograd's minimal filtering F(m x m, 3 x 3).

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), equation 10:
Y = A^T [(G g G^T) * (B^T d B)] A for tiles of (m + 2)^2 inputs and m^2 outputs. The products over
channels are one matrix product for each of the (m + 2)^2 places of a tile. F(4, 3) multiplies 4
times less than the direct way, F(2, 3) 2.25 times.

F(4, 3) interpolates at 0, ±sqrt(1/2), ±sqrt(2): three times the rounding error of the direct way,
a third of what the textbook's points 0, ±1, ±2 have.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from pellucid.kernels.activations import ACTIVATIONS
from pellucid.kernels.gemm import Product, product_rows
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.builder import Builder
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.tile import Panel, width
from pellucid.kernels.vectors import over_vectors

Matrix = list[list[float]]
POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))}
"""Where the polynomials are evaluated, besides infinity."""


@cache
def matrices(m: int) -> tuple[Matrix, np.ndarray, Matrix]:
    """B^T, G and A^T of F(m, 3) by Toom and Cook's construction."""
    points = POINTS[m]
    size = m + 2
    full = np.poly1d([1.0])
    for p in points:
        full = full * np.poly1d([1.0, -p])
    b = np.zeros((size, size))
    g = np.zeros((size, 3))
    for row, p in enumerate(points):
        others = np.poly1d([1.0])
        norm = 1.0
        for q in points:
            if q != p:
                others, norm = others * np.poly1d([1.0, -q]), norm * (p - q)
        b[row, : size - 1] = others.coeffs[::-1]
        g[row] = np.array([1.0, p, p * p]) / norm
    b[-1] = full.coeffs[::-1]
    g[-1] = [0.0, 0.0, 1.0]
    a = np.array([[p**row for p in points] + [float(row == m - 1)] for row in range(m)])
    clean: Any = lambda x: np.where(abs(x) < 1e-12, 0.0, x)
    return clean(b).tolist(), clean(g), clean(a).tolist()


def transformed_weights(weight: np.ndarray, m: int) -> np.ndarray:
    """G g G^T of weights (K, C, 3, 3) as (place, C, K), computed in float64."""
    _, g, _ = matrices(m)
    both = np.kron(g, g)
    flat = weight.transpose(2, 3, 1, 0).reshape(9, -1).astype(np.float64)
    found = (both @ flat).astype(np.float32)
    return found.reshape(len(both), weight.shape[1], weight.shape[0])


def apply(b: Builder, matrix: Matrix, values: list[Value]) -> list[Value]:
    """matrix @ values, with the sums that two rows or columns share computed once.

    Points come in pairs ±p: rows i and i + 1 of B^T have equal even and opposite odd entries, and
    so have columns of A^T by row.
    """
    rows, size = len(matrix), len(values)
    if rows < size:
        return _by_columns(b, matrix, values)
    found: list[Value] = []
    row = 0
    while row < rows:
        line = matrix[row]
        pair = row + 1 < rows and _mirrored(line, matrix[row + 1])
        if pair:
            same = _sum(b, [(x, v) for x, v, y in zip(line, values, matrix[row + 1], strict=True)
                            if x == y])  # fmt: skip
            other = _sum(b, [(x, v) for x, v, y in zip(line, values, matrix[row + 1], strict=True)
                             if x != y])  # fmt: skip
            found += [same + other, same - other]
            row += 2
        else:
            found.append(_sum(b, list(zip(line, values, strict=True))))
            row += 1
    return found


def _mirrored(one: list[float], two: list[float]) -> bool:
    """Whether two rows differ in sign alone, and in some entries only."""
    signs = {x == y for x, y in zip(one, two, strict=True) if x or y}
    return signs == {True, False} and all(abs(x) == abs(y) for x, y in zip(one, two, strict=True))


def _by_columns(b: Builder, matrix: Matrix, values: list[Value]) -> list[Value]:
    columns = [list(column) for column in zip(*matrix, strict=True)]
    sums: dict[int, tuple[Value, Value]] = {}
    for i in range(len(columns) - 1):
        if i - 1 not in sums and _mirrored(columns[i], columns[i + 1]):
            sums[i] = (values[i] + values[i + 1], values[i] - values[i + 1])
    found = []
    for line in matrix:
        terms = []
        for i, (x, value) in enumerate(zip(line, values, strict=True)):
            if i in sums:
                terms.append((x, sums[i][0 if x == line[i + 1] else 1]))
            elif i - 1 not in sums:
                terms.append((x, value))
        found.append(_sum(b, terms))
    return found


def _sum(b: Builder, terms: list[tuple[float, Value]]) -> Value:
    total: Value | None = None
    for factor, value in sorted(terms, key=lambda term: abs(term[0]) != 1):
        if factor == 0:
            continue
        if total is None:
            total = value if factor == 1 else value * factor
        elif abs(factor) == 1:
            total = total + value if factor == 1 else total - value
        else:
            total = b.fma(value, factor, total)
    if total is None:
        raise ValueError("a row of zeros")
    return total


@kernel(
    "x: ptr, u: ptr, out: ptr, bias: ptr, residual: ptr, v: ptr, products: ptr, images: i64, "
    "h: i64, w: i64, c: i64, k: i64, oh: i64, ow: i64, ph: i64, pw: i64, chunk: i64, v_row: i64, "
    "p_row: i64"
)
def winograd(
    b: KernelBuilder, *, m: int, shared: bool, bias: bool, residual: bool, activation: str
) -> None:
    """x (N, H, W, C) and transformed, packed weights into out (N, OH, OW, K).

    Each thread takes chunks of tiles through all three stages in its own part of `v` and
    `products`, so that they stay in its cache; `p_row` has room for whole panels of channels. With
    `shared` all tiles of a chunk pass one stage after the other on all threads instead, which reads
    large weights once.
    """
    b.begin()
    down, across = b.ceil_div(b.arg.oh, m), b.ceil_div(b.arg.ow, m)
    stages = Stages(b, m, down, across, (bias, residual, activation))
    run_stages(b, stages, shared)


def run_stages(b: KernelBuilder, stages: Stages, shared: bool) -> None:
    """Take all tiles through the stages."""
    arg, places = b.arg, stages.size**2
    tiles = arg.images * stages.down * stages.across
    if shared:
        with b.loop("first", 0, tiles, arg.chunk) as first:
            count = b.minimum(arg.chunk, tiles - first)
            with b.units(count) as tile:
                stages.input(first + tile, tile, arg.v)
            b.barrier()
            panels = b.ceil_div(arg.k, width(b.target))
            with b.units(panels * places) as unit:
                stages.multiply(unit // panels, unit % panels, count, arg.v, arg.products)
            b.barrier()
            with b.units(count) as tile:
                stages.output(first + tile, tile, arg.products)
            b.barrier()
        return
    v = b.offset(arg.v, b.thread * arg.chunk * arg.v_row * places, stages.v_type)
    products = b.offset(arg.products, b.thread * arg.chunk * arg.p_row * places)
    with b.units(b.ceil_div(tiles, arg.chunk)) as part:
        first = part * arg.chunk
        count = b.minimum(arg.chunk, tiles - first)
        with b.loop("tile", 0, count) as tile:
            stages.input(first + tile, tile, v)
        with b.loop("place", 0, places) as place:
            panels = b.ceil_div(arg.k, width(b.target))
            with b.loop("panel", 0, panels) as panel:
                stages.multiply(place, panel, count, v, products)
        with b.loop("tile", 0, count) as tile:
            stages.output(first + tile, tile, products)


class Stages:
    """The three stages of one kernel: input transform, products, output transform."""

    def __init__(
        self, b: KernelBuilder, m: int, down: Value, across: Value, after: tuple[bool, bool, str]
    ) -> None:
        self.b, self.m, self.size = b, m, m + 2
        self.down, self.across = down, across
        self.bias, self.residual, self.activation = after
        self.b_matrix, _, self.a_matrix = matrices(m)
        self.scratch = b.stack(4 * b.lanes * self.size**2)
        self.v_type = F32

    def read(self, at: Value, mask: Value | None) -> Value:
        """Numbers of x from element `at` on."""
        return self.b.load(self.b.arg.x, at, self.b.f32, mask)

    def write(self, value: Value, at: Value, mask: Value | None) -> None:
        """Finished numbers of the result, with what is added to them."""
        b, arg = self.b, self.b.arg
        if self.residual:
            value = value + b.load(arg.residual, at, b.f32, mask)
        b.store(ACTIVATIONS[self.activation](b, value), arg.out, at, mask)

    def _place(self, tile: Value) -> tuple[Value, Value, Value]:
        """The image of a tile, and its first output row and column."""
        image, inside = tile // (self.down * self.across), tile % (self.down * self.across)
        return image, inside // self.across * self.m, inside % self.across * self.m

    def input(self, tile: Value, slot: Value, v: Value) -> None:
        """B^T d B of one tile, all channels, to row `slot` of each place's matrix."""
        b, arg, size = self.b, self.b.arg, self.size
        image, y, x = self._place(tile)
        top, left = y - arg.ph, x - arg.pw
        inside = b.both(
            b.both(top >= 0, top + size <= arg.h), b.both(left >= 0, left + size <= arg.w)
        )
        pixel = ((image * arg.h + top) * arg.w + left) * arg.c
        row, place = arg.w * arg.c, arg.chunk * arg.v_row
        target = b.offset(v, slot * arg.v_row, self.v_type)

        def rows(at: Value) -> None:
            with b.loop("i", 0, size) as i:
                line = [b.load(self.scratch, (i * size + j) * b.lanes, b.f32) for j in range(size)]
                for j, value in enumerate(apply(b, self.b_matrix, line)):
                    b.store(b.convert(value, self.v_type), target, (i * size + j) * place + at)

        def columns(load: Any) -> None:
            with b.loop("j", 0, size) as j:
                found = apply(b, self.b_matrix, [load(i, j) for i in range(size)])
                for i, value in enumerate(found):
                    b.store(value, self.scratch, (i * size + j) * b.lanes)

        def whole(at: Value, mask: Value | None) -> None:
            columns(lambda i, j: self.read(pixel + row * i + j * arg.c + at, mask))
            rows(at)

        def border(at: Value, mask: Value | None) -> None:
            zero = b.broadcast(b.constant(0.0, F32), b.lanes)

            def load(i: int, j: Value) -> Value:
                line, column = top + i, left + j
                ok = b.both(b.both(line >= 0, line < arg.h), b.both(column >= 0, column < arg.w))
                where = b.select(ok, pixel + row * i + j * arg.c + at, at)
                return b.select(ok, self.read(where, mask), zero)

            columns(load)
            rows(at)

        with b.when(inside):
            over_vectors(b, arg.c, whole)
        with b.otherwise():
            over_vectors(b, arg.c, border)

    def multiply(self, place: Value, panel: Value, count: Value, v: Value, products: Value) -> None:
        """The product of one place's matrix (tiles, c) with one panel of its weights."""
        b, arg, nr = self.b, self.b.arg, width(self.b.target)
        panels = b.ceil_div(arg.k, nr)
        product = Product(
            b.offset(v, place * arg.chunk * arg.v_row), arg.v_row, 1,
            b.offset(products, place * arg.chunk * arg.p_row), arg.p_row,
        )  # fmt: skip
        source = Panel(b.offset(arg.u, (place * panels + panel) * arg.c * nr), nr)
        product_rows(b, product, source, (0, count), panel * nr, None, arg.c)

    def output(self, tile: Value, slot: Value, products: Value) -> None:
        """A^T M A of one tile, all channels, with bias, residual and activation, to the image."""
        b, arg, size, m = self.b, self.b.arg, self.size, self.m
        image, y, x = self._place(tile)
        inside = b.both(y + m <= arg.oh, x + m <= arg.ow)
        source, place = b.offset(products, slot * arg.p_row), arg.chunk * arg.p_row

        def columns(at: Value, mask: Value | None) -> None:
            with b.loop("j", 0, size) as j:
                line = [
                    b.load(source, (j + size * i) * place + at, b.f32, mask) for i in range(size)
                ]
                for i, value in enumerate(apply(b, self.a_matrix, line)):
                    b.store(value, self.scratch, (j + size * i) * b.lanes)

        def pixel(i: Value, j: int, value: Value, at: Value, mask: Value | None) -> None:
            where = ((image * arg.oh + y + i) * arg.ow + x + j) * arg.k + at
            if self.bias:
                value = value + b.load(arg.bias, at, b.f32, mask)
            self.write(value, where, mask)

        def rows(at: Value, mask: Value | None, guarded: bool) -> None:
            limit = b.minimum(arg.oh - y, m) if guarded else m
            with b.loop("i", 0, limit) as i:
                line = [b.load(self.scratch, (i * size + j) * b.lanes, b.f32) for j in range(size)]
                for j, value in enumerate(apply(b, self.a_matrix, line)):
                    if guarded:
                        with b.when(x + j < arg.ow):
                            pixel(i, j, value, at, mask)
                    else:
                        pixel(i, j, value, at, mask)

        def whole(at: Value, mask: Value | None) -> None:
            columns(at, mask)
            rows(at, mask, False)

        def border(at: Value, mask: Value | None) -> None:
            columns(at, mask)
            rows(at, mask, True)

        with b.when(inside):
            over_vectors(b, arg.k, whole)
        with b.otherwise():
            over_vectors(b, arg.k, border)
