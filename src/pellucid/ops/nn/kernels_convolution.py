"""Convolution on arrays: NumPy and BLAS, any number of spatial dimensions.

The input is brought to channels-last, padded, and each output position's window copied to one row of a matrix ("im2col": Chellapilla et al., 2006).
Channels-last makes a window's row (kernel width x channels) one run of memory, so the copy runs at the speed of memory. The convolution is then
one matrix product, written straight into the output's own order of dimensions. The rows are made for as many images at a time as fit in cache.

Shapes: input (N, C, *S), weight (K, C / groups, *F), output (N, K, *O). All arrays are float or complex; see `convolution.py` for the checks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_CHUNK_BYTES = 4 << 20
"""How large the matrix of windows may grow: about the second-level cache of two cores."""


class Geometry(NamedTuple):
    """Stride, padding (before and after alike) and dilation per spatial dimension, and the number of groups."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


def output_size(size: tuple[int, ...], kernel: tuple[int, ...], g: Geometry) -> tuple[int, ...]:
    """Spatial sizes of the output: floor((S + 2 p - d (F - 1) - 1) / s) + 1."""
    return tuple(
        (s + 2 * p - d * (f - 1) - 1) // t + 1
        for s, f, t, p, d in zip(size, kernel, g.stride, g.padding, g.dilation, strict=True)
    )


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, C, *S) seen as (N, *S, C)."""
    return np.moveaxis(x, 1, -1)


def padded(x: np.ndarray, padding: tuple[int, ...], scratch: np.ndarray | None = None) -> np.ndarray:
    """A contiguous channels-last copy of `x` (N, C, *S) with zeros around each image."""
    n, c, *size = x.shape
    out = np.zeros((n, *(s + 2 * p for s, p in zip(size, padding, strict=True)), c), x.dtype)
    inside = tuple(slice(p, p + s) for s, p in zip(size, padding, strict=True))
    out[(slice(None), *inside)] = channels_last(x)
    return out


def windows(xp: np.ndarray, kernel: tuple[int, ...], out_size: tuple[int, ...], g: Geometry) -> np.ndarray:
    """A view (N, *O, *F, C) of a padded channels-last array: entry [n, o, f] is what weight tap f sees at output o."""
    inner = xp.strides[1:-1]
    strides = (
        xp.strides[0],
        *(s * t for s, t in zip(inner, g.stride, strict=True)),
        *(s * d for s, d in zip(inner, g.dilation, strict=True)),
        xp.strides[-1],
    )
    shape = (xp.shape[0], *out_size, *kernel, xp.shape[-1])
    return np.lib.stride_tricks.as_strided(xp, shape, strides, writeable=False)


def _chunks(n: int, bytes_per_image: int) -> Iterator[slice]:
    step = max(1, min(n, _CHUNK_BYTES // max(bytes_per_image, 1)))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _is_pointwise(kernel: tuple[int, ...], g: Geometry) -> bool:
    return max(kernel) == 1 and not any(g.padding)


def forward(x: np.ndarray, w: np.ndarray, out: np.ndarray, g: Geometry) -> None:
    """Convolve into `out` (N, K, *O), contiguous in its own or in channels-last order."""
    if g.groups > 1:
        _forward_groups(x, w, out, g)
        return
    n, k = out.shape[:2]
    out_size, kernel = out.shape[2:], w.shape[2:]
    if _is_pointwise(kernel, g):
        steps = tuple(slice(None, None, t) for t in g.stride)
        rows = x[(slice(None), slice(None), *steps)]
        _pointwise(rows, w.reshape(k, -1), out)
        return
    xp = padded(x, g.padding)
    view = windows(xp, kernel, out_size, g)
    depth = w.size // k
    matrix = channels_last(w).reshape(k, depth)
    count = math.prod(out_size)
    last = np.moveaxis(out, 1, -1)
    for part in _chunks(n, count * depth * x.itemsize):
        rows = view[part].reshape(-1, count, depth)
        if out.flags.c_contiguous:
            np.matmul(matrix, rows.swapaxes(1, 2), out=out[part].reshape(-1, k, count))
        elif last.flags.c_contiguous:
            np.matmul(rows.reshape(-1, depth), matrix.T, out=last[part].reshape(-1, k))
        else:
            last[part] = (rows.reshape(-1, depth) @ matrix.T).reshape(-1, *out_size, k)


def _pointwise(x: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """A 1x1 convolution is a matrix product over the channels."""
    n, c = x.shape[:2]
    k = out.shape[1]
    last = np.moveaxis(out, 1, -1)
    if last.flags.c_contiguous and not out.flags.c_contiguous:
        np.matmul(channels_last(x).reshape(-1, c), matrix.T, out=last.reshape(-1, k))
    elif out.flags.c_contiguous:
        np.matmul(matrix, x.reshape(n, c, -1), out=out.reshape(n, k, -1))
    else:
        out[...] = np.matmul(matrix, x.reshape(n, c, -1)).reshape(out.shape)


def _forward_groups(x: np.ndarray, w: np.ndarray, out: np.ndarray, g: Geometry) -> None:
    if w.shape[1] == 1:
        _forward_depthwise(x, w, out, g)
        return
    one = g._replace(groups=1)
    c, k = x.shape[1] // g.groups, w.shape[0] // g.groups
    for i in range(g.groups):
        forward(x[:, i * c : (i + 1) * c], w[i * k : (i + 1) * k], out[:, i * k : (i + 1) * k], one)


def _taps(kernel: tuple[int, ...], out_size: tuple[int, ...], g: Geometry) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each weight tap with the part of the padded input that it meets, spatial dimensions only."""
    for tap in np.ndindex(*kernel):
        yield tap, tuple(
            slice(i * d, i * d + (o - 1) * t + 1, t)
            for i, o, t, d in zip(tap, out_size, g.stride, g.dilation, strict=True)
        )


def _forward_depthwise(x: np.ndarray, w: np.ndarray, out: np.ndarray, g: Geometry) -> None:
    """One filter per channel (or several): multiply and add whole shifted images, tap by tap."""
    xp = _pad_in_place_order(x, g.padding)
    times = w.shape[0] // x.shape[1]
    if times > 1:
        xp = np.repeat(xp, times, axis=1)
    out.fill(0)
    scratch = np.empty(out.shape, out.dtype)
    per_channel = (None, slice(None), *[None] * (x.ndim - 2))
    for tap, part in _taps(w.shape[2:], out.shape[2:], g):
        np.multiply(xp[(slice(None), slice(None), *part)], w[(slice(None), 0, *tap)][per_channel], out=scratch)
        np.add(out, scratch, out=out)


def _pad_in_place_order(x: np.ndarray, padding: tuple[int, ...]) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding))) if any(padding) else x


def input_gradient(grad: np.ndarray, w: np.ndarray, out: np.ndarray, g: Geometry) -> None:
    """The transposed convolution: what (N, K, *O) contributes to each place of `out` (N, C, *S)."""
    if g.groups > 1:
        one = g._replace(groups=1)
        c, k = out.shape[1] // g.groups, w.shape[0] // g.groups
        for i in range(g.groups):
            input_gradient(grad[:, i * k : (i + 1) * k], w[i * k : (i + 1) * k], out[:, i * c : (i + 1) * c], one)
        return
    kernel = w.shape[2:]
    if max(g.stride) == 1 and all(d * (f - 1) >= p for d, f, p in zip(g.dilation, kernel, g.padding, strict=True)):
        # With stride 1 it is a convolution with the taps in opposite order and channels exchanged.
        flipped = np.flip(w, tuple(range(2, w.ndim))).swapaxes(0, 1)
        back = tuple(d * (f - 1) - p for d, f, p in zip(g.dilation, kernel, g.padding, strict=True))
        if output_size(grad.shape[2:], kernel, g._replace(padding=back)) == out.shape[2:]:
            forward(grad, flipped, out, g._replace(padding=back))
            return
    _scatter_windows(grad, w, out, g)


def _scatter_windows(grad: np.ndarray, w: np.ndarray, out: np.ndarray, g: Geometry) -> None:
    """Windows of gradients (a matrix product), added where they overlap, tap by tap ("col2im")."""
    n, k = grad.shape[:2]
    c, size = out.shape[1], out.shape[2:]
    kernel, out_size = w.shape[2:], grad.shape[2:]
    matrix = channels_last(w).reshape(k, -1)
    count = math.prod(out_size)
    reach = tuple(
        max(s + 2 * p, (o - 1) * t + d * (f - 1) + 1)
        for s, p, o, t, d, f in zip(size, g.padding, out_size, g.stride, g.dilation, kernel, strict=True)
    )
    inside = tuple(slice(p, p + s) for s, p in zip(size, g.padding, strict=True))
    for part in _chunks(n, count * matrix.shape[1] * grad.itemsize):
        rows = channels_last(grad[part]).reshape(-1, k) @ matrix
        rows = rows.reshape(-1, *out_size, *kernel, c)
        whole = np.zeros((rows.shape[0], *reach, c), grad.dtype)
        everywhere = (slice(None),) * (1 + len(out_size))
        for tap, where in _taps(kernel, out_size, g):
            whole[(slice(None), *where)] += rows[(*everywhere, *tap)]
        channels_last(out)[part] = whole[(slice(None), *inside)]


def weight_gradient(grad: np.ndarray, x: np.ndarray, out: np.ndarray, g: Geometry) -> None:
    """Into `out` (K, C / groups, *F): each tap's sum over positions and images of gradient times input."""
    if g.groups > 1:
        _weight_gradient_groups(grad, x, out, g)
        return
    n, k = grad.shape[:2]
    kernel, out_size = out.shape[2:], grad.shape[2:]
    xp = padded(x, g.padding)
    view = windows(xp, kernel, out_size, g)
    depth = out.size // k
    count = math.prod(out_size)
    total: np.ndarray | None = None
    for part in _chunks(n, count * depth * x.itemsize):
        rows = view[part].reshape(-1, depth)
        found = channels_last(grad[part]).reshape(-1, k).T @ rows
        total = found if total is None else np.add(total, found, out=total)
    if total is None:
        out.fill(0)
    else:
        channels_last(out)[...] = total.reshape(k, *kernel, x.shape[1])


def _weight_gradient_groups(grad: np.ndarray, x: np.ndarray, out: np.ndarray, g: Geometry) -> None:
    one = g._replace(groups=1)
    c, k = x.shape[1] // g.groups, out.shape[0] // g.groups
    if out.shape[1] > 1:
        for i in range(g.groups):
            weight_gradient(
                grad[:, i * k : (i + 1) * k], x[:, i * c : (i + 1) * c], out[i * k : (i + 1) * k], one
            )
        return
    xp = _pad_in_place_order(x, g.padding)
    if k > 1:
        xp = np.repeat(xp, k, axis=1)
    letters = "abcdefg"[: grad.ndim]
    for tap, part in _taps(out.shape[2:], grad.shape[2:], g):
        seen = xp[(slice(None), slice(None), *part)]
        out[(slice(None), 0, *tap)] = np.einsum(f"{letters},{letters}->b", grad, seen)
