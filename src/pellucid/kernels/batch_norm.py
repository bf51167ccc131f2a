"""Batch normalisation in training, of channels-last images: statistics, result, gradients.

Sums go over a fixed number of parts of the pixels, each with partial sums of its own, so that they
are the same for any number of threads; the variance is that of what is left after the mean.
"""

from __future__ import annotations

from collections.abc import Callable

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32, F64
from pellucid.kernels.vectors import over_vectors

PARTS = 64
"""Parts of the pixels with partial sums of their own."""


def _partial_sums(
    b: KernelBuilder, sums: list[Value], count: int,
    terms: Callable[[Value, Value, Value | None], list[Value]],
) -> None:  # fmt: skip
    """Into sums[i] (PARTS, c): of each part of the pixels the sums of terms(pixel, at, mask)[i]."""
    arg = b.arg
    zero = b.broadcast(b.constant(0.0, F32), b.lanes)
    with b.units(PARTS) as part:
        start, stop = part * arg.pixels // PARTS, (part + 1) * arg.pixels // PARTS

        def vector(at: Value, mask: Value | None) -> None:
            totals = [[b.register(zero, "sum") for _ in range(2)] for _ in range(count)]

            def add(pixel: Value, which: int) -> None:
                for total, value in zip(totals, terms(pixel, at, mask), strict=True):
                    b.set(total[which], b.get(total[which]) + value)

            even = start + (stop - start) // 2 * 2
            with b.loop("p", start, even, 2) as pixel:
                add(pixel, 0)
                add(pixel + 1, 1)
            with b.loop("p", even, stop) as pixel:
                add(pixel, 0)
            for target, total in zip(sums, totals, strict=True):
                b.store(b.get(total[0]) + b.get(total[1]), target, part * arg.c + at, mask)

        over_vectors(b, arg.c, vector)


def _whole(b: KernelBuilder, partial: Value, at: Value, mask: Value | None) -> Value:
    """The sum over the parts of a vector of channels, in eight chains."""
    totals = [b.load(partial, at + b.arg.c * i, b.f32, mask) for i in range(8)]
    registers = [b.register(total, "sum") for total in totals]
    with b.loop("part", 8, PARTS, 8) as part:
        for i, register in enumerate(registers):
            value = b.load(partial, (part + i) * b.arg.c + at, b.f32, mask)
            b.set(register, b.get(register) + value)
    found = [b.get(register) for register in registers]
    while len(found) > 1:
        half = len(found) // 2
        found = [found[i] + found[i + half] for i in range(half)]
    return found[0]


def _by_channels(b: KernelBuilder, body: Callable[[Value, Value | None], None]) -> None:
    """`body` for this thread's vectors of channels."""
    blocks = b.ceil_div(b.arg.c, b.lanes)
    start, stop = b.share(blocks)
    over_vectors(b, b.minimum(stop * b.lanes, b.arg.c), body, start * b.lanes)


def _widen(b: KernelBuilder, value: Value, target: Value, at: Value, mask: Value | None) -> None:
    """Store a vector as float64."""
    for lane in range(b.lanes):
        number = b.convert(b.extract(value, lane), F64)
        if mask is None or b.lanes == 1:
            b.store(number, target, at + lane)
        else:
            with b.when(b.extract(mask, lane)):
                b.store(number, target, at + lane)


@kernel(
    "x: ptr, weight: ptr, bias: ptr, running_mean: ptr, running_var: ptr, out: ptr, mean: ptr, "
    "invstd: ptr, new_mean: ptr, new_var: ptr, partial: ptr, held: ptr, pixels: i64, c: i64, "
    "momentum: f32, eps: f32"
)
def batch_norm_train(b: KernelBuilder, *, affine: bool, running: bool) -> None:
    """x (pixels, c) normalised by the statistics of its channels, into out; mean and 1/std in
    float64. With `running`, new running statistics. `partial` has PARTS c floats, `held` 3 c.
    """
    b.begin()
    arg = b.arg
    size = b.convert(arg.pixels, F32)
    centre, scale, shift = (b.offset(arg.held, arg.c * i) for i in range(3))

    def load(pixel: Value, at: Value, mask: Value | None) -> Value:
        return b.load(arg.x, pixel * arg.c + at, b.f32, mask)

    def squares(pixel: Value, at: Value, mask: Value | None) -> list[Value]:
        away = load(pixel, at, mask) - b.load(centre, at, b.f32, mask)
        return [away * away]

    def means(at: Value, mask: Value | None) -> None:
        found = _whole(b, arg.partial, at, mask) / size
        b.store(found, centre, at, mask)
        _widen(b, found, arg.mean, at, mask)

    def spreads(at: Value, mask: Value | None) -> None:
        variance = _whole(b, arg.partial, at, mask) / size
        inverse = b.value(1.0, b.f32) / b.unary("sqrt", variance + arg.eps)
        _widen(b, inverse, arg.invstd, at, mask)
        middle = b.load(centre, at, b.f32, mask)
        factor = inverse * b.load(arg.weight, at, b.f32, mask) if affine else inverse
        b.store(factor, scale, at, mask)
        begin = b.load(arg.bias, at, b.f32, mask) if affine else b.value(0.0, b.f32)
        b.store(begin - middle * factor, shift, at, mask)
        if running:
            unbiased = variance * (size / (size - 1.0))
            pairs = ((middle, arg.running_mean, arg.new_mean),
                     (unbiased, arg.running_var, arg.new_var))  # fmt: skip
            for now, before, after in pairs:
                old = b.load(before, at, b.f32, mask)
                moved = now * arg.momentum + old * (b.value(1.0, F32) - arg.momentum)
                b.store(moved, after, at, mask)

    _partial_sums(b, [arg.partial], 1, lambda pixel, at, mask: [load(pixel, at, mask)])
    b.barrier()
    _by_channels(b, means)
    b.barrier()
    _partial_sums(b, [arg.partial], 1, squares)
    b.barrier()
    _by_channels(b, spreads)
    b.barrier()
    start, stop = b.share(arg.pixels)
    with b.loop("pixel", start, stop) as pixel:

        def put(at: Value, mask: Value | None) -> None:
            factor, begin = (b.load(p, at, b.f32, mask) for p in (scale, shift))
            b.store(b.fma(load(pixel, at, mask), factor, begin), arg.out, pixel * arg.c + at, mask)

        over_vectors(b, arg.c, put)


@kernel(
    "x: ptr, grad: ptr, weight: ptr, mean: ptr, invstd: ptr, out: ptr, for_weight: ptr, "
    "for_bias: ptr, partial: ptr, held: ptr, pixels: i64, c: i64"
)
def batch_norm_backward(b: KernelBuilder, *, affine: bool) -> None:
    """The gradients of `batch_norm_train`: for x into out, for weight and bias. `mean` and `invstd`
    are float64; `partial` has 2 PARTS c floats, `held` 4 c.
    """
    b.begin()
    arg = b.arg
    size = b.convert(arg.pixels, F32)
    centre, scale, slope, shift = (b.offset(arg.held, arg.c * i) for i in range(4))
    second = b.offset(arg.partial, arg.c * PARTS)

    def narrow(at: Value, mask: Value | None) -> None:
        for source, target in ((arg.mean, centre), (arg.invstd, scale)):
            for lane in range(b.lanes):
                if mask is None or b.lanes == 1:
                    number = b.convert(b.load(source, at + lane, F64), F32)
                    b.store(number, target, at + lane)
                else:
                    with b.when(b.extract(mask, lane)):
                        number = b.convert(b.load(source, at + lane, F64), F32)
                        b.store(number, target, at + lane)

    def terms(pixel: Value, at: Value, mask: Value | None) -> list[Value]:
        grad = b.load(arg.grad, pixel * arg.c + at, b.f32, mask)
        away = b.load(arg.x, pixel * arg.c + at, b.f32, mask) - b.load(centre, at, b.f32, mask)
        return [grad, grad * away]

    def factors(at: Value, mask: Value | None) -> None:
        total, product = (_whole(b, p, at, mask) for p in (arg.partial, second))
        inverse = b.load(scale, at, b.f32, mask)
        b.store(product * inverse, arg.for_weight, at, mask)
        b.store(total, arg.for_bias, at, mask)
        factor = inverse * b.load(arg.weight, at, b.f32, mask) if affine else inverse
        steep = factor * inverse * inverse * product / size
        middle = b.load(centre, at, b.f32, mask)
        b.store(factor, scale, at, mask)
        b.store(steep, slope, at, mask)
        b.store(middle * steep - factor * total / size, shift, at, mask)

    _by_channels(b, narrow)
    b.barrier()
    _partial_sums(b, [arg.partial, second], 2, terms)
    b.barrier()
    _by_channels(b, factors)
    b.barrier()
    start, stop = b.share(arg.pixels)
    with b.loop("pixel", start, stop) as pixel:

        def put(at: Value, mask: Value | None) -> None:
            where = pixel * arg.c + at
            factor, steep, begin = (b.load(p, at, b.f32, mask) for p in (scale, slope, shift))
            value = b.fma(b.load(arg.grad, where, b.f32, mask), factor, begin)
            value = value - b.load(arg.x, where, b.f32, mask) * steep
            b.store(value, arg.out, where, mask)

        over_vectors(b, arg.c, put)
