"""Products in bfloat16: linear layers and convolutions whose weights are fixed.

A value that only such products read is written as bf16 by the step that computes it; others are
rounded once, by a step of their own, when the first product asks for them (`planner.low`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pellucid.compiler.graph import Node, Value
from pellucid.compiler.lower.alike import layers_with
from pellucid.compiler.lower.images import images, label, work
from pellucid.compiler.lower.moves import whole_numbers
from pellucid.compiler.lower.products import bias_ref, flat_rows, row_step, suffix
from pellucid.compiler.lower.rows import normalised, normalises
from pellucid.compiler.lower.rules import low_rule, rule
from pellucid.compiler.passes import IDENTITIES, name_of
from pellucid.compiler.plan import Physical, Planner, Ref
from pellucid.kernels.choose import Images, is_depthwise
from pellucid.kernels.choose_low import (
    blocks_low,
    plan_windows_low,
    plan_winograd_low,
    spread_words,
    winograd_pays,
)
from pellucid.kernels.convolution_low import conv_low
from pellucid.kernels.gemm_low import gemm_low
from pellucid.kernels.low import round_rows
from pellucid.kernels.pooling import pool
from pellucid.kernels.prepack import winograd_weights
from pellucid.kernels.prepack_low import linear_panels, paired
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from pellucid.kernels.winograd_low import winograd_low
from pellucid.tensor.dtype import bfloat16, float32
from pellucid.tensor.layout import Layout, channels_last, contiguous

PAIR = 2
"""bf16 in a word."""


def takes_low(node: Node, per: int = PAIR) -> bool:
    """Whether a product can run on words of `per` numbers: its weights are fixed, and there is a
    kernel for their kind.
    """
    if name_of(node) in ("linear", "mm"):
        x, weight = node.args[:2]
        shaped = len(weight.shape) == 2 and len(x.shape) >= 1
        shaped = shaped and (name_of(node) == "linear" or not node.settings)
    elif name_of(node) == "convolve" and len(node.args) == 4 and len(node.args[0].shape) == 4:
        x, weight, _, g = node.args
        channels = x.shape[1] // g.groups
        depthwise = g.groups > 1 and g.groups == x.shape[1] == weight.shape[0]
        shaped = not depthwise and (g.groups == 1 or channels % per == 0)
    else:
        return False
    fixed = weight.constant and all(v.dtype is float32 for v in (x, weight))
    return bool(fixed and shaped and weight.numel and node.out.numel)


def readers(planner: Planner, value: Value) -> Iterator[tuple[Node | None, Value]]:
    """Who reads a value, through views of it, each with what it reads; None for the outside."""
    if value in planner.kept_values:
        yield None, value
    for node in planner.readers.get(value, ()):
        if (node.kind == "view" and node.op != "as_strided") or name_of(node) in IDENTITIES:
            for out in node.outputs:
                yield from readers(planner, out)
        else:
            yield node, value


def attends_low(node: Node) -> bool:
    """Whether attention can run in bf16."""
    if len(node.args) != 6 or node.settings:
        return False
    q, k, v, mask, scale, _ = node.args
    fits = all(len(t.shape) == 4 and t.dtype is float32 for t in (q, k, v))
    fits = fits and (mask is None or (len(mask.shape) <= 4 and mask.dtype is float32))
    fits = fits and isinstance(scale, float) and bool(node.out.numel) and k.shape[2] > 0
    return fits and k.shape[1] == v.shape[1] == q.shape[1] and q.shape[3] % PAIR == 0


def wanted(planner: Planner, value: Value, length: int = 0) -> str:
    """In what a step should write a value: "f32", "bf16" or "both". Its rows have `length`, or that
    of channels or the last dimension.
    """
    low = other = False
    for node, seen in readers(planner, value):
        if node is None or planner.multiplies_in(node) != "bfloat16":
            other = True
        elif node.op == "max_pool_values":
            passes = wanted(planner, node.out) == "bf16"
            low, other = low or passes, other or not passes
        elif node.op == "attend":
            takes = attends_low(node) and any(seen is v for v in node.args[:3])
            low, other = low or takes, other or not takes
        elif takes_low(node) and seen is node.args[0]:
            low = True
        elif node.op != "convolve" or not takes_low(node):
            other = True  # residuals of linear layers too: rounded again and again, they drift
    length = length or value.shape[-1 if len(value.shape) != 4 else 1]
    if not low or length % PAIR:
        return "f32"
    return "both" if other else "bf16"


def _usable(planner: Planner, value: Value, length: int, steps: tuple[int, ...]) -> bool:
    """Whether the place in `low` has rows of `length` in whole words."""
    offset = planner.low[value].layout.offset
    whole = length % PAIR == 0 or value in planner.padded
    return whole and all(s % PAIR == 0 for s in (offset, *steps))


def low_matrix(planner: Planner, value: Value) -> tuple[Physical, int, int]:
    """A value as rows of bf16: where, how many, words from one to the next."""
    k = value.shape[-1]
    low = planner.low.get(value)
    if low is not None:
        step = row_step(low.layout)
        near = step is not None and step // PAIR == spread_words(step // PAIR)
        if step is not None and near and _usable(planner, value, k, (step,)):
            return low, low.layout.numel // k, step // PAIR
    out = rounded(planner, value)
    return out, value.numel // k, spread_words(-(-k // PAIR))


def rounded(planner: Planner, value: Value) -> Physical:
    """A value in bf16, row-major, by a step of its own; rows are filled up to whole words."""
    k = value.shape[-1]
    source, rows, step = flat_rows(planner, planner.place(value))
    padded = PAIR * spread_words(-(-k // PAIR))
    strides = contiguous((*value.shape[:-1], padded)).strides
    out = planner.fresh(Layout(value.shape, strides, 0), bfloat16)
    _round(planner, value, source, out, rows, k, step, padded)
    return out


def low_images(planner: Planner, value: Value) -> Physical:
    """A value (N, C, H, W) as bf16, channels last, pixels of whole words."""
    n, c, h, w = value.shape
    low = planner.low.get(value)
    padded = c + c % PAIR
    strides = (h * w * padded, 1, w * padded, padded)
    if low is not None and _usable(planner, value, c, ()):
        same = zip(value.shape, low.layout.strides, strides, strict=True)
        if all(size == 1 or a == b for size, a, b in same):
            return low
    source = images(planner, value)
    out = planner.fresh(Layout(value.shape, strides, 0), bfloat16)
    _round(planner, value, source, out, n * h * w, c, c, padded)
    return out


def _dense_images(planner: Planner, value: Value) -> Physical:
    """The same without zeros between pixels."""
    source = images(planner, value)
    n, c, h, w = value.shape
    out = planner.fresh(channels_last(value.shape), bfloat16)
    planner.step(
        "to bf16", round_rows(), [source.ref(), out.ref(), n * h, w * c, w * c, w * c],
        f"{n * h}x{w * c}", nbytes=6.0 * value.numel,
    )  # fmt: skip
    return out


def _round(
    planner: Planner, value: Value, source: Physical, out: Physical, rows: int, n: int, step: int,
    padded: int,
) -> None:  # fmt: skip
    out.buffer.nbytes = max(2 * rows * padded, 1)
    planner.step(
        "to bf16", round_rows(), [source.ref(), out.ref(), rows, n, step, padded],
        f"{rows}x{n}", nbytes=6.0 * rows * n,
    )  # fmt: skip
    planner.low[value] = out
    planner.padded.add(value)


def outputs(
    planner: Planner, values: Sequence[Value], layout: Layout, spread: bool = False
) -> tuple[str, Any, Any, int]:
    """In what a step writes values, which lie side by side in `layout`; the addresses of both
    forms, and elements between rows of the one in bf16: with `spread`, not a multiple of a page
    apart.
    """
    kinds = {wanted(planner, value) for value in values}
    out = kinds.pop() if len(kinds) == 1 else "both"
    refs: list[Any] = [0, 0]
    row = layout.shape[-1] if layout.shape else 1
    if out != "bf16":
        refs[0] = side_by_side(planner.places, values, planner.fresh(layout))
    if out != "f32":
        if spread and row % PAIR == 0:
            row = PAIR * spread_words(row // PAIR)
            strides = contiguous((*layout.shape[:-1], row)).strides
            layout = Layout(layout.shape, strides, 0)
        refs[1] = side_by_side(planner.low, values, planner.fresh(layout, bfloat16))
    return out, refs[0], refs[1], row


def side_by_side(places: dict[Value, Physical], values: Sequence[Value], whole: Physical) -> Ref:
    for number, value in enumerate(values):
        places[value] = whole
        if len(values) > 1:
            layout = Layout(value.shape, whole.layout.strides, number * value.shape[-1])
            places[value] = Physical(whole.buffer, layout, whole.dtype)
    return whole.ref()


def _residual(planner: Planner, value: Value | None, layout: Layout) -> tuple[str, Any, int]:
    """What is added to a product, its address and elements between rows."""
    if value is None:
        return "", 0, 0
    low = planner.low.get(value)
    if low is not None and value not in planner.places and low.layout.strides == layout.strides:
        return "bf16", low.ref(), 0
    return "f32", None, 0


@low_rule("bfloat16", "linear", "mm")
def lower_linear(planner: Planner, node: Node) -> bool:
    """x W^T + bias, + residual, activation."""
    if node.out in planner.places or node.out in planner.low:  # with a layer before it
        return True
    if not takes_low(node):
        return False
    layers = layers_with(planner, node, takes_low)
    k, n = layers.sizes
    a, m, lda = low_matrix(planner, node.args[0])
    steps = -(-k // PAIR)
    packed = planner.packed(
        layers.weight, ("bf16", name_of(node)), lambda: paired(linear_panels(layers.weights()), k)
    )
    residual = node.extra.get("residual")
    layout = contiguous((*node.out.shape[:-1], n))
    kind, more, ldr = _residual(planner, residual, layout)
    if residual is not None and more is None:
        found, _, ldr = flat_rows(planner, planner.place(residual))
        more = found.ref()
    else:
        ldr = n
    out, c, low, ldl = outputs(planner, layers.outs, layout, True)
    kernel = gemm_low(
        kind="bf16", out=out, bias=layers.biased, residual=kind,
        activation=node.extra.get("activation", ""),
    )  # fmt: skip
    mc, nc = blocks_low(m, -(-n // width(current())), steps, planner.threads)
    planner.step(
        f"{name_of(node)} bf16" + suffix(node), kernel,
        [a.ref(), packed, c, low, layers.bias(planner, bias_ref), more, m, n, steps, lda, n, ldl,
         ldr, mc, nc, 0, 0, 0, 0],
        f"{m}x{n}x{k}", 2.0 * m * n * k, 2.0 * (m * k + n * k) + 4.0 * m * n,
    )  # fmt: skip
    return True


@low_rule("bfloat16", "convolve")
def lower_convolution(planner: Planner, node: Node) -> bool:
    """By windows; a 1x1 convolution without stride reads its pixels in place."""
    if not takes_low(node):
        return False
    x, weight, bias, g = node.args
    w: np.ndarray = weight.traced.detach()._array
    sizes = Images.of(
        x.shape, node.out.shape, w.shape[2:], g.stride, g.padding, g.dilation, g.groups
    )
    if is_depthwise(sizes):
        return False
    plan = plan_windows_low(sizes, PAIR, planner.threads)
    place = _dense_images(planner, x) if plan.runs else low_images(planner, x)
    layout = channels_last(node.out.shape)
    residual = node.extra.get("residual")
    kind, more, _ = _residual(planner, residual, layout)
    if residual is not None and more is None:
        more = images(planner, residual).ref()
    if winograd_pays(sizes) and not planner.exact:
        _winograd(planner, node, sizes, place, kind, more)
        return True
    packed = planner.packed(
        weight, ("bf16 windows", plan.form), lambda: paired(*plan.panels(w, PAIR))
    )
    out, c_ref, low, _ = outputs(planner, [node.out], layout)
    scratch = planner.buffer(4 * plan.scratch)
    settings = {"bias": bias is not None, "residual": kind,
                "activation": node.extra.get("activation", "")}  # fmt: skip
    shape, flops, nbytes = work(node)
    planner.step(
        label("conv {}x{} bf16".format(*sizes.kernel), settings),
        conv_low(kind="bf16", out=out, in_place=plan.in_place, runs=plan.runs, **settings),
        plan.arguments(place.ref(), packed, (c_ref, low),
                       (bias_ref(planner, bias), more), Ref(scratch)),
        shape, flops, nbytes / 2,
    )  # fmt: skip
    return True


def _winograd(
    planner: Planner, node: Node, g: Images, x: Physical, kind: str, residual: Any
) -> None:
    _, weight, bias, _ = node.args
    plan = plan_winograd_low(g, planner.threads)
    v, products = planner.buffer(2 * plan.v), planner.buffer(4 * plan.products)
    w = weight.traced.detach()._array
    u = planner.packed(
        weight, ("bf16 winograd", plan.m), lambda: paired(winograd_weights(w, plan.m), g.c)
    )
    out, c_ref, low, _ = outputs(planner, [node.out], channels_last(node.out.shape))
    settings = {"bias": bias is not None, "residual": kind,
                "activation": node.extra.get("activation", "")}  # fmt: skip
    extras = (bias_ref(planner, bias), residual)
    values = plan.arguments(x.ref(), u, c_ref, extras, Ref(v), Ref(products))
    shape, flops, nbytes = work(node)
    planner.step(
        label(f"winograd F({plan.m},3) bf16", settings),
        winograd_low(m=plan.m, shared=plan.shared, out=out, **settings),
        [*values[:3], low, *values[3:]], shape, flops, nbytes / 2,
    )  # fmt: skip


@low_rule("bfloat16", "max_pool_values")
def lower_max_pool(planner: Planner, node: Node) -> bool:
    """The largest of each window is the same in bf16, if that is what the images lie in."""
    x, window = node.args[:2]
    low = planner.low.get(x)
    if low is None or x in planner.places or low.layout != channels_last(x.shape):
        return False
    if wanted(planner, node.out) != "bf16":
        return False
    n, c, h, w = x.shape
    out = planner.low[node.out] = planner.fresh(channels_last(node.out.shape), bfloat16)
    planner.step(
        "max pool bf16", pool(how="max", low=True),
        [low.ref(), out.ref(), n, h, w, c, *node.out.shape[2:], *window.kernel, *window.stride,
         *window.padding, *window.dilation, 0],
        str(list(node.out.shape)), nbytes=2.0 * (x.numel + node.out.numel),
    )  # fmt: skip
    return True


@low_rule("bfloat16", "normalise_rows")
def lower_layer_norm(planner: Planner, node: Node) -> bool:
    """Layer norm for products, which read its result in bf16."""
    if not normalises(node) or wanted(planner, node.out) == "f32":
        return False
    normalised(planner, node, *outputs(planner, [node.out], contiguous(node.out.shape), True))
    return True


@rule("cast")
def lower_cast(planner: Planner, node: Node) -> Physical | None:
    """Between float32 and bf16; a value that lies there in bf16 is only widened when it is asked
    for.
    """
    x, out = node.args[0], node.out
    if (x.dtype, out.dtype) == (bfloat16, float32):
        planner.low[out] = planner.place(x)
        return None
    if (x.dtype, out.dtype) != (float32, bfloat16):
        return whole_numbers(planner, node)
    layout = contiguous(out.shape)
    low = planner.low.get(x)
    if low is not None and low.layout == layout:
        return low
    if not out.shape:
        source, rows, n, step = planner.place(x), 1, 1, 1
    else:
        source, rows, step = flat_rows(planner, planner.place(x))
        n = out.shape[-1]
    made = planner.fresh(layout, bfloat16)
    planner.step(
        "to bf16", round_rows(), [source.ref(), made.ref(), rows, n, step, n], f"{rows}x{n}",
        nbytes=6.0 * rows * n,
    )  # fmt: skip
    return made
