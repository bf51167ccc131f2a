"""From f32 to bytes with a scale and a zero: x is about (u - zero) * scale, u from 0 to 255.

The range is that of the numbers at hand and 0, which has a byte of its own, so that padding and the
zeros of a ReLU are exact (Jacob et al. 2018, "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", equation 1). A NaN or an infinity among them makes the
scale NaN, and so everything that is computed from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.builder import Builder
from pellucid.kernels.language.nodes import Register, Value
from pellucid.kernels.language.types import F32, I8, I32
from pellucid.kernels.vectors import over_vectors

_STEPS = 255.0
LINE = 16
"""Floats for each thread in `stats`: a cache line."""


@dataclass
class _Range:
    """The least and the largest number seen so far, with 0 among them; `odd` becomes NaN."""

    low: Register
    high: Register
    odd: Register

    @classmethod
    def empty(cls, b: Builder) -> _Range:
        zero = b.broadcast(b.constant(0.0, F32), b.lanes)
        return cls(*[b.register(zero, name) for name in ("low", "high", "odd")])

    def see(self, b: Builder, value: Value) -> None:
        b.set(self.low, b.minimum(value, b.get(self.low)))
        b.set(self.high, b.maximum(value, b.get(self.high)))
        b.set(self.odd, b.get(self.odd) + value * 0.0)

    def ends(self, b: Builder) -> tuple[Value, Value, Value]:
        return (
            b.reduce("min", b.get(self.low)), b.reduce("max", b.get(self.high)),
            b.reduce("add", b.get(self.odd)),
        )  # fmt: skip


def _scale(b: Builder, low: Value, high: Value, odd: Value) -> tuple[Value, Value, Value]:
    """The scale, its inverse (0 where all numbers are 0) and the zero as a float."""
    wide = high * (1 / _STEPS) - low * (1 / _STEPS)
    nothing = b.binary("lt", wide, 1e-38)
    inverse = b.select(nothing, 0.0, b.constant(1.0, F32) / b.select(nothing, 1.0, wide))
    zero = b.minimum(b.maximum(b.unary("round", -low * inverse), 0.0), _STEPS)
    return wide + odd, inverse, zero


def _row(
    b: Builder, x: Value, out: Value, n: Value, out_row: Value, inverse: Value, zero: Value
) -> None:
    """Write the bytes of a row; bytes that only fill up its last word are zero."""

    def put(at: Value, mask: Value | None) -> None:
        value = b.unary("round", b.fma(b.load(x, at, b.f32, mask), inverse, zero))
        whole = b.convert(b.minimum(b.maximum(value, 0.0), _STEPS), I32)
        b.store(b.convert(whole, I8), out, at, mask)

    over_vectors(b, n, put)
    nothing = b.constant(0, I8)
    with b.loop("rest", n, out_row) as at:
        b.store(nothing, out, at)


@kernel("x: ptr, out: ptr, scale: ptr, zero: ptr, rows: i64, n: i64, x_row: i64, out_row: i64")
def quantise_rows(b: KernelBuilder) -> None:
    """Rows of n floats as bytes, `out_row` apart, with a scale and a zero (i32) for each row."""
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.rows)
    with b.loop("row", start, stop) as row:
        x, out = b.offset(arg.x, row * arg.x_row), b.offset(arg.out, row * arg.out_row, I8)
        seen = _Range.empty(b)
        over_vectors(b, arg.n, lambda at, mask: seen.see(b, b.load(x, at, b.f32, mask)))
        scale, inverse, zero = _scale(b, *seen.ends(b))
        b.store(scale, arg.scale, row)
        b.store(b.convert(zero, I32), arg.zero, row)
        _row(b, x, out, arg.n, arg.out_row, inverse, zero)


@kernel(
    "x: ptr, out: ptr, scale: ptr, zero: ptr, stats: ptr, rows: i64, n: i64, x_row: i64, "
    "out_row: i64"
)
def quantise_all(b: KernelBuilder) -> None:
    """The same with one scale and zero for all rows. `stats` has LINE floats for each thread."""
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.rows)
    seen = _Range.empty(b)
    with b.loop("row", start, stop) as row:
        x = b.offset(arg.x, row * arg.x_row)
        over_vectors(b, arg.n, lambda at, mask: seen.see(b, b.load(x, at, b.f32, mask)))
    for place, value in enumerate(seen.ends(b)):
        b.store(value, arg.stats, b.thread * LINE + place)
    b.barrier()
    nothing = b.constant(0.0, F32)
    low, high, odd = (b.register(nothing, name) for name in ("lowest", "highest", "any"))
    with b.loop("other", 0, b.threads) as other:
        one, two, three = (b.load(arg.stats, other * LINE + place, F32) for place in range(3))
        b.set(low, b.minimum(one, b.get(low)))
        b.set(high, b.maximum(two, b.get(high)))
        b.set(odd, b.get(odd) + three)
    scale, inverse, zero = _scale(b, b.get(low), b.get(high), b.get(odd))
    with b.when(b.binary("eq", b.thread, 0)):
        b.store(scale, arg.scale, 0)
        b.store(b.convert(zero, I32), arg.zero, 0)
    with b.loop("row", start, stop) as row:
        x, out = b.offset(arg.x, row * arg.x_row), b.offset(arg.out, row * arg.out_row, I8)
        _row(b, x, out, arg.n, arg.out_row, inverse, zero)
