"""Weights of convolutions, with any strides, in the order in which kernels read them.

A training step uses new weights every time, so this is work of the threads and not of NumPy.
Strides may be negative: the gradient for the input convolves with the flipped filters.
"""

from __future__ import annotations

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.tile import width
from pellucid.kernels.winograd import apply, matrices


def _filters(b: KernelBuilder, base: Value, first: Value, count: Value, step: Value) -> Value:
    """A vector of numbers of `lanes` filters from number `first` on, zero from `count` on."""
    parts = []
    for lane in range(b.lanes):
        inside = b.binary("lt", first + lane, count)
        number = b.load(base, b.select(inside, (first + lane) * step, first * 0), F32)
        parts.append(b.select(inside, number, 0.0))
    return b.vector(parts)


@kernel(
    "w: ptr, out: ptr, groups: i64, k: i64, c: i64, kh: i64, kw: i64, w_group: i64, w_k: i64, "
    "w_c: i64, w_i: i64, w_j: i64"
)
def pack_filters(b: KernelBuilder) -> None:
    """Filters w (groups, k, c, kh, kw) as panels (group, k / NR, (kh, kw, c), NR)."""
    b.begin()
    arg, nr = b.arg, width(b.target)
    panels, taps = b.ceil_div(arg.k, nr), arg.kh * arg.kw
    start, stop = b.share(arg.groups * panels * taps)
    with b.loop("unit", start, stop) as unit:
        tap, rest = unit % taps, unit // taps
        panel, group = rest % panels, rest // panels
        base = group * arg.w_group + tap // arg.kw * arg.w_i + tap % arg.kw * arg.w_j
        target = b.offset(arg.out, unit * arg.c * nr)
        with b.loop("c", 0, arg.c) as c:
            source = b.offset(arg.w, base + c * arg.w_c)
            for j in range(b.target.vectors):
                value = _filters(b, source, panel * nr + j * b.lanes, arg.k, arg.w_k)
                b.store(value, target, c * nr + j * b.lanes)


@kernel("w: ptr, out: ptr, k: i64, c: i64, w_k: i64, w_c: i64, w_i: i64, w_j: i64")
def transform_filters(b: KernelBuilder, *, m: int) -> None:
    """G g G^T of filters w (k, c, 3, 3) as panels (place, k / NR, c, NR): see `winograd`."""
    b.begin()
    arg, nr = b.arg, width(b.target)
    panels, size = b.ceil_div(arg.k, nr), m + 2
    g = matrices(m)[1].tolist()
    kept = b.stack(4 * b.lanes * 3 * size)
    start, stop = b.share(panels * arg.c)
    with b.loop("unit", start, stop) as unit, b.loop("v", 0, nr, b.lanes) as v:
        panel, c = unit // arg.c, unit % arg.c
        with b.loop("x", 0, 3) as x:
            base = c * arg.w_c + arg.w_j * x
            taps = [
                _filters(b, b.offset(arg.w, base + arg.w_i * y), panel * nr + v, arg.k, arg.w_k)
                for y in range(3)
            ]
            for y, value in enumerate(apply(b, g, taps)):
                b.store(value, kept, (x * size + y) * b.lanes)
        with b.loop("y", 0, size) as y:
            columns = [b.load(kept, (y + x * size) * b.lanes, b.f32) for x in range(3)]
            for x, value in enumerate(apply(b, g, columns)):
                place = (y * size + x) * panels + panel
                b.store(value, arg.out, (place * arg.c + c) * nr + v)
