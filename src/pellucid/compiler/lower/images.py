"""Convolution and pooling: inside a plan images lie channels last, (N, H, W, C) in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.compiler.graph import Node, Value
from pellucid.compiler.lower.moves import copy
from pellucid.compiler.lower.products import bias_ref
from pellucid.compiler.lower.rows import summed
from pellucid.compiler.lower.rules import rule
from pellucid.compiler.plan import Physical, Planner, Ref
from pellucid.kernels.choose import (
    Images,
    depthwise_arguments,
    is_depthwise,
    plan_windows,
    plan_winograd,
    suits_winograd,
)
from pellucid.kernels.convolution import conv_depthwise, conv_windows
from pellucid.kernels.pack import aligned
from pellucid.kernels.pooling import pool
from pellucid.kernels.prepack import window_weights, winograd_weights
from pellucid.kernels.winograd import winograd
from pellucid.tensor.dtype import float32
from pellucid.tensor.layout import channels_last


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
    sizes = Images.of(
        x.shape, node.out.shape, w.shape[2:], g.stride, g.padding, g.dilation, g.groups
    )
    if is_depthwise(sizes):
        _depthwise(planner, node, sizes, place, out, w, extras, settings)
    elif suits_winograd(sizes) and not planner.exact:
        _winograd(planner, node, sizes, place, out, w, extras, settings)
    else:
        _windows(planner, node, sizes, place, out, w, extras, settings)
    return out


def label(name: str, settings: dict[str, Any]) -> str:
    parts = [part for part in ("bias", "residual") if settings[part]]
    parts += [settings["activation"]] if settings["activation"] else []
    return " + ".join([name, *parts])


def work(node: Node) -> tuple[str, float, float]:
    """Shape, multiply-adds of the direct way as flops, bytes of operands and result."""
    x, weight = node.args[:2]
    n, k, oh, ow = node.out.shape
    flops = 2.0 * n * oh * ow * weight.numel
    shape = f"{n}x{x.shape[1]}x{x.shape[2]}x{x.shape[3]} -> {k}x{oh}x{ow}"
    return shape, flops, 4.0 * (x.numel + weight.numel + node.out.numel)


def _depthwise(
    planner: Planner, node: Node, g: Images, x: Physical, out: Physical, w: np.ndarray,
    extras: Any, settings: Any,
) -> None:  # fmt: skip
    flat = aligned(w.size).reshape(*g.kernel, g.c)
    flat[...] = np.moveaxis(w[:, 0], 0, -1)
    planner.step(
        label("depthwise conv", settings), conv_depthwise(**settings),
        depthwise_arguments(g, x.ref(), planner.array(flat), out.ref(), extras), *work(node),
    )  # fmt: skip


def _winograd(
    planner: Planner, node: Node, g: Images, x: Physical, out: Physical, w: np.ndarray,
    extras: Any, settings: Any,
) -> None:  # fmt: skip
    plan = plan_winograd(g, planner.threads)
    v, products = planner.buffer(4 * plan.v), planner.buffer(4 * plan.products)
    u = planner.packed(node.args[1], ("winograd", plan.m), lambda: winograd_weights(w, plan.m))
    planner.step(
        label(f"winograd F({plan.m},3)", settings),
        winograd(m=plan.m, shared=plan.shared, **settings),
        plan.arguments(x.ref(), u, out.ref(), extras, Ref(v), Ref(products)), *work(node),
    )  # fmt: skip


def _windows(
    planner: Planner, node: Node, g: Images, x: Physical, out: Physical, w: np.ndarray,
    extras: Any, settings: Any,
) -> None:  # fmt: skip
    plan = plan_windows(g, planner.threads)
    form = ("windows", g.groups)
    packed = planner.packed(node.args[1], form, lambda: window_weights(w, g.groups))
    scratch = planner.buffer(4 * plan.scratch)
    planner.step(
        label("conv {}x{}".format(*g.kernel), settings),
        conv_windows(in_place=plan.in_place, cut=plan.cut, **settings),
        plan.arguments(x.ref(), packed, out.ref(), extras, Ref(scratch)),
        *work(node),
    )  # fmt: skip


@rule("max_pool_values")
def lower_max_pool(planner: Planner, node: Node) -> Physical | None:
    x, window = node.args[:2]
    if len(x.shape) != 4 or x.dtype is not float32:
        return None
    return _pool(planner, node, "max", window, 0)


@rule("average_windows")
def lower_average_pool(planner: Planner, node: Node) -> Physical | None:
    x, window, size, with_padding, divisor = node.args
    if len(x.shape) != 4 or x.dtype is not float32 or divisor is not None:
        return None
    whole = [(n + 2 * p - (k - 1) - 1) // s + 1 for n, k, s, p in zip(
        x.shape[2:], window.kernel, window.stride, window.padding, strict=True)]  # fmt: skip
    if tuple(whole) != tuple(size) and with_padding:  # windows that end outside of the padding
        return None
    count = window.kernel[0] * window.kernel[1] if with_padding else 0
    return _pool(planner, node, "mean", window, count)


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
