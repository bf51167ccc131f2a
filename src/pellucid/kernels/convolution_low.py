"""Convolution in low precision: windows of words, as `convolution` has windows of floats."""

from __future__ import annotations

from pellucid.kernels.convolution import window
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, I32
from pellucid.kernels.tile import width
from pellucid.kernels.tile_low import Output, Scales, panel_rows, tile_scratch, write_tiles


@kernel(
    "x: ptr, w: ptr, out: ptr, low: ptr, bias: ptr, residual: ptr, scratch: ptr, images: i64, "
    "h: i64, w_: i64, c: i64, oh: i64, ow: i64, k: i64, kh: i64, kw: i64, sh: i64, sw: i64, "
    "ph: i64, pw: i64, dh: i64, dw: i64, x_row: i64, x_image: i64, x_pixel: i64, groups: i64, "
    "mc: i64, nc: i64, lda: i64, a_scale: ptr, a_zero: ptr, b_scale: ptr, b_sum: ptr"
)
def conv_low(
    b: KernelBuilder, *, kind: str, out: str, bias: bool, residual: str, activation: str,
    in_place: bool,
) -> None:  # fmt: skip
    """Blocks of `mc` output pixels and `nc` panels of output channels, for each group.

    `c` counts words of one group's channels, and so do the distances of x; `k` is output channels
    of one group. Each thread has `mc * lda` words of scratch, and a vector. `out` and `residual`
    are as in `gemm_low`. For kind "i8" all of x has one scale and zero, output channels have
    scales and sums. With `in_place` (1x1, stride 1, no padding) rows of A are x's pixels.
    """
    write_tiles(b, kind)
    b.begin()
    arg, nr = b.arg, width(b.target)
    sums = tile_scratch(b)
    pixels = arg.images * arg.oh * arg.ow
    steps = arg.c * arg.kh * arg.kw
    panels = b.ceil_div(arg.k, nr)
    across, down = b.ceil_div(panels, arg.nc), b.ceil_div(pixels, arg.mc)
    scratch = b.offset(arg.scratch, b.thread * (arg.mc * arg.lda + b.lanes))
    row_length = arg.groups * arg.k
    outside = None
    if kind == "i8":
        word = b.load(arg.a_zero, 0, I32) * 0x01010101
        outside = b.broadcast(b.bitcast(word, F32), b.lanes)
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
                window(b, x, b.offset(scratch, pixel * lda), top + pixel, outside)
        at = top * row_length + group * arg.k
        target = Output(
            b.offset(arg.out, at) if out != "bf16" else None, row_length,
            b.offset(arg.low, at, BF16) if out != "f32" else None, row_length,
            b.offset(arg.bias, group * arg.k) if bias else None,
            b.offset(arg.residual, at, BF16 if residual == "bf16" else F32) if residual else None,
            row_length, residual, activation, _scales(b, kind, group * arg.k),
        )  # fmt: skip
        weights = b.offset(arg.w, group * panels * steps * nr, I32)
        last = b.minimum((column + 1) * arg.nc, panels)
        with b.loop("panel", column * arg.nc, last) as panel:
            source = b.offset(weights, panel * steps * nr, I32)
            panel_rows(b, kind, a, lda, source, steps, count, target, panel * nr,
                       arg.k - panel * nr, sums)  # fmt: skip


def _scales(b: KernelBuilder, kind: str, first: Value) -> Scales | None:
    if kind != "i8":
        return None
    arg = b.arg
    columns, sums = b.offset(arg.b_scale, first), b.offset(arg.b_sum, first, I32)
    return Scales(arg.a_scale, arg.a_zero, columns, sums, 0)
