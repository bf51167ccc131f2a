"""Regions of interest: RoI Align (He et al. 2017, "Mask R-CNN") and RoI Pooling (Girshick 2015).

Features stand channels last, each cell `cs` floats from the next, a whole number of vectors: every
loop runs over vectors of channels, and what lies beyond the last channel is computed and left out
where the result is transposed. The sampling points of a region form a grid, and bilinear weights
are products of one along y and one along x, so that the average over its bins is Ay . F . Ax^T with
banded matrices (`axis_table`): a strip of each row of bins first, then the bins from the strip. The
gradient is the transpose; each unit of it has channels of its own and takes the regions in order,
so that nothing is added by two threads, and sums are the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.builder import Builder, Operand
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32, F64, I32, I64
from pellucid.kernels.vectors import transpose

WIDE = 8
"""Vectors that are summed side by side."""
LOWEST = -3.4028234663852886e38
"""Where the search for a maximum starts, as in torchvision."""


def runs(b: Builder, count: Value, body: Callable[[Value, int], None]) -> None:
    """Call `body(at, vectors)` over `count` floats, a whole number of vectors."""
    step = WIDE * b.lanes
    whole = count // step * step
    with b.loop("v", 0, whole, step) as at:
        body(at, WIDE)
    with b.loop("v", whole, count, b.lanes) as at:
        body(at, 1)


def flip(
    b: Builder, source: Value, source_row: Operand, rows: Value, target: Value, target_row: Operand,
    columns: Value,
) -> None:  # fmt: skip
    """target[j, i] = source[i, j]. The last block of vectors overlaps the one before."""
    lanes = b.lanes
    large = b.both(rows >= lanes, columns >= lanes)
    with b.when(large), b.loop("i", 0, rows, lanes) as i, b.loop("j", 0, columns, lanes) as j:
        top, left = b.minimum(i, rows - lanes), b.minimum(j, columns - lanes)
        start = b.offset(source, top * source_row + left)
        end = b.offset(target, left * target_row + top)
        block = [b.load(start, b.i64(source_row) * r, b.f32) for r in range(lanes)]
        for r, row in enumerate(transpose(b, block)):
            b.store(row, end, b.i64(target_row) * r)
    with b.otherwise(), b.loop("i", 0, rows) as i, b.loop("j", 0, columns) as j:
        b.store(b.load(source, i * source_row + j, F32), target, j * target_row + i)


@dataclass
class Axis:
    """The banded matrix of a region along one axis: row `bin` has `row` floats from `weights`, of
    which those from spans[bin, 0] to before spans[bin, 1] count; `first` to `last` is their union.
    """

    weights: Value
    row: Value
    spans: Value
    first: Value
    last: Value

    def span(self, b: Builder, bin: Value) -> tuple[Value, Value]:
        return b.load(self.spans, bin * 2, I64), b.load(self.spans, bin * 2 + 1, I64)

    def weight(self, b: Builder, bin: Value, cell: Value) -> Value:
        return b.broadcast(b.load(self.weights, bin * self.row + cell, F32), b.lanes)


def axis_table(
    b: Builder, axis: Value, ranges: Value, bins: Value, cells: Value, weights: Value, spans: Value
) -> Axis:
    """What each cell weighs in the average over each bin. `axis` holds where the bins start, their
    size and the points of each (f32); `ranges` the first point of each bin that may meet the map
    and the one after the last (i64). Positions are torchvision's, operation by operation.
    """
    start, size, points = (b.load(axis, i, F32) for i in range(3))
    row = b.ceil_div(cells, b.lanes) * b.lanes
    share, limit = 1.0 / points, b.convert(cells, F32)
    first, last = b.register(cells, "first"), b.register(b.i64(0), "last")
    zero = b.broadcast(b.constant(0.0, F32), b.lanes)
    with b.loop("bin", 0, bins) as bin:
        line = b.offset(weights, bin * row)
        with b.loop("v", 0, row, b.lanes) as at:
            b.store(zero, line, at)
        begin = start + b.convert(bin, F32) * size
        low_cell, high_cell = b.register(cells, "low"), b.register(b.i64(0), "high")
        with b.loop("n", b.load(ranges, bin * 2, I64), b.load(ranges, bin * 2 + 1, I64)) as number:
            half = b.convert(b.convert(number, F64) + 0.5, F32) * size
            position = begin + half / points
            with b.when(b.both(position >= -1.0, position <= limit)):
                place = b.maximum(position, 0.0)
                low = b.minimum(b.convert(place, I64), cells - 1)
                high = b.minimum(low + 1, cells - 1)
                weight = b.select(low < cells - 1, place - b.convert(low, F32), 0.0)
                for cell, part in ((low, (1.0 - weight) * share), (high, weight * share)):
                    b.store(b.load(line, cell, F32) + part, line, cell)
                b.set(low_cell, b.minimum(b.get(low_cell), low))
                b.set(high_cell, b.maximum(b.get(high_cell), high + 1))
        b.store(b.get(low_cell), spans, bin * 2)
        b.store(b.get(high_cell), spans, bin * 2 + 1)
        b.set(first, b.minimum(b.get(first), b.get(low_cell)))
        b.set(last, b.maximum(b.get(last), b.get(high_cell)))
    return Axis(weights, row, spans, b.get(first), b.get(last))


def _tables(b: KernelBuilder, region: Value, scratch: Value) -> tuple[Axis, Axis, Value]:
    """The axes of a region, made in scratch, and the scratch after them."""
    arg = b.arg
    found = []
    for axis, ranges, bins, cells in (
        (arg.y, arg.y_ranges, arg.p, arg.h), (arg.x, arg.x_ranges, arg.q, arg.w),
    ):  # fmt: skip
        row = b.ceil_div(cells, b.lanes) * b.lanes
        spans = b.offset(scratch, bins * row)
        where = b.offset(axis, region * 3), b.offset(ranges, region * bins * 2, I64)
        found.append(axis_table(b, *where, bins, cells, scratch, spans))
        scratch = b.offset(spans, b.ceil_div(bins * 4, b.lanes) * b.lanes)
    return found[0], found[1], scratch


def table_room(bins: tuple[int, int], cells: tuple[int, int], lanes: int) -> int:
    """Floats of scratch that `_tables` takes."""
    total = 0
    for each, count in zip(bins, cells, strict=True):
        total += each * -(-count // lanes) * lanes + -(-each * 4 // lanes) * lanes
    return total


_BOXES = "image: ptr, y: ptr, x: ptr, y_ranges: ptr, x_ranges: ptr"


@kernel(
    f"features: ptr, out: ptr, {_BOXES}, scratch: ptr, k: i64, c: i64, cs: i64, h: i64, w: i64, "
    "p: i64, q: i64, room: i64"
)
def region_align(b: KernelBuilder) -> None:
    """Features (N, h, w, cs) averaged over the bins of `k` regions: out (k, c, p, q).

    A thread has `room` floats of scratch: the tables, a strip (w, cs), the bins (p, q, cs).
    """
    b.begin()
    arg = b.arg
    own = b.offset(arg.scratch, b.thread * arg.room)
    zero = b.broadcast(b.constant(0.0, F32), b.lanes)
    with b.units(arg.k) as region:
        y, x, strip = _tables(b, region, own)
        tile = b.offset(strip, arg.w * arg.cs)
        image = b.load(arg.image, region, I64)
        corner = b.offset(arg.features, (image * arg.h * arg.w + x.first) * arg.cs)
        with b.loop("p", 0, arg.p) as p:
            top, bottom = y.span(b, p)

            def down(at: Value, vectors: int, p: Value = p, top: Value = top,
                     bottom: Value = bottom, corner: Value = corner) -> None:  # fmt: skip
                sums = [b.register(zero, "sum") for _ in range(vectors)]
                with b.loop("cell", top, bottom) as cell:
                    weight = y.weight(b, p, cell)
                    line = b.offset(corner, cell * arg.w * arg.cs + at)
                    for i, total in enumerate(sums):
                        value = b.load(line, i * b.lanes, b.f32)
                        b.set(total, b.fma(weight, value, b.get(total)))
                for i, total in enumerate(sums):
                    b.store(b.get(total), strip, at + i * b.lanes)

            runs(b, b.maximum((x.last - x.first) * arg.cs, 0), down)
            with b.loop("q", 0, arg.q) as q:
                left, right = x.span(b, q)

                def across(at: Value, vectors: int, q: Value = q, p: Value = p, left: Value = left,
                           right: Value = right) -> None:  # fmt: skip
                    sums = [b.register(zero, "sum") for _ in range(vectors)]
                    with b.loop("cell", left, right) as cell:
                        weight = x.weight(b, q, cell)
                        place = b.offset(strip, (cell - x.first) * arg.cs + at)
                        for i, total in enumerate(sums):
                            value = b.load(place, i * b.lanes, b.f32)
                            b.set(total, b.fma(weight, value, b.get(total)))
                    bin = b.offset(tile, (p * arg.q + q) * arg.cs + at)
                    for i, total in enumerate(sums):
                        b.store(b.get(total), bin, i * b.lanes)

                runs(b, arg.cs, across)
        bins = arg.p * arg.q
        flip(b, tile, arg.cs, bins, b.offset(arg.out, region * arg.c * bins), bins, arg.c)


@kernel(
    f"grad: ptr, out: ptr, {_BOXES}, scratch: ptr, k: i64, n: i64, c: i64, wide: i64, h: i64, "
    "w: i64, p: i64, q: i64, room: i64"
)
def region_align_transpose(b: KernelBuilder) -> None:
    """The transpose of `region_align`: grad (k, c, p, q) summed into out (n, c, h, w).

    A unit takes `wide` channels (whole vectors) of all regions, with `room` floats of scratch: the
    tables, a strip (w, wide), bins (p, q, wide) and the sums (n, h, w, wide).
    """
    b.begin()
    arg, lanes = b.arg, b.lanes
    cells, bins = arg.h * arg.w, arg.p * arg.q
    zero = b.broadcast(b.constant(0.0, F32), lanes)
    with b.units(b.ceil_div(arg.c, arg.wide)) as unit:
        own = b.offset(arg.scratch, unit * arg.room)
        sums = b.offset(own, arg.room - arg.n * cells * arg.wide)
        channel = unit * arg.wide
        count = b.minimum(arg.wide, arg.c - channel)
        with b.loop("v", 0, arg.n * cells * arg.wide, lanes) as at:
            b.store(zero, sums, at)
        with b.loop("region", 0, arg.k) as region:
            y, x, strip = _tables(b, region, own)
            tile = b.offset(strip, arg.w * arg.wide)
            given = b.offset(arg.grad, (region * arg.c + channel) * bins)
            flip(b, given, bins, count, tile, arg.wide, bins)
            image = b.load(arg.image, region, I64)
            corner = b.offset(sums, (image * cells + x.first) * arg.wide)
            length = b.maximum((x.last - x.first) * arg.wide, 0)
            with b.loop("p", 0, arg.p) as p:
                _strip_of_bins(b, x, strip, b.offset(tile, p * arg.q * arg.wide), length)
                top, bottom = y.span(b, p)
                with b.loop("cell", top, bottom) as cell:
                    weight = y.weight(b, p, cell)
                    line = b.offset(corner, cell * arg.w * arg.wide)

                    def add(at: Value, vectors: int, weight: Value = weight, line: Value = line,
                            strip: Value = strip) -> None:  # fmt: skip
                        for i in range(vectors):
                            before = b.load(line, at + i * lanes, b.f32)
                            value = b.load(strip, at + i * lanes, b.f32)
                            b.store(b.fma(weight, value, before), line, at + i * lanes)

                    runs(b, length, add)
        with b.loop("image", 0, arg.n) as image:
            target = b.offset(arg.out, (image * arg.c + channel) * cells)
            flip(b, b.offset(sums, image * cells * arg.wide), arg.wide, cells, target, cells, count)


def _strip_of_bins(b: KernelBuilder, x: Axis, strip: Value, bins: Value, length: Value) -> None:
    """strip = Ax^T bins, of one row of bins."""
    wide, zero = b.arg.wide, b.broadcast(b.constant(0.0, F32), b.lanes)
    with b.loop("v", 0, length, b.lanes) as at:
        b.store(zero, strip, at)
    with b.loop("q", 0, b.arg.q) as q:
        left, right = x.span(b, q)

        def spread(at: Value, vectors: int) -> None:
            values = [b.load(bins, q * wide + at + i * b.lanes, b.f32) for i in range(vectors)]
            with b.loop("cell", left, right) as cell:
                weight = x.weight(b, q, cell)
                place = b.offset(strip, (cell - x.first) * wide + at)
                for i, value in enumerate(values):
                    before = b.load(place, i * b.lanes, b.f32)
                    b.store(b.fma(weight, value, before), place, i * b.lanes)

        runs(b, wide, spread)


@kernel(
    "features: ptr, out: ptr, places: ptr, image: ptr, y_cells: ptr, x_cells: ptr, scratch: ptr, "
    "k: i64, c: i64, cs: i64, h: i64, w: i64, p: i64, q: i64"
)
def region_pool(b: KernelBuilder) -> None:
    """The largest cell of each bin of `k` regions, and its place in the flattened map (i32).

    `y_cells` (k, p, 2) and `x_cells` (k, q, 2), i64, say from which cell to before which bins go.
    Empty bins give 0 and -1; the first of equals wins, NaN never does. A thread has 2 p q cs floats
    of scratch.
    """
    b.begin()
    arg = b.arg
    bins = arg.p * arg.q
    values = b.offset(arg.scratch, b.thread * bins * arg.cs * 2)
    places = b.offset(values, bins * arg.cs)
    with b.units(arg.k) as region:
        image = b.load(arg.image, region, I64)
        source = b.offset(arg.features, image * arg.h * arg.w * arg.cs)
        rows = b.offset(arg.y_cells, region * arg.p * 2, I64)
        columns = b.offset(arg.x_cells, region * arg.q * 2, I64)
        with b.loop("p", 0, arg.p) as p, b.loop("q", 0, arg.q) as q:
            span = (*(b.load(rows, p * 2 + i, I64) for i in (0, 1)),
                    *(b.load(columns, q * 2 + i, I64) for i in (0, 1)))  # fmt: skip
            _largest(b, source, span, b.offset(values, (p * arg.q + q) * arg.cs),
                     b.offset(places, (p * arg.q + q) * arg.cs))  # fmt: skip
        step = region * arg.c * bins
        flip(b, values, arg.cs, bins, b.offset(arg.out, step), bins, arg.c)
        flip(b, places, arg.cs, bins, b.offset(arg.places, step), bins, arg.c)


def _largest(
    b: KernelBuilder, source: Value, span: tuple[Value, ...], values: Value, places: Value
) -> None:
    """The largest cell of one bin and its place, for all channels."""
    arg = b.arg
    top, bottom, left, right = span
    some = b.both(top < bottom, left < right)

    def search(at: Value, vectors: int) -> None:
        lowest = b.select(some, b.constant(LOWEST, F32), b.constant(0.0, F32))
        best = [b.register(b.broadcast(lowest, b.lanes), "best") for _ in range(vectors)]
        won = [b.register(b.broadcast(b.constant(-1, I32), b.lanes), "won") for _ in best]
        with b.loop("i", top, bottom) as i, b.loop("j", left, right) as j:
            cell = i * arg.w + j
            number = b.broadcast(b.convert(cell, I32), b.lanes)
            line = b.offset(source, cell * arg.cs + at)
            for v, (largest, place) in enumerate(zip(best, won, strict=True)):
                value = b.load(line, v * b.lanes, b.f32)
                more = value > b.get(largest)
                b.set(largest, b.select(more, value, b.get(largest)))
                b.set(place, b.select(more, number, b.get(place)))
        for v, (largest, place) in enumerate(zip(best, won, strict=True)):
            b.store(b.get(largest), values, at + v * b.lanes)
            b.store(b.get(place), places, at + v * b.lanes)

    runs(b, arg.cs, search)


@kernel(
    "grad: ptr, places: ptr, image: ptr, out: ptr, k: i64, n: i64, c: i64, cells: i64, bins: i64"
)
def region_spread(b: KernelBuilder) -> None:
    """grad (k, c, bins) summed at its places (i32, -1 for none) in out (n, c, cells).

    A thread has channels of its own and takes the regions in order.
    """
    b.begin()
    arg = b.arg
    zero = b.constant(0.0, F32)
    start, stop = b.share(arg.c)
    with b.loop("image", 0, arg.n) as image, b.loop("v", start * arg.cells, stop * arg.cells) as at:
        b.store(zero, arg.out, image * arg.c * arg.cells + at)
    with b.loop("region", 0, arg.k) as region:
        image = b.load(arg.image, region, I64)
        with b.loop("channel", start, stop) as channel:
            target = b.offset(arg.out, (image * arg.c + channel) * arg.cells)
            base = (region * arg.c + channel) * arg.bins
            with b.loop("bin", 0, arg.bins) as bin:
                place = b.convert(b.load(arg.places, base + bin, I32), I64)
                with b.when(place >= 0):
                    value = b.load(arg.grad, base + bin, F32)
                    b.store(b.load(target, place, F32) + value, target, place)
