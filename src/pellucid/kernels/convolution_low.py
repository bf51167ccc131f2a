"""Convolution in low precision: windows of words, as `convolution` has windows of floats."""

from __future__ import annotations

from pellucid.kernels.convolution import window
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, I32
from pellucid.kernels.tile import width
from pellucid.kernels.tile_low import (
    PER_WORD,
    Output,
    Scales,
    element,
    panel_rows,
    tile_scratch,
    write_tiles,
)


@kernel(
    "x: ptr, w: ptr, out: ptr, low: ptr, bias: ptr, residual: ptr, scratch: ptr, images: i64, "
    "h: i64, w_: i64, c: i64, oh: i64, ow: i64, k: i64, kh: i64, kw: i64, sh: i64, sw: i64, "
    "ph: i64, pw: i64, dh: i64, dw: i64, x_row: i64, x_image: i64, x_pixel: i64, groups: i64, "
    "mc: i64, nc: i64, lda: i64, a_scale: ptr, a_zero: ptr, b_scale: ptr, b_sum: ptr"
)
def conv_low(
    b: KernelBuilder, *, kind: str, out: str, bias: bool, residual: str, activation: str,
    in_place: bool, runs: bool = False,
) -> None:  # fmt: skip
    """Blocks of `mc` output pixels and `nc` panels of output channels, for each group.

    `c` counts words of one group's channels, and so do the distances of x; `k` is output channels
    of one group. Each thread has `mc * lda` words of scratch, and a vector. `out` and `residual`
    are as in `gemm_low`. For kind "i8" all of x has one scale and zero, output channels have
    scales and sums, whole panels of them for each group. With `in_place` (1x1, stride 1, no
    padding) rows of A are x's pixels. With `runs`, for pixels that are no whole words, `c` and the
    distances of x count numbers instead, and each row of a window, not each pixel, is filled up to
    words: it fits into a vector.
    """
    write_tiles(b, kind)
    b.begin()
    arg, nr = b.arg, width(b.target)
    sums = tile_scratch(b)
    pixels = arg.images * arg.oh * arg.ow
    steps = arg.c * arg.kh * arg.kw
    if runs:
        steps = b.ceil_div(arg.kw * arg.c, PER_WORD[kind]) * arg.kh
    panels = b.ceil_div(arg.k, nr)
    across, down = b.ceil_div(panels, arg.nc), b.ceil_div(pixels, arg.mc)
    scratch = b.offset(arg.scratch, b.thread * (arg.mc * arg.lda + b.lanes))
    row_length = arg.groups * arg.k
    outside: Value | None = None
    if kind == "i8":
        word = b.load(arg.a_zero, 0, I32) * 0x01010101
        outside = b.broadcast(b.bitcast(word, F32), b.lanes)
    numbers = element(kind).of(PER_WORD[kind] * b.lanes)
    whole = b.tail_mask(arg.kw * arg.c, numbers) if runs else None
    with b.units(arg.groups * across * down) as block:
        group, rest = block // (across * down), block % (across * down)
        column, row = rest // down, rest % down
        top = row * arg.mc
        count = b.minimum(arg.mc, pixels - top)
        x = b.offset(arg.x, group * arg.c, element(kind) if runs else F32)
        if in_place:
            a, lda = b.offset(x, top * arg.x_pixel), arg.x_pixel
        else:
            a, lda = scratch, arg.lda
            with b.loop("pixel", 0, count) as pixel:
                place = b.offset(scratch, pixel * lda)
                if whole is None:
                    window(b, x, place, top + pixel, outside)
                else:
                    _runs(b, kind, x, place, top + pixel, whole, outside)
        at = top * row_length + group * arg.k
        target = Output(
            b.offset(arg.out, at) if out != "bf16" else None, row_length,
            b.offset(arg.low, at, BF16) if out != "f32" else None, row_length,
            b.offset(arg.bias, group * arg.k) if bias else None,
            b.offset(arg.residual, at, BF16 if residual == "bf16" else F32) if residual else None,
            row_length, residual, activation, _scales(b, kind, group * panels * nr),
        )  # fmt: skip
        weights = b.offset(arg.w, group * panels * steps * nr, I32)
        last = b.minimum((column + 1) * arg.nc, panels)
        with b.loop("panel", column * arg.nc, last) as panel:
            source = b.offset(weights, panel * steps * nr, I32)
            panel_rows(b, kind, a, lda, source, steps, count, target, panel * nr,
                       arg.k - panel * nr, sums)  # fmt: skip


def _runs(
    b: KernelBuilder, kind: str, x: Value, target: Value, pixel: Value, whole: Value,
    outside: Value | None,
) -> None:  # fmt: skip
    """Copy the window of one output pixel: a row of it is one run of numbers, `whole` its lanes.

    What lies beside the image is left out by the mask, and what is left out is not read.
    """
    arg, numbers = b.arg, element(kind).of(PER_WORD[kind] * b.lanes)
    image, inside = pixel // (arg.oh * arg.ow), pixel % (arg.oh * arg.ow)
    top = inside // arg.ow * arg.sh - arg.ph
    left = inside % arg.ow * arg.sw - arg.pw
    words = b.ceil_div(arg.kw * arg.c, PER_WORD[kind])
    zero = b.broadcast(b.constant(0.0, F32), b.lanes)
    nothing = b.bitcast(zero if outside is None else outside, numbers)
    lanes = b.iota(I32.of(numbers.lanes))

    def copy(row: Value, line: Value, mask: Value) -> None:
        value = b.load(line, left * arg.c, numbers, mask)
        b.store(value if outside is None else b.select(mask, value, nothing), row, 0)

    with b.loop("i", 0, arg.kh) as i:
        y, row = top + i * arg.dh, b.offset(target, i * words, I32)
        with b.when(b.both(y >= 0, y < arg.h)):
            line = b.offset(x, image * arg.x_image + y * arg.x_row, element(kind))
            with b.when(b.both(left >= 0, left + arg.kw <= arg.w_)):
                copy(row, line, whole)
            with b.otherwise():
                first = b.maximum(-left, 0) * arg.c
                last = b.minimum(arg.kw, arg.w_ - left) * arg.c
                after = b.binary("ge", lanes, b.convert(first, I32))
                copy(row, line, b.both(after, b.binary("lt", lanes, b.convert(last, I32))))
        with b.otherwise():
            b.store(nothing, row, 0)


def _scales(b: KernelBuilder, kind: str, first: Value) -> Scales | None:
    if kind != "i8":
        return None
    arg = b.arg
    columns, sums = b.offset(arg.b_scale, first), b.offset(arg.b_sum, first, I32)
    return Scales(arg.a_scale, arg.a_zero, columns, sums, 0)
