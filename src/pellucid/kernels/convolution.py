"""Convolution of channels-last images (N, H, W, C) as a matrix product.

A row of A is the window of one output pixel, (kh, kw, c) long; the weights are B, packed like any
other. Windows are copied for a block of pixels at a time into a scratch that stays in the cache, so
stride, padding and dilation concern only the copy. A 1x1 convolution without stride has its windows
in memory already.
"""

from __future__ import annotations

from pellucid.kernels.activations import ACTIVATIONS
from pellucid.kernels.gemm import Product, by_pieces, product_rows
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Register, Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.tile import Panel, width
from pellucid.kernels.vectors import over_vectors


@kernel(
    "x: ptr, w: ptr, out: ptr, bias: ptr, residual: ptr, scratch: ptr, images: i64, h: i64, "
    "w_: i64, c: i64, oh: i64, ow: i64, k: i64, kh: i64, kw: i64, sh: i64, sw: i64, ph: i64, "
    "pw: i64, "
    "dh: i64, dw: i64, x_row: i64, x_image: i64, x_pixel: i64, groups: i64, mc: i64, nc: i64, "
    "kc: i64, lda: i64"
)
def conv_windows(
    b: KernelBuilder, *, bias: bool, residual: bool, activation: str, in_place: bool,
    cut: bool = False,
) -> None:  # fmt: skip
    """Blocks of `mc` output pixels and `nc` panels of output channels, for each group.

    `c` and `k` are channels of one group. Pixels of x are `x_pixel` apart, rows `x_row`, images
    `x_image`. Each thread has `mc * lda` floats of scratch, and a vector. With `in_place` (1x1,
    stride 1, no padding) rows of A are x's pixels. With `cut` a block is finished for `kc` of the
    depth at a time, else for all of it.
    """
    b.begin()
    arg, nr = b.arg, width(b.target)
    pixels = arg.images * arg.oh * arg.ow
    depth = arg.c * arg.kh * arg.kw
    panels = b.ceil_div(arg.k, nr)
    across, down = b.ceil_div(panels, arg.nc), b.ceil_div(pixels, arg.mc)
    scratch = b.offset(arg.scratch, b.thread * (arg.mc * arg.lda + b.lanes))
    row_length = arg.groups * arg.k
    with b.units(arg.groups * across * down) as block:
        group, rest = block // (across * down), block % (across * down)
        column, row = rest // down, rest % down
        top = row * arg.mc
        count = b.minimum(arg.mc, pixels - top)
        x = b.offset(arg.x, group * arg.c)
        if in_place:
            a, lda = b.offset(x, top * arg.x_pixel), arg.x_pixel
        else:
            a, lda = scratch, arg.lda
            with b.loop("pixel", 0, count) as pixel:
                window(b, x, b.offset(scratch, pixel * lda), top + pixel)
        at = top * row_length + group * arg.k
        product = Product(
            a, lda, 1, b.offset(arg.out, at), row_length,
            b.offset(arg.bias, group * arg.k) if bias else None,
            b.offset(arg.residual, at) if residual else None, row_length, activation,
        )  # fmt: skip
        weights = b.offset(arg.w, group * panels * depth * nr)

        def piece(k0: Value, length: Value, ends: tuple[Value, Value] | None) -> None:
            last = b.minimum((column + 1) * arg.nc, panels)
            with b.loop("panel", column * arg.nc, last) as panel:
                source = Panel(b.offset(weights, (panel * depth + k0) * nr), nr)
                product_rows(b, product, source, (0, count), panel * nr, arg.k - panel * nr, length,
                             k0, ends)  # fmt: skip

        by_pieces(b, depth, arg.kc, cut, piece)


def window(
    b: KernelBuilder, x: Value, target: Value, pixel: Value, outside: Value | None = None
) -> None:
    """Copy the window of one output pixel; what lies outside the image is zero, or `outside`, a
    vector.

    Whole vectors are written, over the end of a run too: the next run begins there, and the scratch
    has room for one vector behind the last.
    """
    arg = b.arg
    image, inside = pixel // (arg.oh * arg.ow), pixel % (arg.oh * arg.ow)
    top = inside // arg.ow * arg.sh - arg.ph
    left = inside % arg.ow * arg.sw - arg.pw
    nothing = b.broadcast(b.constant(0.0, F32), b.lanes) if outside is None else outside

    def clear(at: Value, mask: Value | None) -> None:
        b.store(nothing, row, at)

    with b.loop("i", 0, arg.kh) as i:
        y = top + i * arg.dh
        row = b.offset(target, i * arg.kw * arg.c)
        inside_y = b.both(y >= 0, y < arg.h)
        with b.when(inside_y):
            line = b.offset(x, image * arg.x_image + y * arg.x_row)
            whole = b.both(left >= 0, left + arg.kw <= arg.w_)
            # Columns next to each other whose channels fill the pixel are one run of numbers.
            dense = b.both(b.binary("eq", arg.x_pixel, arg.c), b.binary("eq", arg.dw, 1))
            with b.when(b.both(whole, dense)):
                source = b.offset(line, left * arg.c)
                over_vectors(
                    b, arg.kw * arg.c,
                    lambda at, mask: b.store(b.load(source, at, b.f32, mask), row, at),
                )  # fmt: skip
            with b.otherwise(), b.loop("j", 0, arg.kw) as j:
                _tap(b, line, b.offset(row, j * arg.c), left + j * arg.dw, nothing)
        with b.otherwise():
            over_vectors(b, arg.kw * arg.c, clear)


def _tap(b: KernelBuilder, line: Value, target: Value, column: Value, nothing: Value) -> None:
    """Copy the channels of one pixel of a row, or `nothing` beside the image."""
    arg = b.arg
    inside = b.both(column >= 0, column < arg.w_)
    with b.when(inside):
        source = b.offset(line, column * arg.x_pixel)
        over_vectors(
            b, arg.c, lambda at, mask: b.store(b.load(source, at, b.f32, mask), target, at)
        )
    with b.otherwise():
        over_vectors(b, arg.c, lambda at, mask: b.store(nothing, target, at))


@kernel(
    "x: ptr, w: ptr, out: ptr, bias: ptr, residual: ptr, images: i64, h: i64, w_: i64, c: i64, "
    "oh: i64, ow: i64, kh: i64, kw: i64, sh: i64, sw: i64, ph: i64, pw: i64, dh: i64, dw: i64"
)
def conv_depthwise(b: KernelBuilder, *, bias: bool, residual: bool, activation: str) -> None:
    """One filter a channel: weights (kh, kw, c). Rows of output pixels are shared out."""
    b.begin()
    arg = b.arg
    start, stop = b.share(arg.images * arg.oh)

    def channels(at: Value, mask: Value | None) -> None:
        zero = b.broadcast(b.constant(0.0, F32), b.lanes)
        total = b.register(b.load(arg.bias, at, b.f32, mask) if bias else zero, "total")
        with (
            b.loop("i", b.get(first_i), b.get(last_i)) as i,
            b.loop("j", b.get(first_j), b.get(last_j)) as j,
        ):
            y, column = top + i * arg.dh, left + j * arg.dw
            place = ((image * arg.h + y) * arg.w_ + column) * arg.c
            value = b.load(arg.x, place + at, b.f32, mask)
            weight = b.load(arg.w, (i * arg.kw + j) * arg.c + at, b.f32, mask)
            b.set(total, b.fma(value, weight, b.get(total)))
        found = b.get(total)
        if residual:
            found = found + b.load(arg.residual, out + at, b.f32, mask)
        b.store(ACTIVATIONS[activation](b, found), arg.out, out + at, mask)

    with b.loop("row", start, stop) as row, b.loop("column", 0, arg.ow) as column:
        image, y = row // arg.oh, row % arg.oh
        top, left = y * arg.sh - arg.ph, column * arg.sw - arg.pw
        first_i, last_i = taps(b, top, arg.h, arg.kh, arg.dh)
        first_j, last_j = taps(b, left, arg.w_, arg.kw, arg.dw)
        out = (row * arg.ow + column) * arg.c
        over_vectors(b, arg.c, channels)


def taps(
    b: KernelBuilder, start: Value, size: Value, taps: Value, dilation: Value
) -> tuple[Register, Register]:
    """Registers with the first tap inside [0, size) and the one after the last."""
    before = b.maximum(-start, 0)
    first = b.minimum(b.ceil_div(before, dilation), taps)
    last = b.minimum(b.ceil_div(b.maximum(size - start, 0), dilation), taps)
    return b.register(first, "first"), b.register(b.maximum(last, first), "last")
