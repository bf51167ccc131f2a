"""From f32 to low precision and back, for the steps of a plan between products."""

from __future__ import annotations

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32
from pellucid.kernels.vectors import over_vectors


@kernel("x: ptr, out: ptr, rows: i64, n: i64, x_row: i64, out_row: i64")
def round_rows(b: KernelBuilder) -> None:
    """Rows of n floats as bf16, rounded to the nearest; zeros fill up rows to `out_row`."""
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.rows)
    nothing = b.constant(0.0, BF16)
    with b.loop("row", start, stop) as row:
        x, out = b.offset(arg.x, row * arg.x_row), b.offset(arg.out, row * arg.out_row, BF16)

        def put(at: Value, mask: Value | None, x: Value = x, out: Value = out) -> None:
            b.store(b.convert(b.load(x, at, b.f32, mask), BF16), out, at, mask)

        over_vectors(b, arg.n, put)
        with b.loop("rest", arg.n, arg.out_row) as at:
            b.store(nothing, out, at)


@kernel("x: ptr, out: ptr, rows: i64, n: i64, x_row: i64, out_row: i64")
def widen_rows(b: KernelBuilder) -> None:
    """Rows of n bf16 as floats."""
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.rows)
    with b.loop("row", start, stop) as row:
        x, out = b.offset(arg.x, row * arg.x_row, BF16), b.offset(arg.out, row * arg.out_row)
        over_vectors(
            b, arg.n,
            lambda at, mask: b.store(
                b.convert(b.load(x, at, BF16.of(b.lanes), mask), F32), out, at, mask
            ),
        )  # fmt: skip
