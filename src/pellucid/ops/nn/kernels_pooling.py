"""Pooling on arrays, any number of spatial dimensions: one pass over the output per tap.

A window's tap is one of its places. `plan` lists, for each tap, the outputs whose window has that
tap inside the input, and the inputs they meet; so nothing is padded or copied. Arrays are
(*, *S) in any order of memory, with any leading dimensions; outputs are (*, *O).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

Ints = tuple[int, ...]

_BLOCK_BYTES = 1 << 19
"""How much of the input is pooled at a time: it stays in the second-level cache from tap to tap."""


class Window(NamedTuple):
    """What pooling slides over the input, and how: one number per spatial dimension."""

    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints


class Tap(NamedTuple):
    """One place of the window: its number, the outputs that have it, the inputs they meet."""

    number: int
    outputs: tuple[Any, ...]
    inputs: tuple[Any, ...]


@lru_cache(maxsize=512)
def plan(size: Ints, out_size: Ints, window: Window) -> tuple[Tap, ...]:
    """The taps that meet the input anywhere, in the order of memory."""
    taps = []
    for number, tap in enumerate(np.ndindex(*window.kernel)):
        outputs: list[Any] = [Ellipsis]
        inputs: list[Any] = [Ellipsis]
        for s, o, i, t, p, d in zip(size, out_size, tap, *window[1:], strict=True):
            shift = i * d - p
            first, end = max(0, -(shift // t)), min(o, (s - 1 - shift) // t + 1)
            if first >= end:
                break
            outputs.append(slice(first, end))
            inputs.append(slice(first * t + shift, (end - 1) * t + shift + 1, t))
        else:
            taps.append(Tap(number, tuple(outputs), tuple(inputs)))
    return tuple(taps)


def disjoint(window: Window) -> bool:
    """Whether no two windows share an input."""
    return all(
        t >= d * (f - 1) + 1
        for f, t, d in zip(window.kernel, window.stride, window.dilation, strict=True)
    )


def lowest(d: np.dtype) -> float:
    """What every element of a dtype exceeds or equals."""
    return -np.inf if d.kind == "f" else int(np.iinfo(d).min)


def blocks(x: np.ndarray, spatial: int) -> Iterator[tuple[Any, ...]]:
    """Indices of the leading dimensions that cut `x` into parts which fit in cache.

    Every tap goes over the whole part again. A dimension is cut only where it is the outermost one
    in memory: channels-last images are not cut by channel.
    """
    prefix: list[int] = []
    nbytes = x.nbytes
    for axis in range(x.ndim - spatial):
        n = x.shape[axis]
        outermost = all(x.strides[axis] >= stride for stride in x.strides[axis + 1 :])
        if nbytes <= _BLOCK_BYTES or not outermost:
            break
        nbytes //= n
        if nbytes >= _BLOCK_BYTES // 2:
            prefix.append(n)
            continue
        step = _BLOCK_BYTES // nbytes
        for index in np.ndindex(*prefix):
            for start in range(0, n, step):
                yield (*index, slice(start, start + step))
        return
    yield from np.ndindex(*prefix)


def max_pool(x: np.ndarray, window: Window, out: np.ndarray) -> None:
    """The largest element of each window; NaN wins."""
    spatial = len(window.kernel)
    taps = plan(x.shape[-spatial:], out.shape[-spatial:], window)
    for block in blocks(x, spatial):
        part, best = x[block], out[block]
        best.fill(lowest(out.dtype))
        for _, outputs, inputs in taps:
            found = best[outputs]
            np.maximum(found, part[inputs], out=found)


def max_pool_choices(x: np.ndarray, window: Window, out: np.ndarray, choices: np.ndarray) -> None:
    """`max_pool`, and the number of the tap chosen: the first maximum, or the last NaN."""
    spatial = len(window.kernel)
    taps = plan(x.shape[-spatial:], out.shape[-spatial:], window)
    first = np.zeros(out.shape[-spatial:], choices.dtype)
    for number, outputs, _ in reversed(taps):
        first[outputs] = number
    for block in blocks(x, spatial):
        _choose(x[block], taps, first, out[block], choices[block])


def _choose(
    x: np.ndarray, taps: tuple[Tap, ...], first: np.ndarray, best: np.ndarray, choices: np.ndarray
) -> None:
    best.fill(lowest(best.dtype))
    np.copyto(choices, first)
    wins = np.empty_like(choices)
    for number, outputs, inputs in taps:
        found, seen, chosen, won = best[outputs], x[inputs], choices[outputs], wins[outputs]
        # Numbers rise from tap to tap, so the last tap that won is the largest number that won.
        np.multiply(np.greater(seen, found), choices.dtype.type(number), out=won)
        np.maximum(chosen, won, out=chosen)
        np.maximum(found, seen, out=found)
    if best.dtype.kind == "f" and best.size and np.isnan(best.max()):
        for number, outputs, inputs in taps:
            chosen = choices[outputs]
            np.copyto(chosen, choices.dtype.type(number), where=np.isnan(x[inputs]))


def places_of(choices: np.ndarray, size: Ints, window: Window) -> np.ndarray:
    """Where in the flattened input (*S) each chosen tap lies (int64)."""
    spatial = len(window.kernel)
    out_size = choices.shape[-spatial:]
    base = np.zeros(out_size, np.int64)
    table = np.zeros(window.kernel, np.int64)
    stride = 1
    for axis in reversed(range(spatial)):
        along = [1] * spatial
        along[axis] = -1
        start = np.arange(out_size[axis]) * window.stride[axis] - window.padding[axis]
        base += stride * start.reshape(along)
        step = np.arange(window.kernel[axis]) * window.dilation[axis]
        table += stride * step.reshape(along)
        stride *= size[axis]
    return table.reshape(-1)[choices] + base


def spread_choices(grad: np.ndarray, choices: np.ndarray, window: Window, out: np.ndarray) -> None:
    """Each window's value at the place of its chosen tap, summed where windows overlap.

    A value is kept or dropped by multiplying its bits, as an integer, by one or zero: unlike a
    product of floating-point numbers this leaves nothing of infinities and NaN behind.
    """
    spatial = len(window.kernel)
    taps = plan(out.shape[-spatial:], grad.shape[-spatial:], window)
    once = disjoint(window)
    bits = np.dtype(f"u{out.itemsize}")
    for block in blocks(out, spatial):
        part, values, chosen = out[block], grad[block], choices[block]
        kept = np.empty_like(values)
        part_bits, value_bits, kept_bits = part.view(bits), values.view(bits), kept.view(bits)
        part.fill(0)
        for number, outputs, inputs in taps:
            mask = chosen[outputs] == number
            if once:
                np.multiply(value_bits[outputs], mask, out=part_bits[inputs])
            else:
                np.multiply(value_bits[outputs], mask, out=kept_bits[outputs])
                target = part[inputs]
                np.add(target, kept[outputs], out=target)


def gather_choices(x: np.ndarray, choices: np.ndarray, window: Window, out: np.ndarray) -> None:
    """The element of each window that its chosen tap meets."""
    spatial = len(window.kernel)
    out.fill(0)
    for number, outputs, inputs in plan(x.shape[-spatial:], out.shape[-spatial:], window):
        np.copyto(out[outputs], x[inputs], where=choices[outputs] == number)


def sum_windows(x: np.ndarray, window: Window, out: np.ndarray) -> None:
    """The sum of each window."""
    spatial = len(window.kernel)
    taps = plan(x.shape[-spatial:], out.shape[-spatial:], window)
    for block in blocks(x, spatial):
        part, total = x[block], out[block]
        total.fill(0)
        for _, outputs, inputs in taps:
            target = total[outputs]
            np.add(target, part[inputs], out=target)


def spread_windows(grad: np.ndarray, window: Window, out: np.ndarray) -> None:
    """The transpose of `sum_windows`: each window's value at every place of it."""
    spatial = len(window.kernel)
    taps = plan(out.shape[-spatial:], grad.shape[-spatial:], window)
    once = disjoint(window)
    for block in blocks(out, spatial):
        part, values = out[block], grad[block]
        part.fill(0)
        for _, outputs, inputs in taps:
            target = part[inputs]
            if once:
                np.copyto(target, values[outputs])
            else:
                np.add(target, values[outputs], out=target)


@lru_cache(maxsize=256)
def window_counts(size: Ints, out_size: Ints, window: Window, include_pad: bool) -> np.ndarray:
    """How many elements each window averages over: those of the image, or with its padding."""
    counts = np.ones(out_size, np.int64)
    for axis, (s, o, f, t, p) in enumerate(zip(size, out_size, *window[:3], strict=True)):
        start = np.arange(o) * t - p
        end = np.minimum(start + f, s + p)
        if not include_pad:
            start, end = np.maximum(start, 0), np.minimum(end, s)
        along = [1] * len(out_size)
        along[axis] = -1
        counts = counts * np.maximum(end - start, 0).reshape(along)
    return counts


# -- adaptive pooling: bin i of O covers floor(i S / O) up to ceil((i + 1) S / O)


@lru_cache(maxsize=512)
def bins(size: int, out_size: int) -> tuple[tuple[int, int], ...]:
    """Start and end of each bin."""
    return tuple((i * size // out_size, -((-(i + 1) * size) // out_size)) for i in range(out_size))


@lru_cache(maxsize=256)
def averaging(size: int, out_size: int, d: np.dtype) -> np.ndarray:
    """The matrix (O, S) whose row i averages bin i."""
    matrix = np.zeros((out_size, size), d)
    for row, (start, end) in enumerate(bins(size, out_size)):
        matrix[row, start:end] = 1 / (end - start)
    return matrix


def adaptive_average(x: np.ndarray, out: np.ndarray, spatial: int) -> None:
    """The mean of each bin, one dimension at a time: the average of averages is exact here."""
    last = x.ndim - spatial
    if out.size and all(o == 1 for o in out.shape[last:]):
        _mean_of_all(x, out, last)
        return
    for axis in range(last, x.ndim):
        s, o = x.shape[axis], out.shape[axis]
        if o != s:
            x = np.moveaxis(np.moveaxis(x, axis, -1) @ averaging(s, o, x.dtype).T, -1, axis)
    out[...] = x


def _mean_of_all(x: np.ndarray, out: np.ndarray, lead: int) -> None:
    """One bin: sums as products with ones, which BLAS reads once, in either order of memory."""
    count = x.size // out.size
    last = np.moveaxis(x, 1, -1)
    if lead == 2 and last.flags.c_contiguous:
        planes = last.reshape(x.shape[0], count, x.shape[1]).swapaxes(1, 2)
    else:
        planes = x.reshape(*x.shape[:lead], count)
    total = planes @ np.ones(count, x.dtype)
    np.divide(total.reshape(out.shape), x.dtype.type(count), out=out)


def adaptive_average_transpose(grad: np.ndarray, out: np.ndarray, spatial: int) -> None:
    """The transpose of `adaptive_average`."""
    for axis in range(grad.ndim - spatial, grad.ndim):
        s, o = out.shape[axis], grad.shape[axis]
        if o == 1:
            grad = grad / grad.dtype.type(s)  # broadcast when it is written
        elif o != s:
            matrix = averaging(s, o, grad.dtype)
            grad = np.moveaxis(np.moveaxis(grad, axis, -1) @ matrix, -1, axis)
    out[...] = grad


def adaptive_max(x: np.ndarray, out: np.ndarray, places: np.ndarray, spatial: int) -> None:
    """The largest element of each bin and its place in the flattened input; of NaNs the last."""
    lead, size, out_size = x.ndim - spatial, x.shape[-spatial:], out.shape[-spatial:]
    ranges = [bins(s, o) for s, o in zip(size, out_size, strict=True)]
    for cell in np.ndindex(*out_size):
        limits = [r[i] for r, i in zip(ranges, cell, strict=True)]
        bin_of: tuple[Any, ...] = (Ellipsis, *(slice(a, b) for a, b in limits))
        part = x[bin_of]
        shape = part.shape[lead:]
        flat = part.reshape(*part.shape[:lead], -1)
        chosen = _last_nan_or_argmax(flat)
        found = np.take_along_axis(flat, chosen[..., None], -1)[..., 0]
        place = np.zeros_like(chosen)
        for s, (start, _), along in zip(size, limits, np.unravel_index(chosen, shape), strict=True):
            place = place * s + (along + start)
        out[(Ellipsis, *cell)] = found
        places[(Ellipsis, *cell)] = place


def _last_nan_or_argmax(flat: np.ndarray) -> np.ndarray:
    chosen = flat.argmax(-1)
    nan = np.isnan(flat)
    if nan.any():
        last = flat.shape[-1] - 1 - nan[..., ::-1].argmax(-1)
        chosen = np.where(nan.any(-1), last, chosen)
    return chosen


def scatter_places(grad: np.ndarray, places: np.ndarray, out: np.ndarray, spatial: int) -> None:
    """Add each value at its place in the flattened (*S) of `out`, a C-contiguous array."""
    rows = 1
    for s in grad.shape[: grad.ndim - spatial]:
        rows *= s
    out.fill(0)
    if not grad.size:
        return
    length = out.size // rows
    flat = places.reshape(rows, -1) + np.arange(rows, dtype=np.int64)[:, None] * length
    np.add.at(out.reshape(-1), flat.reshape(-1), grad.reshape(-1))


def gather_places(x: np.ndarray, places: np.ndarray, spatial: int) -> np.ndarray:
    """The elements of the flattened (*S) of `x` at `places`."""
    lead = places.shape[: places.ndim - spatial]
    flat = x.reshape(*lead, -1)
    found = np.take_along_axis(flat, places.reshape(*lead, -1), -1)
    return found.reshape(places.shape)
