"""Kernels over rows that training needs: gradients of softmax and of layer normalisation, and the
latter with its statistics. Rows are contiguous and shared out to the threads.
"""

from __future__ import annotations

from pellucid.kernels.activations import exp
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.pointwise import OPERATIONS
from pellucid.kernels.rows import exp_row, row_max, row_sum
from pellucid.kernels.vectors import over_vectors


def _kept(b: KernelBuilder, value: Value, mask: Value | None) -> Value:
    """Zero where the mask leaves out, for sums."""
    return value if mask is None else b.select(mask, value, 0.0)


@kernel("grad: ptr, output: ptr, out: ptr, rows: i64, n: i64")
def softmax_slope(b: KernelBuilder, *, logarithm: bool = False) -> None:
    """output (grad - sum of grad output), or grad - e^output sum of grad, of each row."""
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.rows)
    with b.loop("row", start, stop) as row:
        grad, output, out = (b.offset(p, row * arg.n) for p in (arg.grad, arg.output, arg.out))

        def product(at: Value, mask: Value | None) -> Value:
            found = b.load(grad, at, b.f32, mask)
            return found if logarithm else found * b.load(output, at, b.f32, mask)

        total = row_sum(b, arg.n, product)

        def put(at: Value, mask: Value | None) -> None:
            given, share = b.load(grad, at, b.f32, mask), b.load(output, at, b.f32, mask)
            found = given - exp(b, share) * total if logarithm else share * (given - total)
            b.store(found, out, at, mask)

        over_vectors(b, arg.n, put)


@kernel("x: ptr, top: ptr, rest: ptr, rows: i64, n: i64")
def logsumexp_rows(b: KernelBuilder) -> None:
    """The logarithm of the sum of e^x of each row in two parts: the largest, and what is above."""
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.rows)
    with b.loop("row", start, stop) as row:
        x = b.offset(arg.x, row * arg.n)

        def load(at: Value, mask: Value | None) -> Value:
            return b.load(x, at, b.f32, mask)

        top = row_max(b, arg.n, load)
        # As from log-softmax: NaN where the largest is infinite, which makes inf - inf.
        total = exp_row(b, arg.n, load, top, None)
        b.store(top, arg.top, row)
        b.store(OPERATIONS["log"](b, total), arg.rest, row)


@kernel("x: ptr, lse: ptr, factor: ptr, out: ptr, rows: i64, n: i64")
def softmax_scaled(b: KernelBuilder) -> None:
    """e^(x - lse) times a factor, which belong to each row."""
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.rows)
    with b.loop("row", start, stop) as row:
        x, out = b.offset(arg.x, row * arg.n), b.offset(arg.out, row * arg.n)
        lse, factor = b.load(arg.lse, row, F32), b.load(arg.factor, row, F32)
        over_vectors(
            b, arg.n,
            lambda at, mask: b.store(
                exp(b, b.load(x, at, b.f32, mask) - lse) * factor, out, at, mask
            ),
        )  # fmt: skip


@kernel("x: ptr, weight: ptr, bias: ptr, out: ptr, mean: ptr, factor: ptr, rows: i64, n: i64, "
        "eps: f32")  # fmt: skip
def normalise_rows(b: KernelBuilder, *, weight: bool, bias: bool, centre: bool) -> None:
    """(x - mean) * factor * weight + bias of each row, factor = 1 / sqrt(var + eps); the mean is 0
    unless `centre`. `mean` and `factor` get the numbers of each row.
    """
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.rows)
    with b.loop("row", start, stop) as row:
        x, out = b.offset(arg.x, row * arg.n), b.offset(arg.out, row * arg.n)
        count = b.convert(arg.n, F32)
        mean = b.constant(0.0, F32)
        if centre:
            mean = row_sum(b, arg.n, lambda at, mask: b.load(x, at, b.f32, mask)) / count

        def square(at: Value, mask: Value | None) -> Value:
            apart = b.load(x, at, b.f32, mask) - mean
            return _kept(b, apart * apart, mask)

        spread = b.unary("sqrt", row_sum(b, arg.n, square) / count + arg.eps)
        factor = b.constant(1.0, F32) / spread
        b.store(mean, arg.mean, row)
        b.store(factor, arg.factor, row)

        def put(at: Value, mask: Value | None) -> None:
            found = (b.load(x, at, b.f32, mask) - mean) * factor
            if weight:
                found = found * b.load(arg.weight, at, b.f32, mask)
            if bias:
                found = found + b.load(arg.bias, at, b.f32, mask)
            b.store(found, out, at, mask)

        over_vectors(b, arg.n, put)


BAND = 64
"""Rows whose gradients for the weights are summed in float32."""


@kernel("grad: ptr, x: ptr, mean: ptr, factor: ptr, weight: ptr, out: ptr, sums: ptr, rows: i64, "
        "n: i64")  # fmt: skip
def normalise_rows_slope(b: KernelBuilder, *, weight: bool, centre: bool) -> None:
    """The gradient of `normalise_rows` for x into `out`, and into `sums` (rows / BAND, n) those for
    the weights, of so many rows each.
    """
    b.begin()
    arg = b.arg
    with b.units(b.ceil_div(arg.rows, BAND)) as band:
        sums = b.offset(arg.sums, band * arg.n)
        zero = b.broadcast(b.constant(0.0, F32), b.lanes)
        over_vectors(b, arg.n, lambda at, mask: b.store(zero, sums, at, mask))
        last = b.minimum((band + 1) * BAND, arg.rows)
        with b.loop("row", band * BAND, last) as row:
            grad, x, out = (b.offset(p, row * arg.n) for p in (arg.grad, arg.x, arg.out))
            mean, factor = b.load(arg.mean, row, F32), b.load(arg.factor, row, F32)
            count = b.convert(arg.n, F32)

            def hat(at: Value, mask: Value | None) -> Value:
                return (b.load(x, at, b.f32, mask) - mean) * factor

            def scaled(at: Value, mask: Value | None) -> Value:
                given = b.load(grad, at, b.f32, mask)
                return given * b.load(arg.weight, at, b.f32, mask) if weight else given

            def both(at: Value, mask: Value | None) -> Value:
                line = hat(at, mask)
                more = b.load(grad, at, b.f32, mask) * line
                b.store(b.load(sums, at, b.f32, mask) + more, sums, at, mask)
                return _kept(b, scaled(at, mask) * line, mask)

            along = row_sum(b, arg.n, both) / count
            average = row_sum(b, arg.n, scaled) / count if centre else b.constant(0.0, F32)

            def put(at: Value, mask: Value | None) -> None:
                found = (scaled(at, mask) - average - hat(at, mask) * along) * factor
                b.store(found, out, at, mask)

            over_vectors(b, arg.n, put)
