"""Blocks of products in low precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.kernels.choose import (
    LARGE_WEIGHTS,
    PARTS,
    Extras,
    Images,
    Winograd,
    padded,
    suits_winograd,
)
from pellucid.kernels.pack import packed_rows
from pellucid.kernels.prepack import window_weights
from pellucid.kernels.target import current
from pellucid.kernels.tile import width

_FEW_ROWS = 192
_CACHE = 384 << 10
"""Bytes of A that stay in the L2 cache beside a panel of B."""
_WINOGRAD_CHANNELS = 32


def spread_words(words: int) -> int:
    """Words between rows of A, so that they do not lie a multiple of a page apart: see
    `choose.spread_rows`.
    """
    return words + 16 if words and words % 1024 == 0 else words


def blocks_low(rows: int, panels: int, steps: int, threads: int) -> tuple[int, int]:
    """Rows and panels of a block: with few rows the columns are shared out to the threads."""
    if rows <= _FEW_ROWS:
        return max(rows, 1), max(-(-panels // (PARTS * threads)), 1)
    return _block(rows, 4 * steps, threads), panels


def _block(rows: int, nbytes: int, threads: int) -> int:
    """Rows of a block of equal ones, as many as the cache holds, a multiple of the threads."""
    most = max(_CACHE // nbytes, 2 * current().rows)
    parts = -(-rows // most)
    parts = -(-parts // threads) * threads
    return max(-(-rows // parts), 1)


@dataclass(frozen=True)
class WindowsLow:
    """Blocks of `mc` windows and `nc` panels; a pixel has `words` of each group's channels, with
    `runs` numbers; `scratch` is words of scratch.
    """

    images: Images
    in_place: bool
    runs: bool
    words: int
    mc: int
    nc: int
    lda: int
    scratch: int

    @property
    def form(self) -> tuple[Any, ...]:
        """What the order of packed weights depends on."""
        return self.runs, self.words, self.images.groups

    def panels(self, w: np.ndarray, per: int) -> tuple[np.ndarray, int]:
        """Filters (K, C / groups, kh, kw) as panels of floats, filled up with zeros to words of
        `per` numbers: by pixels, or by rows of a window; and the rows of a panel.
        """
        g = self.images
        if not self.runs and self.words * per == g.c // g.groups:
            return window_weights(w, g.groups), g.depth
        k, c, (kh, kw) = g.k // g.groups, g.c // g.groups, g.kernel
        parts = w.reshape(g.groups, k, c, kh, kw).transpose(0, 3, 4, 2, 1)
        if self.runs:
            full = np.zeros((1, kh, -(-kw * c // per) * per, k), np.float32)
            full[:, :, : kw * c] = parts.reshape(1, kh, kw * c, k)
        else:
            full = np.zeros((g.groups, kh, kw, self.words * per, k), np.float32)
            full[..., :c, :] = parts
        matrix = full.reshape(g.groups, -1, k)
        return packed_rows(matrix), matrix.shape[1]

    def arguments(
        self, x: Any, w: Any, outs: tuple[Any, Any], extras: Extras, scratch: Any,
        scales: tuple[Any, Any, Any, Any] = (0, 0, 0, 0),
    ) -> list[Any]:  # fmt: skip
        """What the kernel `conv_low` is called with."""
        g = self.images
        pixel = self.words * g.groups
        return [x, w, *outs, *extras, scratch, g.n, g.h, g.w, self.words, g.oh, g.ow,
                g.k // g.groups, *g.kernel, *g.stride, *g.padding, *g.dilation, g.w * pixel,
                g.h * g.w * pixel, pixel, g.groups, self.mc, self.nc, self.lda,
                *scales]  # fmt: skip


def plan_windows_low(g: Images, per: int, threads: int) -> WindowsLow:
    """`per` numbers are in a word. Many windows are shared out to the threads, else the panels."""
    runs = bool(g.c % per) and g.groups == g.dilation[1] == 1
    runs = runs and g.kernel[1] > 1 and g.kernel[1] * g.c <= per * current().lanes
    words = g.c if runs else -(-(g.c // g.groups) // per)
    steps = g.kernel[0] * (-(-g.kernel[1] * g.c // per) if runs else words * g.kernel[1])
    pixels = g.n * g.oh * g.ow
    in_place = g.kernel == (1, 1) == g.stride and not any(g.padding)
    in_place = in_place and (g.oh, g.ow) == (g.h, g.w)
    in_place = in_place and spread_words(words * g.groups) == words * g.groups
    lda = spread_words(steps)
    panels = -(-(g.k // g.groups) // width(current()))
    if pixels // threads >= 4 * current().rows or g.groups >= threads:
        mc, nc = _block(pixels, 4 * lda, threads), panels
    else:
        mc, nc = pixels, max(-(-panels // (PARTS * threads)), 1)
    scratch = threads * (mc * lda + current().lanes)
    return WindowsLow(g, in_place, runs, words, mc, nc, lda, scratch)


def plan_winograd_low(g: Images, threads: int) -> Winograd:
    """F(2, 3) with images and weights of half the size."""
    places = 16
    tiles = g.n * -(-g.oh // 2) * -(-g.ow // 2)
    shared = 2 * places * g.c * g.k > LARGE_WEIGHTS
    rows, nbytes = current().rows, places * (2 * g.c + 4 * g.k)
    if shared:
        chunk = min(tiles, max((8 << 20) // nbytes, rows))
    else:
        chunk = max(_CACHE // nbytes // rows, 2) * rows
        parts = -(-tiles // chunk)
        parts = -(-parts // threads) * threads
        chunk = max(-(-tiles // parts), 1)
    v_row, p_row = -(-g.c // 32) * 32, padded(g.k, width(current()))
    v_row += 32 if v_row % 512 == 0 else 0
    room = (1 if shared else threads) * places * chunk
    return Winograd(g, 2, shared, chunk, v_row, p_row, room * v_row, room * p_row)


def winograd_pays(g: Images) -> bool:
    """Whether the transforms cost less than the products that they save. Pixels must be whole
    words, since they are read one after the other.
    """
    return suits_winograd(g) and min(g.c, g.k) >= _WINOGRAD_CHANNELS and g.c % 2 == 0
