"""Convolution and pooling: inside a plan images lie channels last, (N, H, W, C) in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.compiler.graph import Node, Value
from pellucid.compiler.lower.moves import copy
from pellucid.compiler.lower.products import PARTS, bias_ref
from pellucid.compiler.lower.rows import summed
from pellucid.compiler.lower.rules import rule
from pellucid.compiler.plan import Physical, Planner, Ref
from pellucid.kernels.convolution import conv_depthwise, conv_windows
from pellucid.kernels.pack import aligned, packed_rows
from pellucid.kernels.pooling import pool
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from pellucid.kernels.winograd import transformed_weights, winograd
from pellucid.tensor.dtype import float32
from pellucid.tensor.layout import channels_last

_LARGE_WEIGHTS = 3 << 20
"""Transformed weights above this are read once for all tiles, not once for each chunk."""
_CACHE = 320 << 10
_MANY_CHANNELS = 16


def images(planner: Planner, value: Value) -> Physical:
    """A value (N, C, H, W) that lies channels last, converted if it does not."""
    physical = planner.place(value)
    wanted = channels_last(value.shape)
    if all(
        size == 1 or a == b
        for size, a, b in zip(value.shape, physical.layout.strides, wanted.strides, strict=True)
    ):
        return physical
    out = planner.fresh(wanted)
    copy(planner, physical, out)
    planner.places[value] = out
    return out


@rule("convolve")
def lower_convolution(planner: Planner, node: Node) -> Physical | None:
    """By Winograd where it pays, else by windows; one filter a channel has a kernel of its own."""
    x, weight, bias, g = node.args[:4]
    if len(x.shape) != 4 or not weight.constant:
        return None
    if any(v.dtype is not float32 for v in (x, weight)) or len(node.args) > 4:
        return None
    place = images(planner, x)
    residual = node.extra.get("residual")
    more = 0 if residual is None else images(planner, residual).ref()
    out = planner.fresh(channels_last(node.out.shape))
    extras = (bias_ref(planner, bias), more)
    settings = {"bias": bias is not None, "residual": residual is not None,
                "activation": node.extra.get("activation", "")}  # fmt: skip
    w = weight.traced.detach()._array
    if g.groups > 1 and g.groups == x.shape[1] == node.out.shape[1]:
        _depthwise(planner, node, place, out, w, extras, settings)
    elif _suits_winograd(w, g) and not planner.exact:
        _winograd(planner, node, place, out, w, extras, settings)
    else:
        _windows(planner, node, place, out, w, extras, settings)
    return out


def _label(name: str, settings: dict[str, Any]) -> str:
    parts = [part for part in ("bias", "residual") if settings[part]]
    parts += [settings["activation"]] if settings["activation"] else []
    return " + ".join([name, *parts])


def _work(node: Node) -> tuple[str, float, float]:
    """Shape, multiply-adds of the direct way as flops, bytes of operands and result."""
    x, weight = node.args[:2]
    n, k, oh, ow = node.out.shape
    flops = 2.0 * n * oh * ow * weight.numel
    shape = f"{n}x{x.shape[1]}x{x.shape[2]}x{x.shape[3]} -> {k}x{oh}x{ow}"
    return shape, flops, 4.0 * (x.numel + weight.numel + node.out.numel)


def _depthwise(
    planner: Planner, node: Node, x: Physical, out: Physical, w: np.ndarray, extras: Any,
    settings: Any,
) -> None:  # fmt: skip
    n, c, h, width_ = node.args[0].shape
    g = node.args[3]
    flat = aligned(w.size).reshape(*w.shape[2:], c)
    flat[...] = np.moveaxis(w[:, 0], 0, -1)
    planner.step(
        _label("depthwise conv", settings), conv_depthwise(**settings),
        [x.ref(), planner.array(flat), out.ref(), *extras, n, h, width_, c, *node.out.shape[2:],
         *w.shape[2:], *g.stride, *g.padding, *g.dilation],
        *_work(node),
    )  # fmt: skip


def _suits_winograd(w: np.ndarray, g: Any) -> bool:
    return (
        w.shape[2:] == (3, 3) and g.stride == (1, 1) and g.dilation == (1, 1) and g.groups == 1
        and min(w.shape[:2]) >= _MANY_CHANNELS
    )  # fmt: skip


def _winograd(
    planner: Planner, node: Node, x: Physical, out: Physical, w: np.ndarray, extras: Any,
    settings: Any,
) -> None:  # fmt: skip
    n, c, h, width_ = node.args[0].shape
    k, oh, ow = node.out.shape[1:]
    m = 4 if n * -(-oh // 4) * -(-ow // 4) >= _MANY_CHANNELS else 2
    tiles, places = n * -(-oh // m) * -(-ow // m), (m + 2) ** 2
    shared = 4 * places * c * k > _LARGE_WEIGHTS
    rows = current().rows
    if shared:
        chunk = min(tiles, max((8 << 20) // (4 * places * (c + k)), rows))
    else:
        chunk = max(_CACHE // (4 * places * (c + k)) // rows, 2) * rows
        parts = -(-tiles // chunk)
        parts = -(-parts // planner.threads) * planner.threads
        chunk = max(-(-tiles // parts), 1)
    v_row, p_row = (_padded(count) for count in (c, k))
    copies = 1 if shared else planner.threads
    v = planner.buffer(4 * copies * places * chunk * v_row)
    products = planner.buffer(4 * copies * places * chunk * p_row)
    u = packed_rows(transformed_weights(w, m))
    planner.step(
        _label(f"winograd F({m},3)", settings), winograd(m=m, shared=shared, **settings),
        [x.ref(), planner.array(u), out.ref(), *extras, Ref(v), Ref(products), n, h, width_, c, k,
         oh, ow, *node.args[3].padding, chunk, v_row, p_row],
        *_work(node),
    )  # fmt: skip


def _padded(channels: int) -> int:
    """Elements between tiles: whole vectors, and not a multiple of a page."""
    rounded = -(-channels // 16) * 16
    return rounded + 16 if rounded % 256 == 0 else rounded


def _windows(
    planner: Planner, node: Node, x: Physical, out: Physical, w: np.ndarray, extras: Any,
    settings: Any,
) -> None:  # fmt: skip
    n, channels, h, width_ = node.args[0].shape
    g = node.args[3]
    k, c, kh, kw = w.shape
    groups = g.groups
    oh, ow = node.out.shape[2:]
    flat = w.reshape(groups, k // groups, c, kh, kw).transpose(0, 3, 4, 2, 1)
    packed = packed_rows(flat.reshape(groups, kh * kw * c, k // groups))
    depth, pixels = kh * kw * c, n * oh * ow
    in_place = (kh, kw) == (1, 1) and g.stride == (1, 1) and not any(g.padding)
    lda = depth + (16 if depth % 1024 == 0 else 0)
    panels, rows = -(-(k // groups) // width(current())), current().rows
    if pixels // planner.threads >= 4 * rows or groups >= planner.threads:
        mc, nc = max((128 << 10) // (4 * lda) // rows, 2) * rows, panels
        parts = -(-pixels // min(mc, pixels))
        parts = -(-parts // planner.threads) * planner.threads
        share = -(-pixels // parts)
        mc = max(-(-share // rows) * rows, rows)
    else:
        mc, nc = pixels, max(-(-panels // (PARTS * planner.threads)), 1)
    scratch = planner.buffer(4 * planner.threads * (mc * lda + current().lanes))
    planner.step(
        _label(f"conv {kh}x{kw}", settings), conv_windows(in_place=in_place, **settings),
        [x.ref(), planner.array(packed), out.ref(), *extras, Ref(scratch), n, h, width_, c, oh, ow,
         k // groups, kh, kw, *g.stride, *g.padding, *g.dilation, width_ * channels,
         h * width_ * channels, channels, groups, mc, nc, 256 if depth > 512 else depth, lda],
        *_work(node),
    )  # fmt: skip


@rule("max_pool_values")
def lower_max_pool(planner: Planner, node: Node) -> Physical | None:
    x, window = node.args[:2]
    if len(x.shape) != 4 or x.dtype is not float32:
        return None
    return _pool(planner, node, "max", window, 0)


def _pool(planner: Planner, node: Node, how: str, window: Any, divisor: int) -> Physical:
    n, c, h, w = node.args[0].shape
    place = images(planner, node.args[0])
    out = planner.fresh(channels_last(node.out.shape))
    planner.step(
        f"{how} pool", pool(how=how),
        [place.ref(), out.ref(), n, h, w, c, *node.out.shape[2:], *window.kernel, *window.stride,
         *window.padding, *window.dilation, divisor],
        str(list(node.out.shape)), nbytes=4.0 * (node.args[0].numel + node.out.numel),
    )  # fmt: skip
    return out


@rule("adaptive_average")
def lower_global_mean(planner: Planner, node: Node) -> Physical | None:
    """The mean over all of an image."""
    x, size = node.args
    if len(x.shape) != 4 or x.dtype is not float32 or tuple(size) != (1, 1):
        return None
    n, c, h, w = x.shape
    return summed(planner, images(planner, x), node, (n, h * w, c), 1.0 / (h * w))
