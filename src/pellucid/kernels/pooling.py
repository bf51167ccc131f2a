"""Pooling of channels-last images (N, H, W, C): vectors of channels, rows of outputs shared out."""

from __future__ import annotations

from pellucid.kernels.convolution import taps
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32
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
