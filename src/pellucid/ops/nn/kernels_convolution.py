"""Convolution on arrays: NumPy and BLAS, any number of spatial dimensions; where `native` says so,
compiled kernels.

Each of the three directions is one correlation, a matrix product with windows of the input
(`kernels_windows`): forward; the input's gradient, which correlates the output's gradient with the
flipped kernel, for each phase of the stride on its own; and the weight's gradient, a product of the
output's gradient with the same windows as forward. Groups are a batch of products. Depthwise
convolution of channels-last images multiplies and adds whole shifted images instead.

Shapes: input (N, C, *S), weight (K, C / groups, *F), output (N, K, *O). All arrays are of one
dtype, with any strides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pellucid.ops import native
from pellucid.ops.blas import multiply, sketch
from pellucid.ops.nn.kernels_pooling import Window, blocks, plan
from pellucid.ops.nn.kernels_windows import Ints, Slide, channels_last, columns, rows

_FEW_WINDOWS = 256
_MANY_WINDOWS = 1024
"""Windows that a product should have at least: many, where it is added to a large result."""


class Geometry(NamedTuple):
    """Stride, padding (before and after alike) and dilation per spatial dimension, and groups."""

    stride: Ints
    padding: Ints
    dilation: Ints
    groups: int


def output_size(size: Ints, kernel: Ints, g: Geometry) -> Ints:
    """Spatial sizes of the output: floor((S + 2 p - d (F - 1) - 1) / s) + 1."""
    return tuple(
        (s + 2 * p - d * (f - 1) - 1) // t + 1
        for s, f, t, p, d in zip(size, kernel, g.stride, g.padding, g.dilation, strict=True)
    )


def _slide(kernel: Ints, g: Geometry) -> Slide:
    return Slide(kernel, g.stride, g.padding, g.dilation)


def _is_channels_last(x: np.ndarray) -> bool:
    return not x.flags.c_contiguous and channels_last(x).flags.c_contiguous


def _is_depthwise(x: np.ndarray, w: np.ndarray, groups: int) -> bool:
    """One filter for each channel."""
    return groups > 1 and groups == x.shape[1] == w.shape[0]


# -- forward


def forward(x: np.ndarray, w: np.ndarray, out: np.ndarray, g: Geometry) -> None:
    """Convolve into `out` (N, K, *O), in any order of memory."""
    if sketch.depth:
        sketch.skipped += 1
        out[...] = 0
        return
    slide = _slide(w.shape[2:], g)
    if native.convolves(x, w, out, g.groups):
        native.correlate(x, w, out, slide, g.groups)
    elif _is_depthwise(x, w, g.groups) and _is_channels_last(out):
        _forward_depthwise(x, w, out, slide)
    else:
        _correlate(x, w, out, slide, g.groups)


def _correlate(x: np.ndarray, w: np.ndarray, out: np.ndarray, slide: Slide, groups: int) -> None:
    """Correlate `x` with `w` into `out`."""
    if _is_channels_last(out):
        for one in range(groups):
            _correlate_rows(_group(x, 1, one, groups), _group(w, 0, one, groups),
                            _group(out, 1, one, groups), slide)  # fmt: skip
    elif math.prod(slide.kernel) == 1 and _covers(x, out, slide) and groups == 1:
        _correlate_points(x, w.reshape(w.shape[0], -1), out)
    else:
        _correlate_columns(x, w, out, slide, groups)


def _group(x: np.ndarray, axis: int, number: int, groups: int) -> np.ndarray:
    """The part of a group along the axis of channels."""
    size = x.shape[axis] // groups
    where = slice(number * size, (number + 1) * size)
    return x[(slice(None),) * axis + (where,)]


def _covers(x: np.ndarray, out: np.ndarray, slide: Slide) -> bool:
    """Whether windows of one tap meet every element of the input in turn."""
    plain = max(slide.stride) == 1 and not any(slide.padding)
    return plain and x.shape[2:] == out.shape[2:] and x.flags.c_contiguous


def _correlate_points(x: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """A kernel of one tap is a matrix product over the channels."""
    n, c = x.shape[:2]
    flat = x.reshape(n, c, -1)
    if out.flags.c_contiguous:
        multiply(matrix, flat, out.reshape(n, out.shape[1], -1))
    else:
        out[...] = multiply(matrix, flat).reshape(out.shape)


def _correlate_columns(
    x: np.ndarray, w: np.ndarray, out: np.ndarray, slide: Slide, groups: int
) -> None:
    k, out_size = out.shape[1], out.shape[2:]
    matrix = w.reshape(groups, k // groups, -1)
    for part in columns(x, out_size, slide, _FEW_WINDOWS):
        images = part.images.stop - part.images.start
        windows = part.matrix.reshape(groups, -1, part.matrix.shape[1])
        target = out[part.images]
        if images == 1 and target.flags.c_contiguous:
            flat = target.reshape(groups, k // groups, -1)
            multiply(matrix, windows, flat[:, :, part.windows])
            continue
        found = multiply(matrix, windows).reshape(k, images, -1)
        rest = math.prod(out_size[1:])
        rows_of = slice(part.windows.start // rest, part.windows.stop // rest)
        shape = (k, images, rows_of.stop - rows_of.start, *out_size[1:])
        target[:, :, rows_of] = found.reshape(shape).swapaxes(0, 1)


def _correlate_rows(x: np.ndarray, w: np.ndarray, out: np.ndarray, slide: Slide) -> None:
    k, out_size = out.shape[1], out.shape[2:]
    matrix = channels_last(w).reshape(k, -1).T
    last = channels_last(out)
    for part in rows(x, out_size, slide):
        target = last[part.images]
        if target.flags.c_contiguous:
            multiply(part.matrix, matrix, target.reshape(-1, k))
        else:
            target[...] = multiply(part.matrix, matrix).reshape(target.shape)


# -- gradient for the input


def input_gradient(grad: np.ndarray, w: np.ndarray, out: np.ndarray, g: Geometry) -> None:
    """The transposed convolution: what (N, K, *O) contributes to each place of `out` (N, C, *S).

    Places that are a stride apart are met by the same taps: each such phase is a correlation of
    the gradient with its taps, in opposite order and with the channels exchanged.
    """
    fast = native.convolves(out, w, grad, g.groups)
    if not fast and _is_depthwise(out, w, g.groups) and _is_channels_last(out):
        _input_depthwise(grad, w, out, _slide(w.shape[2:], g))
        return
    phases = [
        list(phases_of(s, f, t, p, d))
        for s, f, t, p, d in zip(
            out.shape[2:], w.shape[2:], g.stride, g.padding, g.dilation, strict=True
        )
    ]
    exchanged = _exchange(w, g.groups)
    whole = out
    if fast and math.prod(map(len, phases)) > 1:
        grad, whole = native.channels_last(grad), native.staging(out)
    for phase in itertools.product(*phases):
        target = whole[(slice(None), slice(None), *(each.places for each in phase))]
        if not target.size:
            continue
        if any(each.taps is None for each in phase):
            target[...] = 0
            continue
        taps = (each.taps for each in phase)
        kernel = exchanged[(slice(None), slice(None), *taps)]
        slide = Slide(
            kernel.shape[2:],
            (1,) * len(phase),
            tuple(each.padding for each in phase),
            tuple(each.dilation for each in phase),
        )
        if fast:
            native.correlate(grad, kernel, target, slide, g.groups)
        else:
            _correlate(grad, np.ascontiguousarray(kernel), target, slide, g.groups)
    if whole is not out:
        native.unstage(whole, out)


def _exchange(w: np.ndarray, groups: int) -> np.ndarray:
    """(K, C / groups, *F) as (C, K / groups, *F)."""
    k, c = w.shape[:2]
    split = w.reshape(groups, k // groups, c, *w.shape[2:]).swapaxes(1, 2)
    return split.reshape(groups * c, k // groups, *w.shape[2:])


class Phase(NamedTuple):
    """Places of one dimension that the same taps meet, and how these slide over the gradient."""

    places: slice
    taps: slice | None
    padding: int
    dilation: int


def phases_of(size: int, f: int, t: int, p: int, d: int) -> Iterator[Phase]:
    """The phases of one dimension: place y is met by tap i at output o where y = o t - p + i d."""
    common = math.gcd(t, d)
    for residue in range(min(t, size)):
        places = slice(residue, None, t)
        taps = [i for i in range(f) if (i * d - p - residue) % t == 0]
        if not taps:
            yield Phase(places, None, 0, 1)
            continue
        first = (residue + p - taps[-1] * d) // t
        yield Phase(places, slice(taps[-1], None, -(t // common)), -first, d // common)


# -- gradient for the weight


def weight_gradient(grad: np.ndarray, x: np.ndarray, out: np.ndarray, g: Geometry) -> None:
    """Into `out` (K, C / groups, *F): each tap's sum over positions and images of both."""
    slide = _slide(out.shape[2:], g)
    if _is_depthwise(x, out, g.groups):
        _weight_depthwise(grad, x, out, slide)
    elif native.convolves(x, out, grad, g.groups):
        native.weight_gradient(grad, x, out, slide, g.groups)
    elif _is_channels_last(x) and _is_channels_last(grad):
        for one in range(g.groups):
            _weight_rows(_group(grad, 1, one, g.groups), _group(x, 1, one, g.groups),
                         _group(out, 0, one, g.groups), slide)  # fmt: skip
    else:
        _weight_columns(grad, x, out, slide, g.groups)


def _weight_columns(
    grad: np.ndarray, x: np.ndarray, out: np.ndarray, slide: Slide, groups: int
) -> None:
    k = grad.shape[1]
    planes = np.ascontiguousarray(grad).reshape(grad.shape[0], k, -1)
    shape = (groups, k // groups, out.size // k)
    total = np.zeros(shape, out.dtype)
    found = np.empty(shape, out.dtype)
    for part in columns(x, grad.shape[2:], slide, _MANY_WINDOWS):
        given = planes[part.images, :, part.windows].swapaxes(0, 1).reshape(groups, k // groups, -1)
        windows = part.matrix.reshape(groups, -1, part.matrix.shape[1])
        multiply(given, windows.swapaxes(1, 2), found)
        np.add(total, found, out=total)
    out[...] = total.reshape(out.shape)


def _weight_rows(grad: np.ndarray, x: np.ndarray, out: np.ndarray, slide: Slide) -> None:
    k = grad.shape[1]
    last = channels_last(grad)
    total = np.zeros((k, out.size // k), out.dtype)
    for part in rows(x, grad.shape[2:], slide):
        total += multiply(last[part.images].reshape(-1, k).T, part.matrix)
    channels_last(out)[...] = total.reshape(k, *slide.kernel, out.shape[1])


# -- depthwise: one filter per channel


def _window(slide: Slide) -> Window:
    return Window(slide.kernel, slide.stride, slide.padding, slide.dilation)


def _forward_depthwise(x: np.ndarray, w: np.ndarray, out: np.ndarray, slide: Slide) -> None:
    taps = plan(x.shape[2:], out.shape[2:], _window(slide))
    for block in blocks(x, len(slide.kernel)):
        part, total = x[block], out[block]
        filters = _filters(w, block)
        total.fill(0)
        scratch = np.empty_like(total)
        for number, outputs, inputs in taps:
            product, target = scratch[outputs], total[outputs]
            np.multiply(part[inputs], filters[number], out=product)
            np.add(target, product, out=target)


def _input_depthwise(grad: np.ndarray, w: np.ndarray, out: np.ndarray, slide: Slide) -> None:
    taps = plan(out.shape[2:], grad.shape[2:], _window(slide))
    for block in blocks(out, len(slide.kernel)):
        total, part = out[block], grad[block]
        filters = _filters(w, block)
        total.fill(0)
        scratch = np.empty_like(part)
        for number, outputs, inputs in taps:
            product, target = scratch[outputs], total[inputs]
            np.multiply(part[outputs], filters[number], out=product)
            np.add(target, product, out=target)


def _filters(w: np.ndarray, block: tuple[Any, ...]) -> np.ndarray:
    """The filters (taps, channels, 1, ...) of a block: `blocks` cuts the batch first."""
    chosen = w[block[1]] if len(block) > 1 else w
    dims = w.ndim - 2
    if isinstance(chosen, np.ndarray) and chosen.ndim == w.ndim:
        return chosen.reshape(chosen.shape[0], -1).T.reshape(-1, chosen.shape[0], *[1] * dims)
    return chosen.reshape(-1)


def _weight_depthwise(grad: np.ndarray, x: np.ndarray, out: np.ndarray, slide: Slide) -> None:
    letters = "nchwd"[: x.ndim]
    sums = np.zeros((x.shape[0], x.shape[1], math.prod(slide.kernel)), out.dtype)
    for number, outputs, inputs in plan(x.shape[2:], grad.shape[2:], _window(slide)):
        sums[:, :, number] = np.einsum(f"{letters},{letters}->nc", grad[outputs], x[inputs])
    out[...] = sums.sum(axis=0).reshape(out.shape)
