"""Kernels over rows of numbers: softmax, layer normalisation, sums; rows are shared out."""

from __future__ import annotations

from collections.abc import Callable

from pellucid.kernels.activations import exp
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.builder import Builder, Operand
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, I64
from pellucid.kernels.vectors import over_vectors

Load = Callable[[Value, Value | None], Value]


def row_sum(b: Builder, count: Operand, load: Load) -> Value:
    """The sum of load(at, mask) over a row; `load` gives zero where the mask leaves out."""
    total = b.register(b.broadcast(b.constant(0.0, F32), b.lanes), "total")
    over_vectors(b, count, lambda at, mask: b.set(total, b.get(total) + load(at, mask)))
    return b.reduce("add", b.get(total))


def row_max(b: Builder, count: Operand, load: Load) -> Value:
    """The largest load(at, mask) of a row; a NaN anywhere gives NaN."""
    lowest = b.broadcast(b.constant(float("-inf"), F32), b.lanes)
    top = b.register(lowest, "top")
    odd = b.register(b.broadcast(b.constant(0.0, F32), b.lanes), "odd")  # NaN once there was one

    def body(at: Value, mask: Value | None) -> None:
        value = load(at, mask)
        b.set(odd, b.get(odd) + b.select(b.binary("ne", value, value), value, 0.0))
        if mask is not None:
            value = b.select(mask, value, lowest)
        b.set(top, b.maximum(b.get(top), value))

    over_vectors(b, count, body)
    found = b.reduce("max", b.get(top))
    nan = b.reduce("add", b.get(odd))
    return b.select(b.binary("ne", nan, nan), nan, found)


def exp_row(b: Builder, count: Operand, load: Load, top: Value, out: Value | None) -> Value:
    """The sum of e^(x - top) over a row; the terms are kept in `out` if it is given."""

    def shifted(at: Value, mask: Value | None) -> Value:
        value = exp(b, load(at, mask) - top)
        if mask is not None:
            value = b.select(mask, value, 0.0)
        if out is not None:
            b.store(value, out, at, mask)
        return value

    return row_sum(b, count, shifted)


def log(b: Builder, x: Value) -> Value:
    """The natural logarithm of positive, normal x (Cephes' logf)."""
    i32 = b.i32.of(x.type.lanes)
    bits = b.bitcast(x, i32)
    exponent = b.convert(b.binary("shift_right", bits, 23) - 126, F32)
    mantissa = b.bitcast(b.binary("or", b.binary("and", bits, 0x007FFFFF), 0x3F000000), x.type)
    small = b.binary("lt", mantissa, 0.707106781186547524)
    exponent = b.select(small, exponent - 1.0, exponent)
    r = b.select(small, mantissa + mantissa, mantissa) - 1.0
    square = r * r
    total = b.value(7.0376836292e-2, x.type)
    for c in (-1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
              -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1):  # fmt: skip
        total = b.fma(total, r, c)
    y = total * r * square
    y = b.fma(exponent, -2.12194440e-4, y)
    y = b.fma(square, -0.5, y)
    return b.fma(exponent, 0.693359375, r + y)


@kernel("x: ptr, out: ptr, rows: i64, n: i64, x_row: i64, out_row: i64")
def softmax(b: KernelBuilder, *, logarithm: bool = False) -> None:
    """Softmax or log-softmax of each row."""
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.rows)
    with b.loop("row", start, stop) as row:
        x, out = b.offset(arg.x, row * arg.x_row), b.offset(arg.out, row * arg.out_row)

        def load(at: Value, mask: Value | None, x: Value = x) -> Value:
            return b.load(x, at, b.f32, mask)

        top = row_max(b, arg.n, load)
        if logarithm:
            total = exp_row(b, arg.n, load, top, None)
            # NaN where the row has one or an infinity, which `log` does not know.
            rest = b.select(b.binary("ne", total, total), total, log(b, total))
            # Not x - (top + rest): of large numbers the sum would lose digits.
            over_vectors(
                b, arg.n,
                lambda at, mask: b.store(load(at, mask) - top - rest, out, at, mask),
            )  # fmt: skip
        else:
            factor = b.constant(1.0, F32) / exp_row(b, arg.n, load, top, out)
            over_vectors(
                b, arg.n,
                lambda at, mask: b.store(b.load(out, at, b.f32, mask) * factor, out, at, mask),
            )  # fmt: skip


@kernel("x: ptr, add: ptr, weight: ptr, bias: ptr, out: ptr, rows: i64, n: i64, x_row: i64, "
        "add_row: i64, out_row: i64, eps: f32, low: ptr, low_row: i64")  # fmt: skip
def layer_norm(
    b: KernelBuilder, *, add: bool, weight: bool, bias: bool, result: str = "f32"
) -> None:
    """(x - mean) / sqrt(var + eps) * weight + bias of each row, of x + add where there is one.

    `result` is "f32", "bf16" or "both": rows of `low` are bf16. With `add`, `out` is needed.

    The variance is the mean square of what is left after the mean, so large means lose nothing.
    """
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.rows)
    with b.loop("row", start, stop) as row:
        x, out = b.offset(arg.x, row * arg.x_row), b.offset(arg.out, row * arg.out_row)
        low = b.offset(arg.low, row * arg.low_row, BF16)
        more = b.offset(arg.add, row * arg.add_row)
        count = b.convert(arg.n, F32)

        def value(at: Value, mask: Value | None) -> Value:
            found = b.load(x, at, b.f32, mask)
            if add:
                found = found + b.load(more, at, b.f32, mask)
                b.store(found, out, at, mask)
            return found

        mean = row_sum(b, arg.n, value) / count
        source = out if add else x

        def square(at: Value, mask: Value | None) -> Value:
            centred = b.load(source, at, b.f32, mask) - mean
            found = centred * centred
            return found if mask is None else b.select(mask, found, 0.0)

        spread = b.unary("sqrt", row_sum(b, arg.n, square) / count + arg.eps)
        scale = b.constant(1.0, F32) / spread

        def put(at: Value, mask: Value | None) -> None:
            found = (b.load(source, at, b.f32, mask) - mean) * scale
            if weight:
                found = found * b.load(arg.weight, at, b.f32, mask)
            if bias:
                found = found + b.load(arg.bias, at, b.f32, mask)
            if result != "bf16":
                b.store(found, out, at, mask)
            if result != "f32":
                b.store(b.convert(found, BF16), low, at, mask)

        over_vectors(b, arg.n, put)


RUN = 1024
"""Elements that are added up in float32, a sixteenth of them to each other one by one."""


@kernel("x: ptr, out: ptr, rows: i64, n: i64")
def sum_runs(b: KernelBuilder) -> None:
    """Sums of runs of RUN elements of contiguous rows x (rows, n), into out (rows, n / RUN)."""
    b.begin()
    arg, side = b.arg, 4
    runs = b.ceil_div(arg.n, RUN)
    start, stop = b.share(arg.rows * runs)
    zero = b.broadcast(b.constant(0.0, F32), b.lanes)
    with b.loop("item", start, stop) as item:
        first = item % runs * RUN
        x = b.offset(arg.x, item // runs * arg.n + first)
        count = b.minimum(arg.n - first, RUN)
        sums = [b.register(zero, "sum") for _ in range(side)]
        whole = count // (side * b.lanes) * (side * b.lanes)
        with b.loop("i", 0, whole, side * b.lanes) as i:
            for j, total in enumerate(sums):
                b.set(total, b.get(total) + b.load(x, i + j * b.lanes, b.f32))
        with b.loop("i", whole, count, b.lanes) as i:
            mask = b.tail_mask(count - i, b.f32)
            b.set(sums[0], b.get(sums[0]) + b.load(x, i, b.f32, mask))
        pairs = [b.get(sums[i]) + b.get(sums[i + 2]) for i in range(2)]
        b.store(b.reduce("add", pairs[0] + pairs[1]), arg.out, item)


@kernel("x: ptr, out: ptr, outer: i64, n: i64, inner: i64, factor: f32")
def sum_middle(b: KernelBuilder) -> None:
    """x (outer, n, inner) summed over n, times `factor`, into out (outer, inner)."""
    b.begin()
    arg = b.arg
    with b.when(b.binary("eq", arg.inner, 1)):
        start, stop = b.share(arg.outer)
        with b.loop("row", start, stop) as row:
            x = b.offset(arg.x, row * arg.n)
            total = row_sum(b, arg.n, lambda at, mask: b.load(x, at, b.f32, mask))
            b.store(total * arg.factor, arg.out, row)
    with b.otherwise():
        blocks = b.ceil_div(arg.inner, b.lanes)
        start, stop = b.share(arg.outer * blocks)
        with b.loop("item", start, stop) as item:
            entry, at = item // blocks, item % blocks * b.lanes
            mask = b.tail_mask(arg.inner - at, b.f32)
            x = b.offset(arg.x, entry * arg.n * arg.inner)
            sums = b.register(b.broadcast(b.constant(0.0, F32), b.lanes), "total")
            with b.loop("i", 0, arg.n) as i:
                b.set(sums, b.get(sums) + b.load(x, i * arg.inner + at, b.f32, mask))
            b.store(b.get(sums) * arg.factor, arg.out, entry * arg.inner + at, mask)


@kernel("table: ptr, index: ptr, out: ptr, count: i64, n: i64, rows: i64, bad: ptr")
def gather_rows(b: KernelBuilder) -> None:
    """Rows of a table (rows, n) by int64 index; an index outside is written to `bad`, plus one."""
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.count)
    with b.loop("i", start, stop) as i:
        index = b.load(arg.index, i, I64)
        inside = b.both(index >= 0, index < arg.rows)
        with b.when(inside):
            source, target = b.offset(arg.table, index * arg.n), b.offset(arg.out, i * arg.n)
            over_vectors(
                b, arg.n,
                lambda at, mask: b.store(b.load(source, at, b.f32, mask), target, at, mask),
            )  # fmt: skip
        with b.otherwise():
            b.store(i + 1, arg.bad, 0)
