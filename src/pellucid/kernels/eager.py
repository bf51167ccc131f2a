"""Convolutions of arrays, one call at a time: what eager operators use.

Arrays are float32 with any strides. Images lie channels last for the kernels; those that do not are
transposed on the way in and out, weights are packed at each call.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.choose import (
    Images,
    depthwise_arguments,
    is_depthwise,
    plan_weight_gradient,
    plan_windows,
    plan_winograd,
    plan_winograd_weights,
    suits_winograd,
)
from pellucid.kernels.convolution import conv_depthwise, conv_windows
from pellucid.kernels.filters import pack_filters, transform_filters
from pellucid.kernels.scratch import scratch
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from pellucid.kernels.vectors import swap_axes
from pellucid.kernels.weight_gradient import weight_gradient
from pellucid.kernels.winograd import winograd
from pellucid.kernels.winograd_weights import ROWS, winograd_weights

_MANY_PIXELS = 256
"""Output pixels from which on the gradient of weights goes by Winograd's way."""
_PLAIN = {"bias": False, "residual": False, "activation": ""}


def is_last(x: np.ndarray) -> bool:
    """Whether images (N, C, H, W) lie channels last and without gaps."""
    return x.transpose(0, 2, 3, 1).flags.c_contiguous


def channels_last(x: np.ndarray, name: str) -> np.ndarray:
    """Images (N, C, H, W) channels last: themselves, or a copy in the scratch of this name."""
    if is_last(x):
        return x
    n, c, h, w = x.shape
    if not x.flags.c_contiguous:
        x = np.ascontiguousarray(x)
    out = scratch(name, x.size)[: x.size]
    swap(x, out, n, c, h * w)
    return out.reshape(n, h, w, c).transpose(0, 3, 1, 2)


def swap(x: np.ndarray, out: np.ndarray, batch: int, m: int, n: int) -> None:
    """Contiguous x (batch, m, n) into contiguous out (batch, n, m)."""
    pool.run(swap_axes(), _at(x), _at(out), batch, m, n, n, m, m * n, m * n)


def _at(x: np.ndarray) -> int:
    return int(x.ctypes.data)


def _steps(x: np.ndarray) -> list[int]:
    return [step // x.itemsize for step in x.strides]


def correlate(
    x: np.ndarray, w: np.ndarray, out: np.ndarray, stride: tuple[int, ...],
    padding: tuple[int, ...], dilation: tuple[int, ...], groups: int,
) -> None:  # fmt: skip
    """Correlate images x (N, C, H, W) with w (K, C / groups, kh, kw) into `out` (N, K, OH, OW).

    Padding may be negative, and `out` may end before or behind the last window that fits.
    """
    g = Images.of(x.shape, out.shape, w.shape[2:], stride, padding, dilation, groups)
    source = channels_last(x, "images")
    direct = is_last(out)
    target = out if direct else scratch("result", out.size)
    if is_depthwise(g):
        _depthwise(g, source, w, target)
    elif suits_winograd(g):
        _winograd(g, source, w, target)
    else:
        _windows(g, source, w, target)
    if not direct:
        settle(target[: out.size].reshape(g.n, g.oh, g.ow, g.k).transpose(0, 3, 1, 2), out)


def staging(out: np.ndarray) -> np.ndarray:
    """Channels-last memory of `out`'s shape: itself, or scratch for `settle`."""
    if is_last(out):
        return out
    n, k, oh, ow = out.shape
    return scratch("staged", out.size)[: out.size].reshape(n, oh, ow, k).transpose(0, 3, 1, 2)


def settle(last: np.ndarray, out: np.ndarray) -> None:
    """Copy channels-last images to `out`, in any order of memory."""
    if out.flags.c_contiguous:
        n, k, oh, ow = out.shape
        swap(last, out, n, oh * ow, k)
    else:
        out[...] = last


def _depthwise(g: Images, x: np.ndarray, w: np.ndarray, out: np.ndarray) -> None:
    filters = np.ascontiguousarray(w[:, 0].transpose(1, 2, 0))
    kernel = conv_depthwise(**_PLAIN)
    pool.run(kernel, *depthwise_arguments(g, _at(x), _at(filters), _at(out), (0, 0)))


def _winograd(g: Images, x: np.ndarray, w: np.ndarray, out: np.ndarray) -> None:
    plan = plan_winograd(g, pool.num_threads())
    u = scratch("filters", (plan.m + 2) ** 2 * g.c * _whole(g.k))
    pool.run(transform_filters(m=plan.m), _at(w), _at(u), g.k, g.c, *_steps(w))
    v, products = scratch("v", plan.v), scratch("products", plan.products)
    kernel = winograd(m=plan.m, shared=plan.shared, **_PLAIN)
    pool.run(kernel, *plan.arguments(_at(x), _at(u), _at(out), (0, 0), _at(v), _at(products)))


def _whole(channels: int) -> int:
    nr = width(current())
    return -(-channels // nr) * nr


def _windows(g: Images, x: np.ndarray, w: np.ndarray, out: np.ndarray) -> None:
    plan = plan_windows(g, pool.num_threads())
    k, c = g.k // g.groups, g.c // g.groups
    packed = scratch("filters", g.groups * g.depth * _whole(k))
    steps = _steps(w)
    pool.run(pack_filters(), _at(w), _at(packed), g.groups, k, c, *g.kernel, k * steps[0], *steps)
    room = scratch("windows", plan.scratch)
    kernel = conv_windows(in_place=plan.in_place, cut=plan.cut, **_PLAIN)
    pool.run(kernel, *plan.arguments(_at(x), _at(packed), _at(out), (0, 0), _at(room)))


def weight_gradient_of(
    grad: np.ndarray, x: np.ndarray, out: np.ndarray, stride: tuple[int, ...],
    padding: tuple[int, ...], dilation: tuple[int, ...], groups: int,
) -> None:  # fmt: skip
    """Into `out` (K, C / groups, kh, kw): the sums over pixels of grad (N, K, OH, OW) and x."""
    g = Images.of(x.shape, grad.shape, out.shape[2:], stride, padding, dilation, groups)
    k = out.shape[0]
    source = channels_last(x, "images")
    if suits_winograd(g) and g.n * g.oh * g.ow >= _MANY_PIXELS:
        _winograd_weights(g, source, grad, out)
        return
    pixels = g.oh * g.ow
    last = is_last(grad) and not grad.flags.c_contiguous
    if not last:
        grad = np.ascontiguousarray(grad)
    steps = (1, k, pixels * k) if last else (pixels, 1, pixels * k)
    plan = plan_weight_gradient(g, pool.num_threads())
    direct = is_last(out)
    target = out if direct else scratch("result", out.size)
    room = scratch("windows", plan.scratch)
    kernel = weight_gradient(taps=plan.taps, unit=not last)
    pool.run(kernel, *plan.arguments(_at(source), _at(grad), _at(target), _at(room), steps))
    _spread_taps(g, target, out, direct)


def _winograd_weights(g: Images, x: np.ndarray, grad: np.ndarray, out: np.ndarray) -> None:
    plan = plan_winograd_weights(g, pool.num_threads(), ROWS)
    last = channels_last(grad, "gradient")
    direct = is_last(out)
    target = out if direct else scratch("result", out.size)
    v, d, room = (scratch(name, size) for name, size in
                  (("v", plan.v), ("products", plan.d), ("windows", plan.room)))  # fmt: skip
    pool.run(winograd_weights(m=plan.m), *plan.arguments(*map(_at, (x, last, target, v, d, room))))
    _spread_taps(g, target, out, direct)


def _spread_taps(g: Images, target: np.ndarray, out: np.ndarray, direct: bool) -> None:
    """Weights (K, kh, kw, C) to where they belong."""
    if direct:
        return
    k, c = out.shape[:2]
    taps = math.prod(g.kernel)
    if out.flags.c_contiguous:
        swap(target, out, k, taps, c)
    else:
        out[...] = target[: out.size].reshape(k, *g.kernel, c).transpose(0, 3, 1, 2)
