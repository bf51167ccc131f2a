"""The gradient of a convolution for its weights: a product of the output's gradient with windows.

dW (k, taps * c) is the sum over images and output pixels of grad (k, pixels) times the windows
(pixels, taps * c). The columns of dW are shared out, so threads never add to the same number and
the result does not depend on how many there are. The sum goes over bands of pixels, whose part of
the gradient stays in the L2 cache while all columns pass by.
"""

from __future__ import annotations

from pellucid.kernels.convolution import window
from pellucid.kernels.gemm import Product, product_rows
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.tile import Panel, column_masks, width


@kernel(
    "x: ptr, grad: ptr, out: ptr, scratch: ptr, images: i64, h: i64, w_: i64, c: i64, oh: i64, "
    "ow: i64, k: i64, kh: i64, kw: i64, sh: i64, sw: i64, ph: i64, pw: i64, dh: i64, dw: i64, "
    "x_row: i64, x_image: i64, x_pixel: i64, groups: i64, g_k: i64, g_pixel: i64, g_image: i64, "
    "band: i64, across: i64, room: i64, lda: i64"
)
def weight_gradient(b: KernelBuilder, *, taps: bool, unit: bool) -> None:
    """x channels last and grad (N, K, OH, OW), its channels g_k and its pixels g_pixel apart, into
    out (K, kh, kw, c); c and k are channels of one group.

    A band is `band` rows by `across` columns of pixels. Each thread has `room` floats of scratch.
    With `taps` it holds a panel of channels of the pixels that one tap meets; without, for few
    channels, whole windows, `lda` floats apart. With `unit`, g_pixel is 1.
    """
    b.begin()
    arg, nr = b.arg, width(b.target)
    count = arg.kh * arg.kw
    columns = arg.c if taps else arg.c * count
    panels = b.ceil_div(columns, nr)
    scratch = b.offset(arg.scratch, b.thread * arg.room)
    start, stop = b.share(arg.groups * panels * (count if taps else 1))
    never = b.binary("lt", arg.groups, 0)
    with (
        b.loop("image", 0, arg.images) as image,
        b.loop("y", 0, arg.oh, arg.band) as y,
        b.loop("x0_", 0, arg.ow, arg.across) as left_x,
    ):
        first = b.both(
            b.binary("eq", image, 0), b.both(b.binary("eq", y, 0), b.binary("eq", left_x, 0))
        )
        size = b.minimum(arg.band, arg.oh - y), b.minimum(arg.across, arg.ow - left_x)
        depth, pixel = size[0] * size[1], y * arg.ow + left_x
        held = b.register(b.i64(-1), "held")
        with b.loop("unit", start, stop) as number:
            panel, rest = number % panels, number // panels
            tap, group = (rest % count, rest // count) if taps else (b.i64(0), rest)
            x = b.offset(arg.x, group * arg.c)
            left = columns - panel * nr
            if taps:
                _fill_tap(b, b.offset(x, image * arg.x_image + panel * nr), scratch, tap,
                          (y, left_x), size, left)  # fmt: skip
                source = Panel(scratch, nr)
            else:
                with b.when(b.binary("ne", group, b.get(held))), b.loop("p", 0, depth) as p:
                    window(b, x, b.offset(scratch, p * arg.lda),
                           image * arg.oh * arg.ow + pixel + p)  # fmt: skip
                b.set(held, group)
                source = Panel(b.offset(scratch, panel * nr), arg.lda, [])
            step = b.i64(1) if unit else arg.g_pixel
            product = Product(
                b.offset(arg.grad, image * arg.g_image + group * arg.k * arg.g_k + pixel * step),
                arg.g_k, 1 if unit else step,
                b.offset(arg.out, group * arg.k * count * arg.c + tap * arg.c), count * arg.c,
            )  # fmt: skip
            rows = (b.i64(0), arg.k)
            product_rows(b, product, source, rows, panel * nr, left, depth, 0, (first, never))


def _fill_tap(
    b: KernelBuilder, x: Value, target: Value, tap: Value, corner: tuple[Value, Value],
    size: tuple[Value, Value], left: Value,
) -> None:  # fmt: skip
    """The pixels of x that a tap meets from a band of output pixels, NR channels of each."""
    arg, nr = b.arg, width(b.target)
    i, j = tap // arg.kw, tap % arg.kw
    top, begin = corner
    zero = b.broadcast(b.constant(0.0, F32), b.lanes)

    def rows(masks: list[Value] | None) -> None:
        with b.loop("row", 0, size[0]) as row:
            line = (top + row) * arg.sh - arg.ph + i * arg.dh
            inside = b.both(line >= 0, line < arg.h)
            with b.loop("column", 0, size[1]) as column:
                at = (begin + column) * arg.sw - arg.pw + j * arg.dw
                place = (row * size[1] + column) * nr
                with b.when(b.both(inside, b.both(at >= 0, at < arg.w_))):
                    source = line * arg.x_row + at * arg.x_pixel
                    for v in range(b.target.vectors):
                        mask = masks[v] if masks else None
                        value = b.load(x, source + v * b.lanes, b.f32, mask)
                        b.store(value, target, place + v * b.lanes)
                with b.otherwise():
                    for v in range(b.target.vectors):
                        b.store(zero, target, place + v * b.lanes)

    with b.when(left >= nr):
        rows(None)
    with b.otherwise():
        rows(column_masks(b, left, b.target.vectors))
