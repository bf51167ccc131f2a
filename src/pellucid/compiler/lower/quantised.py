"""Products in int8: bytes times bytes, summed as integers.

Weights have a scale for each output channel, found while the plan is made. Activations have theirs
found in every call: rows of a linear layer each its own, images of a convolution one for all, since
a window reaches over many pixels. Results are float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.compiler.graph import Node, Value
from pellucid.compiler.lower.alike import layers_with
from pellucid.compiler.lower.images import images, label, work
from pellucid.compiler.lower.low import side_by_side, takes_low
from pellucid.compiler.lower.products import bias_ref, flat_rows, suffix
from pellucid.compiler.lower.rules import low_rule
from pellucid.compiler.passes import name_of
from pellucid.compiler.plan import Planner, Ref
from pellucid.kernels.choose import Images
from pellucid.kernels.choose_low import blocks_low, plan_windows_low, spread_words
from pellucid.kernels.convolution_low import conv_low
from pellucid.kernels.gemm_low import gemm_low
from pellucid.kernels.prepack_low import linear_panels, quantised
from pellucid.kernels.quantise import LINE, quantise_all, quantise_rows
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from pellucid.tensor.layout import channels_last, contiguous

FOUR = 4
"""Bytes in a word."""
_DEEPEST = (1 << 31) // (255 * 127) - 1
"""Products of bytes that are sure to have a sum of 32 bits."""


@dataclass(frozen=True)
class Bytes:
    """Where a value lies as rows of bytes, with scales and zeros; `words` from row to row."""

    place: Ref
    scale: Ref
    zero: Ref
    rows: int
    words: int


def _fits(node: Node) -> bool:
    weight = node.args[1]
    channels = weight.shape[1 if name_of(node) == "mm" else 0]
    return takes_low(node, FOUR) and weight.numel // channels <= _DEEPEST


def _bytes(planner: Planner, value: Value, form: str) -> Bytes:
    """A value in bytes: its "rows" each with a scale, or images all with one, "pixels" in words or
    one "dense" after the other.
    """
    known: Bytes | None = planner.quantised.get((value, form))
    if known is not None:
        return known
    image = form != "rows"
    if image:
        n = value.shape[1] * (value.shape[3] if form == "dense" else 1)
        source, rows, step = images(planner, value), value.numel // n, n
    else:
        n = value.shape[-1]
        source, rows, step = flat_rows(planner, planner.place(value))
    words = -(-n // FOUR) if image else spread_words(-(-n // FOUR))
    length = n if form == "dense" else FOUR * words
    count = 1 if image else rows
    place, scale, zero = (
        Ref(planner.buffer(size)) for size in (length * rows, 4 * count, 4 * count)
    )
    stats = [Ref(planner.buffer(4 * LINE * planner.threads))] if image else []
    kernel = quantise_all() if image else quantise_rows()
    planner.step(
        "to int8", kernel,
        [source.ref(), place, scale, zero, *stats, rows, n, step, length],
        f"{rows}x{n}", nbytes=5.0 * rows * n,
    )  # fmt: skip
    found = planner.quantised[value, form] = Bytes(place, scale, zero, rows, words)
    return found


def _packed(
    planner: Planner, weight: Value, form: tuple[Any, ...],
    panels: Callable[[], tuple[np.ndarray, int]],
) -> list[Ref]:  # fmt: skip
    """Weights in bytes, the scales of their columns and the sums."""
    made: list[np.ndarray] = []

    def part(number: int) -> np.ndarray:
        if not made:
            made.extend(quantised(*panels()))
        return made[number]

    return [planner.packed(weight, (*form, i), lambda i=i: part(i)) for i in range(3)]  # type: ignore[misc]


@low_rule("int8", "linear", "mm")
def lower_linear(planner: Planner, node: Node) -> bool:
    """x W^T + bias, + residual, activation."""
    if node.out in planner.places:  # with a layer before it
        return True
    if not _fits(node):
        return False
    layers = layers_with(planner, node, _fits)
    k, n = layers.sizes
    a = _bytes(planner, node.args[0], "rows")
    packed = _packed(
        planner, layers.weight, ("int8", name_of(node)),
        lambda: (linear_panels(layers.weights()), k),
    )  # fmt: skip
    steps, m = -(-k // FOUR), a.rows
    residual = node.extra.get("residual")
    more: Any = 0
    ldr = 0
    if residual is not None:
        found, _, ldr = flat_rows(planner, planner.place(residual))
        more = found.ref()
    out = side_by_side(
        planner.places, layers.outs, planner.fresh(contiguous((*node.out.shape[:-1], n)))
    )
    kernel = gemm_low(
        kind="i8", bias=layers.biased, residual="f32" if residual is not None else "",
        activation=node.extra.get("activation", ""),
    )  # fmt: skip
    mc, nc = blocks_low(m, -(-n // width(current())), steps, planner.threads)
    planner.step(
        f"{name_of(node)} int8" + suffix(node), kernel,
        [a.place, packed[0], out, 0, layers.bias(planner, bias_ref), more,
         m, n, steps, a.words, n, 0, ldr, mc, nc, a.scale, a.zero,
         *packed[1:]],
        f"{m}x{n}x{k}", 2.0 * m * n * k, 1.0 * (m * k + n * k) + 4.0 * m * n,
    )  # fmt: skip
    return True


@low_rule("int8", "convolve")
def lower_convolution(planner: Planner, node: Node) -> bool:
    """By windows of bytes."""
    if not _fits(node):
        return False
    x, weight, bias, g = node.args
    w: np.ndarray = weight.traced.detach()._array
    sizes = Images.of(
        x.shape, node.out.shape, w.shape[2:], g.stride, g.padding, g.dilation, g.groups
    )
    plan = plan_windows_low(sizes, FOUR, planner.threads)
    a = _bytes(planner, x, "dense" if plan.runs else "pixels")
    residual = node.extra.get("residual")
    more = 0 if residual is None else images(planner, residual).ref()
    packed = _packed(planner, weight, ("int8 windows", plan.form), lambda: plan.panels(w, FOUR))
    out = planner.places[node.out] = planner.fresh(channels_last(node.out.shape))
    settings = {"bias": bias is not None, "residual": "" if residual is None else "f32",
                "activation": node.extra.get("activation", "")}  # fmt: skip
    shape, flops, nbytes = work(node)
    planner.step(
        label("conv {}x{} int8".format(*sizes.kernel), settings),
        conv_low(kind="i8", out="f32", in_place=plan.in_place, runs=plan.runs, **settings),
        plan.arguments(a.place, packed[0], (out.ref(), 0),
                       (bias_ref(planner, bias), more), Ref(planner.buffer(4 * plan.scratch)),
                       (a.scale, a.zero, packed[1], packed[2])),
        shape, flops, nbytes / 4,
    )  # fmt: skip
    return True
