"""Windows of an array as the columns or rows of matrices ("im2col": Chellapilla et al. 2006).

A correlation slides a kernel of F taps, `dilation` apart, over an input in steps of `stride`; the
first window starts `padding` elements before it (after it if negative), and what lies outside is
zero. Copied out, the windows make the correlation one matrix product. `columns` is for images
stored plane by plane: one column per window, copied as runs of image rows. `rows` is for channels
stored last: one row per window, copied as runs of channels. Both hand out a few windows at a time,
so that they are still in cache when they are multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

Ints = tuple[int, ...]

_COLUMN_BYTES = 1 << 20
_ROW_BYTES = 4 << 20
"""How large the matrix of windows may grow: about the second-level cache."""


class Slide(NamedTuple):
    """How a kernel slides: all but `padding` are positive, one number per spatial dimension."""

    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints

    def reach(self, out_size: Ints) -> Ints:
        """Elements from the first tap of the first window to the last tap of the last."""
        return tuple(
            (o - 1) * t + d * (f - 1) + 1
            for o, f, t, d in zip(out_size, self.kernel, self.stride, self.dilation, strict=True)
        )


class Part(NamedTuple):
    """Windows of some images: all of them, or those of some rows of one image."""

    images: slice
    windows: slice
    matrix: np.ndarray


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, C, *S) seen as (N, *S, C); for weights (K, *F, C)."""
    return x.transpose(0, *range(2, x.ndim), 1)


def _inside(size: Ints, padding: Ints, reach: Ints) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the input goes in what the windows reach over, and which part of it."""
    target, source = [], []
    for s, p, r in zip(size, padding, reach, strict=True):
        start, stop = max(p, 0), min(p + s, r)
        stop = max(stop, start)
        target.append(slice(start, stop))
        source.append(slice(start - p, stop - p))
    return tuple(target), tuple(source)


def columns(x: np.ndarray, out_size: Ints, slide: Slide, least: int) -> Iterator[Part]:
    """Matrices (C * F, windows) of an input (N, C, *S), with `least` windows each where possible.

    Several images stand side by side if one has too few windows; of one that has many, some rows
    are taken at a time. The matrix is overwritten by the next one.
    """
    n, c = x.shape[:2]
    rest = math.prod(out_size[1:])
    count = out_size[0] * rest
    depth = c * math.prod(slide.kernel)
    images = max(1, min(n, -(-least // count)))
    rows = out_size[0]
    if images == 1:
        budget = _COLUMN_BYTES // (depth * rest * x.itemsize)
        rows = min(rows, max(1, budget, -(-least // rest)))
    source = _Planes(x, out_size, slide, images)
    buffer = np.empty(depth * images * rows * rest, x.dtype)
    for first in range(0, n, images):
        part = slice(first, min(first + images, n))
        source.load(part)
        for start in range(0, out_size[0], rows):
            stop = min(start + rows, out_size[0])
            shape = (part.stop - first, stop - start, *out_size[1:])
            matrix = buffer[: depth * math.prod(shape)].reshape(c, *slide.kernel, *shape)
            source.copy(matrix, start)
            yield Part(part, slice(start * rest, stop * rest), matrix.reshape(depth, -1))


class _Planes:
    """What the windows of a few images reach over, in an order from which they are copied in runs.

    With a stride of t, elements t apart are brought together first, phase by phase: a tap then
    meets neighbours, and the taps of one phase are copied together.
    """

    def __init__(self, x: np.ndarray, out_size: Ints, slide: Slide, images: int) -> None:
        self.x = x
        self.slide = slide
        size = x.shape[2:]
        reach = slide.reach(out_size)
        self.phases = max(slide.stride) > 1 and math.prod(slide.kernel) > 1
        if self.phases:
            reach = tuple(-(-r // t) * t for r, t in zip(reach, slide.stride, strict=True))
        inside = all(r <= s for r, s in zip(reach, size, strict=True))
        self.direct = inside and not any(slide.padding) and not self.phases
        if not self.direct:
            self.whole = np.zeros((images, x.shape[1], *reach), x.dtype)
            self.target, self.source = _inside(size, slide.padding, reach)
        self.view = x
        self.classes = list(_tap_classes(slide) if self.phases else _one_class(slide))

    def load(self, part: slice) -> None:
        """Take the images of `part`."""
        if self.direct:
            self.view = self.x[part]
            return
        whole = self.whole[: part.stop - part.start]
        inside: tuple[Any, ...] = (Ellipsis, *self.target)
        whole[inside] = self.x[(part, slice(None), *self.source)]
        self.view = self._by_phase(whole) if self.phases else whole

    def _by_phase(self, whole: np.ndarray) -> np.ndarray:
        """(n, C, *R) as (*phases, n, C, *R / stride), contiguous."""
        stride = self.slide.stride
        dims = len(stride)
        split = [s for r, t in zip(whole.shape[2:], stride, strict=True) for s in (r // t, t)]
        order = [*range(3, 3 + 2 * dims, 2), 0, 1, *range(2, 2 + 2 * dims, 2)]
        return np.ascontiguousarray(whole.reshape(*whole.shape[:2], *split).transpose(order))

    def copy(self, matrix: np.ndarray, start: int) -> None:
        """The windows from row `start` of the output on into `matrix` (C, *F, n, rows, ...)."""
        dims = len(self.slide.kernel)
        for taps, phase, begin, spacing, step in self.classes:
            target = matrix[(slice(None), *taps)]
            first, *others = begin
            where = (slice(first + start * step[0], None), *(slice(b, None) for b in others))
            view = self.view[phase][(slice(None), slice(None), *where)]
            inner = view.strides[2:]
            strides = (
                view.strides[1],
                *(s * d for s, d in zip(inner, spacing, strict=True)),
                view.strides[0],
                *(s * t for s, t in zip(inner, step, strict=True)),
            )
            shape = (*target.shape[: 1 + dims], view.shape[0], *target.shape[2 + dims :])
            np.copyto(target, as_strided(view, shape, strides, writeable=False))


TapClass = tuple[tuple[slice, ...], tuple[int, ...], Ints, Ints, Ints]
"""Taps that one strided view shows: which, their phase, where the first begins, how far they are
apart, and how far the windows are apart."""


def _one_class(slide: Slide) -> Iterator[TapClass]:
    dims = len(slide.kernel)
    yield (slice(None),) * dims, (), (0,) * dims, slide.dilation, slide.stride


def _tap_classes(slide: Slide) -> Iterator[TapClass]:
    """The taps by the phase that they meet: i d = phase (mod t)."""
    common = [math.gcd(t, d) for t, d in zip(slide.stride, slide.dilation, strict=True)]
    steps = [t // c for t, c in zip(slide.stride, common, strict=True)]
    spacing = tuple(d // c for d, c in zip(slide.dilation, common, strict=True))
    for first in np.ndindex(*(min(s, f) for s, f in zip(steps, slide.kernel, strict=True))):
        shift = [i * d for i, d in zip(first, slide.dilation, strict=True)]
        yield (
            tuple(slice(i, None, s) for i, s in zip(first, steps, strict=True)),
            tuple(s % t for s, t in zip(shift, slide.stride, strict=True)),
            tuple(s // t for s, t in zip(shift, slide.stride, strict=True)),
            spacing,
            (1,) * len(first),
        )


def rows(x: np.ndarray, out_size: Ints, slide: Slide) -> Iterator[Part]:
    """Matrices (windows, F * C) of an input (N, C, *S), a few images at a time."""
    n, c = x.shape[:2]
    depth = c * math.prod(slide.kernel)
    per_image = math.prod(out_size) * depth * x.itemsize
    images = max(1, min(n, _ROW_BYTES // max(per_image, 1)))
    reach = slide.reach(out_size)
    last = channels_last(x)
    padded = any(slide.padding) or any(r > s for r, s in zip(reach, x.shape[2:], strict=True))
    target, source = _inside(x.shape[2:], slide.padding, reach)
    whole = np.zeros((images, *reach, c), x.dtype) if padded else last
    for first in range(0, n, images):
        part = slice(first, min(first + images, n))
        if padded:
            whole[(slice(0, part.stop - first), *target)] = last[(part, *source)]
            view = whole[: part.stop - first]
        else:
            view = last[part]
        yield Part(part, slice(None), _window_rows(view, out_size, slide).reshape(-1, depth))


def _window_rows(view: np.ndarray, out_size: Ints, slide: Slide) -> np.ndarray:
    """(n, *R, C) as (n, *O, *F, C): entry [n, o, f] is what tap f of window o meets."""
    inner = view.strides[1:-1]
    strides = (
        view.strides[0],
        *(s * t for s, t in zip(inner, slide.stride, strict=True)),
        *(s * d for s, d in zip(inner, slide.dilation, strict=True)),
        view.strides[-1],
    )
    shape = (view.shape[0], *out_size, *slide.kernel, view.shape[-1])
    return as_strided(view, shape, strides, writeable=False)
