"""Which kernel for which sizes, and in which blocks, for plans and eager calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from pellucid.kernels.target import current
from pellucid.kernels.tile import width

PARTS = 4
"""Units of work for each thread: threads that are interrupted leave theirs to the others."""
LARGE_WEIGHTS = 3 << 20
"""Transformed weights above this are read once for all tiles, not once for each chunk."""
_CACHE = 320 << 10
_MANY_CHANNELS = 16

Pair = tuple[int, int]
Ints = tuple[int, ...]
Extras = tuple[Any, Any]
"""Where bias and residual lie; 0 for none."""


_PANEL = 400 << 10
"""A panel of B that is read again for each row tile stays in L2."""
_FEW_ROWS = 192
_PAGE = 4096


class Blocks(NamedTuple):
    """Blocks of a product: rows, panels, and the depth that is summed at a time."""

    mc: int
    nc: int
    kc: int


def plan_product(rows: int, panels: int, depth: int, threads: int) -> Blocks:
    """Every thread gets some blocks; A's part of a block and a panel of B stay in L2."""
    kc = _piece(depth)
    if rows <= _FEW_ROWS:
        return Blocks(max(rows, 1), max(-(-panels // (PARTS * threads)), 1), kc)
    step = current().rows
    parts = -(-rows // 168)
    mc = -(-rows // parts)
    return Blocks(-(-mc // step) * step, max(min(panels, 16), 1), kc)


def _piece(depth: int) -> int:
    """The depth that is summed at a time."""
    pieces = max(-(-depth * 4 * width(current()) // _PANEL), 1)
    return max(-(-depth // pieces), 1)


def spread_rows(row: int) -> int:
    """Elements between rows of A, so that the rows of a tile do not all lie in the same lines of
    the L1 cache, as they do a multiple of a page apart: a third of the speed.
    """
    return row + 16 if row and 4 * row % _PAGE == 0 else row


class Images(NamedTuple):
    """Sizes of a convolution: images (n, c, h, w) give (n, k, oh, ow); c and k count all groups."""

    n: int
    c: int
    h: int
    w: int
    k: int
    oh: int
    ow: int
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @classmethod
    def of(
        cls, x: Ints, out: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints,
        groups: int,
    ) -> Images:  # fmt: skip
        """From the shapes of images and result and the geometry in both dimensions."""
        (n, c, h, w), (_, k, oh, ow) = x, out
        taps, steps, sides, apart = [(a, b) for a, b in (kernel, stride, padding, dilation)]
        return cls(n, c, h, w, k, oh, ow, taps, steps, sides, apart, groups)

    @property
    def depth(self) -> int:
        """Numbers that go into one output."""
        return self.kernel[0] * self.kernel[1] * (self.c // self.groups)


def is_depthwise(g: Images) -> bool:
    """One filter for each channel."""
    return g.groups > 1 and g.groups == g.c == g.k


def suits_winograd(g: Images) -> bool:
    """3x3 without stride or dilation, with channels enough to pay for the transforms."""
    return (
        g.kernel == (3, 3) and g.stride == (1, 1) == g.dilation and g.groups == 1
        and min(g.c, g.k) >= _MANY_CHANNELS
    )  # fmt: skip


@dataclass(frozen=True)
class Winograd:
    """F(m x m, 3 x 3) in chunks of tiles; `v` and `products` are floats of scratch."""

    images: Images
    m: int
    shared: bool
    chunk: int
    v_row: int
    p_row: int
    v: int
    products: int

    def arguments(self, x: Any, u: Any, out: Any, extras: Extras, v: Any, p: Any) -> list[Any]:
        """What the kernel `winograd` is called with."""
        g = self.images
        return [x, u, out, *extras, v, p, g.n, g.h, g.w, g.c, g.k, g.oh, g.ow, *g.padding,
                self.chunk, self.v_row, self.p_row]  # fmt: skip


def plan_winograd(g: Images, threads: int) -> Winograd:
    """F(4, 3) if there are tiles for it; chunks whose scratch stays in a thread's cache."""
    m = 4 if g.n * -(-g.oh // 4) * -(-g.ow // 4) >= _MANY_CHANNELS else 2
    tiles, places = g.n * -(-g.oh // m) * -(-g.ow // m), (m + 2) ** 2
    shared = 4 * places * g.c * g.k > LARGE_WEIGHTS
    rows = current().rows
    if shared:
        chunk = min(tiles, max((8 << 20) // (4 * places * (g.c + g.k)), rows))
    else:
        chunk = max(_CACHE // (4 * places * (g.c + g.k)) // rows, 2) * rows
        parts = -(-tiles // chunk)
        parts = -(-parts // threads) * threads
        chunk = max(-(-tiles // parts), 1)
    nr = width(current())
    v_row, p_row = padded(g.c, 16), padded(g.k, nr)
    room = (1 if shared else threads) * places * chunk
    return Winograd(g, m, shared, chunk, v_row, p_row, room * v_row, room * p_row)


def padded(channels: int, whole: int) -> int:
    """Elements between tiles: a multiple of `whole`, but not of a page's quarter."""
    rounded = -(-channels // whole) * whole
    return rounded + 16 if rounded % 256 == 0 else rounded


@dataclass(frozen=True)
class Windows:
    """Blocks of `mc` windows and `nc` panels of channels; `scratch` is floats of scratch."""

    images: Images
    in_place: bool
    mc: int
    nc: int
    kc: int
    lda: int
    scratch: int

    @property
    def cut(self) -> bool:
        """Whether the depth is summed in several pieces."""
        return self.kc < self.images.depth

    def arguments(self, x: Any, w: Any, out: Any, extras: Extras, scratch: Any) -> list[Any]:
        """What the kernel `conv_windows` is called with."""
        g = self.images
        return [x, w, out, *extras, scratch, g.n, g.h, g.w, g.c // g.groups, g.oh, g.ow,
                g.k // g.groups, *g.kernel, *g.stride, *g.padding, *g.dilation, g.w * g.c,
                g.h * g.w * g.c, g.c, g.groups, self.mc, self.nc, self.kc, self.lda]  # fmt: skip


def plan_windows(g: Images, threads: int) -> Windows:
    """Many windows are shared out to the threads, else the output channels are."""
    depth, pixels = g.depth, g.n * g.oh * g.ow
    in_place = g.kernel == (1, 1) == g.stride and not any(g.padding)
    in_place = in_place and (g.oh, g.ow) == (g.h, g.w)
    lda = spread_rows(depth)
    panels, rows = -(-(g.k // g.groups) // width(current())), current().rows
    if pixels // threads >= 4 * rows or g.groups >= threads:
        mc, nc = max((128 << 10) // (4 * lda) // rows, 2) * rows, panels
        parts = -(-pixels // min(mc, pixels))
        parts = -(-parts // threads) * threads
        share = -(-pixels // parts)
        mc = max(-(-share // rows) * rows, rows)
    else:
        mc, nc = pixels, max(-(-panels // (PARTS * threads)), 1)
    scratch = threads * (mc * lda + current().lanes)
    return Windows(g, in_place, mc, nc, _piece(depth), lda, scratch)


def depthwise_arguments(g: Images, x: Any, w: Any, out: Any, extras: Extras) -> list[Any]:
    """What the kernel `conv_depthwise` is called with."""
    return [x, w, out, *extras, g.n, g.h, g.w, g.c, g.oh, g.ow, *g.kernel, *g.stride,
            *g.padding, *g.dilation]  # fmt: skip


@dataclass(frozen=True)
class WeightGradient:
    """Bands of `band` x `across` output pixels; `scratch` is floats of scratch, for all threads."""

    images: Images
    taps: bool
    band: int
    across: int
    lda: int
    room: int
    scratch: int

    def arguments(
        self, x: Any, grad: Any, out: Any, scratch: Any, steps: tuple[int, int, int]
    ) -> list[Any]:
        """What the kernel `weight_gradient` is called with; `steps` from a channel, a pixel, an
        image of the gradient to the next.
        """
        g = self.images
        return [x, grad, out, scratch, g.n, g.h, g.w, g.c // g.groups, g.oh, g.ow,
                g.k // g.groups, *g.kernel, *g.stride, *g.padding, *g.dilation, g.w * g.c,
                g.h * g.w * g.c, g.c, g.groups, *steps, self.band, self.across, self.room,
                self.lda]  # fmt: skip


_BAND, _WIDEST = 256, 512
_WINDOWS = 32 << 10


def plan_weight_gradient(g: Images, threads: int) -> WeightGradient:
    """By taps where the channels fill a panel; a band is some rows, or a piece of a long one."""
    nr = width(current())
    taps = g.c // g.groups >= nr or g.kernel == (1, 1)
    lda = g.depth + (-g.depth) % current().lanes
    pixels = _BAND if taps else max(_WINDOWS // lda, 1)
    if g.ow > max(_WIDEST, pixels):
        band, across = 1, pixels
    else:
        band, across = min(max(pixels // g.ow, 1), g.oh), g.ow
    room = band * across * (nr if taps else lda) + current().lanes
    return WeightGradient(g, taps, band, across, lda, room, threads * room)


@dataclass(frozen=True)
class WinogradWeights:
    """`chunk` tiles at a time; `v`, `d` and `room` are floats of scratch."""

    images: Images
    m: int
    chunk: int
    v_row: int
    d_row: int
    v: int
    d: int
    room: int

    def arguments(self, x: Any, grad: Any, out: Any, v: Any, d: Any, room: Any) -> list[Any]:
        """What the kernel `winograd_weights` is called with."""
        g = self.images
        return [x, grad, out, v, d, room, g.n, g.h, g.w, g.c, g.k, g.oh, g.ow, *g.padding,
                self.chunk, self.v_row, self.d_row]  # fmt: skip


_TRANSFORMED = 8 << 20
"""Bytes of transformed images and gradients that stay in the last cache."""


def plan_winograd_weights(g: Images, threads: int, rows: int) -> WinogradWeights:
    """F(4, 3); `rows` output channels are a unit of work."""
    m, places, nr = 4, 36, width(current())
    tiles = g.n * -(-g.oh // m) * -(-g.ow // m)
    v_row, d_row = padded(g.c, nr), padded(g.k, 16)
    most = max(_TRANSFORMED // (4 * places * (v_row + d_row)), 64)
    chunk = max(-(-tiles // -(-tiles // most)), 1)
    # A tile of products reads up to a vector past its rows.
    d = places * chunk * d_row + 16
    return WinogradWeights(g, m, chunk, v_row, d_row, places * chunk * v_row + nr, d,
                           threads * places * rows * nr)  # fmt: skip
