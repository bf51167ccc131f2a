"""Pooling of channels-last images (N, H, W, C): vectors of channels, rows of outputs shared out."""

from __future__ import annotations

from pellucid.kernels.convolution import taps
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, I32
from pellucid.kernels.vectors import over_vectors

_ARGUMENTS = (
    "x: ptr, out: ptr, images: i64, h: i64, w: i64, c: i64, oh: i64, ow: i64, kh: i64, kw: i64, "
    "sh: i64, sw: i64, ph: i64, pw: i64, dh: i64, dw: i64"
)


@kernel(_ARGUMENTS + ", divisor: i64")
def pool(b: KernelBuilder, *, how: str, low: bool = False) -> None:
    """The "max" of each window (NaN if there is one), or its "mean".

    The mean divides by `divisor`, or by the number of places inside the image if that is 0. With
    `low`, images and result are bf16.
    """
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.images * arg.oh)
    kind = BF16 if low else F32
    initial = float("-inf") if how == "max" else 0.0

    def channels(at: Value, mask: Value | None) -> None:
        total = b.register(b.broadcast(b.constant(initial, F32), b.lanes), "total")
        with (
            b.loop("i", b.get(first_i), b.get(last_i)) as i,
            b.loop("j", b.get(first_j), b.get(last_j)) as j,
        ):
            y, column = top + i * arg.dh, left + j * arg.dw
            place = ((image * arg.h + y) * arg.w + column) * arg.c
            value = b.convert(b.load(arg.x, place + at, kind.of(b.lanes), mask), F32)
            before = b.get(total)
            if how == "max":
                larger = b.select(b.binary("gt", before, value), before, value)
                b.set(total, b.select(b.binary("ne", before, before), before, larger))
            else:
                b.set(total, before + value)
        found = b.get(total)
        if how == "mean":
            found = found / b.convert(divisor, F32)
        b.store(b.convert(found, kind), arg.out, out + at, mask)

    with b.loop("row", start, stop) as row, b.loop("column", 0, arg.ow) as column:
        image, y = row // arg.oh, row % arg.oh
        top, left = y * arg.sh - arg.ph, column * arg.sw - arg.pw
        first_i, last_i = taps(b, top, arg.h, arg.kh, arg.dh)
        first_j, last_j = taps(b, left, arg.w, arg.kw, arg.dw)
        inside = (b.get(last_i) - b.get(first_i)) * (b.get(last_j) - b.get(first_j))
        divisor = b.select(b.binary("eq", arg.divisor, 0), inside, arg.divisor)
        out = (row * arg.ow + column) * arg.c
        over_vectors(b, arg.c, channels)


@kernel(_ARGUMENTS + ", choices: ptr")
def max_pool_chosen(b: KernelBuilder) -> None:
    """The largest of each window, the first of equals or the last NaN, and the number of its tap
    (i32).
    """
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.images * arg.oh)
    lowest = b.broadcast(b.constant(float("-inf"), F32), b.lanes)

    def channels(at: Value, mask: Value | None) -> None:
        best = b.register(lowest, "best")
        won = b.register(b.broadcast(b.constant(-1, I32), b.lanes), "won")
        with (
            b.loop("i", b.get(first_i), b.get(last_i)) as i,
            b.loop("j", b.get(first_j), b.get(last_j)) as j,
        ):
            y, column = top + i * arg.dh, left + j * arg.dw
            place = ((image * arg.h + y) * arg.w + column) * arg.c
            value = b.load(arg.x, place + at, b.f32, mask)
            before, chosen = b.get(best), b.get(won)
            number = b.broadcast(b.convert(i * arg.kw + j, I32), b.lanes)
            odd = b.binary("or", b.binary("lt", chosen, 0), b.binary("ne", value, value))
            more = b.binary("or", b.binary("gt", value, before), odd)
            b.set(best, b.select(more, value, before))
            b.set(won, b.select(more, number, chosen))
        b.store(b.get(best), arg.out, out + at, mask)
        b.store(b.get(won), arg.choices, out + at, mask)

    with b.loop("row", start, stop) as row, b.loop("column", 0, arg.ow) as column:
        image, y = row // arg.oh, row % arg.oh
        top, left = y * arg.sh - arg.ph, column * arg.sw - arg.pw
        first_i, last_i = taps(b, top, arg.h, arg.kh, arg.dh)
        first_j, last_j = taps(b, left, arg.w, arg.kw, arg.dw)
        out = (row * arg.ow + column) * arg.c
        over_vectors(b, arg.c, channels)


@kernel(_ARGUMENTS + ", choices: ptr")
def max_pool_spread(b: KernelBuilder) -> None:
    """The gradient of `max_pool_chosen`: `x` is that of its result (N, OH, OW, C), `out` that of
    its input. Every pixel collects from the windows that hold it.
    """
    b.begin()
    arg = b.arg
    zero = b.broadcast(b.constant(0.0, F32), b.lanes)
    start, stop = b.share(arg.images * arg.h)
    with b.loop("row", start, stop) as row, b.loop("column", 0, arg.w) as column:
        image, y = row // arg.h, row % arg.h
        target = (row * arg.w + column) * arg.c

        def channels(at: Value, mask: Value | None) -> None:
            total = b.register(zero, "total")
            with b.loop("i", 0, arg.kh) as i, b.loop("j", 0, arg.kw) as j:
                down, across = y + arg.ph - i * arg.dh, column + arg.pw - j * arg.dw
                oy, ox = down // arg.sh, across // arg.sw
                whole_y, whole_x = oy * arg.sh, ox * arg.sw
                fits = b.both(b.binary("eq", whole_y, down), b.binary("eq", whole_x, across))
                inside = b.both(b.both(oy >= 0, oy < arg.oh), b.both(ox >= 0, ox < arg.ow))
                with b.when(b.both(fits, b.both(inside, b.both(down >= 0, across >= 0)))):
                    place = ((image * arg.oh + oy) * arg.ow + ox) * arg.c + at
                    number = b.broadcast(b.convert(i * arg.kw + j, I32), b.lanes)
                    mine = b.binary("eq", b.load(arg.choices, place, b.i32, mask), number)
                    value = b.load(arg.x, place, b.f32, mask)
                    b.set(total, b.get(total) + b.select(mine, value, zero))
            b.store(b.get(total), arg.out, target + at, mask)

        over_vectors(b, arg.c, channels)
