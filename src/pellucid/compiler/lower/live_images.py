"""Images in training steps: convolution forward and backward with weights that change, batch norm,
max pooling. Images lie channels last throughout.
"""

from __future__ import annotations

import itertools
from typing import Any

from pellucid.compiler.graph import Node, Value
from pellucid.compiler.lower.images import images
from pellucid.compiler.lower.moves import copy, walk
from pellucid.compiler.lower.products import bias_ref
from pellucid.compiler.lower.rules import row_major_place, rule
from pellucid.compiler.plan import Physical, Planner, Ref
from pellucid.kernels.batch_norm import PARTS, batch_norm_backward, batch_norm_train
from pellucid.kernels.choose import (
    Images,
    plan_weight_gradient,
    plan_windows,
    plan_winograd,
    plan_winograd_weights,
    suits_winograd,
)
from pellucid.kernels.convolution import conv_windows
from pellucid.kernels.filters import pack_filters, transform_filters
from pellucid.kernels.pooling import max_pool_chosen, max_pool_spread
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from pellucid.kernels.weight_gradient import weight_gradient
from pellucid.kernels.winograd import winograd
from pellucid.kernels.winograd_weights import ROWS, winograd_weights
from pellucid.ops.nn.kernels_convolution import phases_of
from pellucid.tensor.dtype import float32, float64
from pellucid.tensor.layout import Layout, channels_last, contiguous

_MANY_PIXELS = 256


def _takes(*values: Value, groups: int = 1) -> bool:
    """Whether these kernels take images and weights: float32, four dimensions, one group."""
    return groups == 1 and all(
        v.dtype is float32 and len(v.shape) == 4 and v.numel > 0 for v in values
    )


class _Filters:
    """Weights as a convolution reads them: the tensor's memory with strides of its own."""

    def __init__(self, place: Physical, start: int, steps: tuple[int, ...], sizes: Any) -> None:
        self.ref = place.ref(start)
        self.steps = steps
        self.k, self.c, *self.kernel = sizes


def _whole(channels: int) -> int:
    nr = width(current())
    return -(-channels // nr) * nr


def _correlate(
    planner: Planner, x: Physical, w: _Filters, out: Physical, geometry: Any, bias: Value | None
) -> None:
    """One convolution: weights are packed (or transformed), then the images."""
    stride, padding, dilation = geometry
    g = Images.of(
        x.layout.shape, out.layout.shape, tuple(w.kernel), stride, padding, dilation, 1
    )  # fmt: skip
    plain = {"bias": bias is not None, "residual": False, "activation": ""}
    extras = (bias_ref(planner, bias), 0)
    shape = f"{g.n}x{g.c}x{g.h}x{g.w} -> {g.k}x{g.oh}x{g.ow}"
    flops = 2.0 * g.n * g.oh * g.ow * g.k * g.depth
    nbytes = 4.0 * (x.layout.numel + g.k * g.depth + out.layout.numel)
    if suits_winograd(g) and not planner.exact:
        plan = plan_winograd(g, planner.threads)
        u = Ref(planner.buffer(4 * (plan.m + 2) ** 2 * g.c * _whole(g.k)))
        planner.step("transform filters", transform_filters(m=plan.m),
                     [w.ref, u, g.k, g.c, *w.steps])  # fmt: skip
        v, products = (Ref(planner.buffer(4 * size)) for size in (plan.v, plan.products))
        planner.step(
            f"winograd F({plan.m},3)", winograd(m=plan.m, shared=plan.shared, **plain),
            plan.arguments(x.ref(), u, out.ref(), extras, v, products), shape, flops, nbytes,
        )  # fmt: skip
        return
    windows = plan_windows(g, planner.threads)
    packed = Ref(planner.buffer(4 * g.depth * _whole(g.k)))
    planner.step("pack filters", pack_filters(),
                 [w.ref, packed, 1, g.k, g.c, *g.kernel, g.k * w.steps[0], *w.steps])  # fmt: skip
    scratch = Ref(planner.buffer(4 * windows.scratch))
    planner.step(
        "conv {}x{}".format(*g.kernel),
        conv_windows(in_place=windows.in_place, cut=windows.cut, **plain),
        windows.arguments(x.ref(), packed, out.ref(), extras, scratch), shape, flops, nbytes,
    )  # fmt: skip


@rule("live_convolve")
def lower_live_convolution(planner: Planner, node: Node) -> Physical | None:
    x, weight, bias, g = node.args[:4]
    if not _takes(x, weight, node.out, groups=g.groups) or len(node.args) > 4:
        return None
    source, place = images(planner, x), planner.place(weight)
    out = planner.fresh(channels_last(node.out.shape))
    filters = _Filters(place, 0, place.layout.strides, weight.shape)
    _correlate(planner, source, filters, out, (g.stride, g.padding, g.dilation), bias)
    return out


@rule("convolve_input")
def lower_input_gradient(planner: Planner, node: Node) -> Physical | None:
    """Places that are a stride apart are met by the same taps: each such phase is a convolution of
    the gradient with its taps in opposite order.
    """
    grad, weight, bias, shape, g = node.args[:5]
    if not _takes(grad, weight, node.out, groups=g.groups) or bias is not None:
        return None
    source, place = images(planner, grad), planner.place(weight)
    k, c, *taps = weight.shape
    s_k, s_c, *s_taps = place.layout.strides
    out = planner.fresh(channels_last(node.out.shape))
    phases = [
        list(phases_of(*each))
        for each in zip(shape[2:], taps, g.stride, g.padding, g.dilation, strict=True)
    ]
    alone = all(len(each) == 1 for each in phases)
    for phase in itertools.product(*phases):
        starts = [each.places.start for each in phase]
        sizes = [len(range(*each.places.indices(size)))
                 for each, size in zip(phase, shape[2:], strict=True)]  # fmt: skip
        strides = out.layout.strides
        offset = sum(a * s for a, s in zip(starts, strides[2:], strict=True))
        steps = tuple(t * s for t, s in zip(g.stride, strides[2:], strict=True))
        layout = Layout((*shape[:2], *sizes), (*strides[:2], *steps), offset)
        target = Physical(out.buffer, layout, float32)
        if any(each.taps is None for each in phase):
            walk(planner, ("number", 0.0), [], target, "zero")
            continue
        ranges = [range(*each.taps.indices(f)) for each, f in zip(phase, taps, strict=True)]  # type: ignore[union-attr]
        start = sum(r.start * s for r, s in zip(ranges, s_taps, strict=True))
        turned = (s_c, s_k, *(r.step * s for r, s in zip(ranges, s_taps, strict=True)))
        filters = _Filters(place, start, turned, (c, k, *map(len, ranges)))
        found = out if alone else planner.fresh(channels_last((*shape[:2], *sizes)))
        geometry = ((1, 1), tuple(p.padding for p in phase), tuple(p.dilation for p in phase))
        _correlate(planner, source, filters, found, geometry, None)
        if not alone:
            copy(planner, found, target)
    return out


@rule("convolve_weight")
def lower_weight_gradient(planner: Planner, node: Node) -> Physical | None:
    """The result lies (K, kh, kw, C)."""
    grad, x, _, g = node.args[:4]
    if not _takes(grad, x, node.out, groups=g.groups):
        return None
    sizes = Images.of(
        x.shape, grad.shape, node.out.shape[2:], g.stride, g.padding, g.dilation, 1
    )  # fmt: skip
    source, above = images(planner, x), images(planner, grad)
    out = planner.fresh(channels_last(node.out.shape))
    flops = 2.0 * grad.numel * sizes.depth
    shape = f"{sizes.n}x{sizes.oh}x{sizes.ow}: {sizes.k}x{sizes.depth}"
    if suits_winograd(sizes) and not planner.exact and grad.numel // sizes.k >= _MANY_PIXELS:
        plan = plan_winograd_weights(sizes, planner.threads, ROWS)
        v, d, room = (Ref(planner.buffer(4 * size)) for size in (plan.v, plan.d, plan.room))
        planner.step(
            "winograd weights", winograd_weights(m=plan.m),
            plan.arguments(source.ref(), above.ref(), out.ref(), v, d, room), shape, flops,
        )  # fmt: skip
        return out
    direct = plan_weight_gradient(sizes, planner.threads)
    scratch = Ref(planner.buffer(4 * direct.scratch))
    steps = (1, sizes.k, sizes.oh * sizes.ow * sizes.k)
    planner.step(
        "weight gradient", weight_gradient(taps=direct.taps, unit=False),
        direct.arguments(source.ref(), above.ref(), out.ref(), scratch, steps), shape, flops,
    )  # fmt: skip
    return out


def lower_batch_norm(planner: Planner, node: Node) -> bool:
    """In training, of images: the result, the statistics and what the running ones become."""
    x, weight, bias, mean, _, training, momentum, eps = node.args
    given = [v for v in node.args[:5] if v is not None]
    if not training or not _takes(x) or any(v.dtype is not float32 for v in given):
        return False
    if (weight is None) != (bias is None) or not isinstance(momentum, float):
        return False
    n, c, h, w = x.shape
    pixels = n * h * w
    if pixels < PARTS or (mean is not None and len(node.outputs) != 5):
        return False
    source = images(planner, x)
    out = planner.fresh(channels_last(x.shape))
    wide = [planner.fresh(contiguous((c,)), float64) for _ in range(2)]
    fresh = [planner.fresh(contiguous((c,))) for _ in node.outputs[3:]]
    held = [Ref(planner.buffer(4 * size * c)) for size in (PARTS, 3)]
    news: list[Any] = [each.ref() for each in fresh] or [0, 0]
    planner.step(
        "batch norm", batch_norm_train(affine=weight is not None, running=mean is not None),
        [source.ref(), *(_row(planner, v) for v in node.args[1:5]), out.ref(),
         *(each.ref() for each in wide), *news, *held, pixels, c, momentum, float(eps)],
        str(list(x.shape)), nbytes=16.0 * x.numel,
    )  # fmt: skip
    for value, place in zip(node.outputs, [out, *wide, *fresh], strict=True):
        planner.places[value] = place
    return True


def _row(planner: Planner, value: Value | None) -> Any:
    return 0 if value is None else row_major_place(planner, planner.place(value)).ref()


def lower_batch_norm_gradient(planner: Planner, node: Node) -> bool:
    """The tape's node of `lower_batch_norm`."""
    if node.op != "NativeBatchNormBackward0":
        return False
    (grad, *_), kept = node.args
    x, weight, mean, invstd = (kept.get(key) for key in ("input", "weight", "mean", "invstd"))
    if not kept.get("training") or not all(isinstance(v, Value) for v in (x, mean, invstd, grad)):
        return False
    if not _takes(x, grad) or any(v.dtype is not float64 for v in (mean, invstd)):
        return False
    if weight is not None and weight.dtype is not float32:
        return False
    present = node.extra["present"]
    if not present[0]:
        return False
    c = x.shape[1]
    pixels = x.numel // c
    if pixels < PARTS:
        return False
    source, above = images(planner, x), images(planner, grad)
    out = planner.fresh(channels_last(x.shape))
    sums = [planner.fresh(contiguous((c,))) for _ in range(2)]
    held = [Ref(planner.buffer(4 * size * c)) for size in (2 * PARTS, 4)]
    planner.step(
        "batch norm backward", batch_norm_backward(affine=weight is not None),
        [source.ref(), above.ref(), *(_row(planner, v) for v in (weight, mean, invstd)), out.ref(),
         *(each.ref() for each in sums), *held, pixels, c],
        str(list(x.shape)), nbytes=20.0 * x.numel,
    )  # fmt: skip
    made = [place for place, here in zip([out, *sums], present, strict=False) if here]
    for value, place in zip(node.outputs, made, strict=True):
        planner.places[value] = place
    return True


def lower_max_pool(planner: Planner, node: Node) -> bool:
    """Max pooling that remembers its choices, if only the gradient reads them."""
    if node.op != "max_pool_choices" or not _takes(node.args[0], node.out):
        return False
    readers = planner.readers.get(node.outputs[1], [])
    if node.outputs[1] in planner.kept_values or any(r.op != "spread_choices" for r in readers):
        return False
    x, window = node.args[:2]
    out = planner.fresh(channels_last(node.out.shape))
    choices = planner.fresh(channels_last(node.out.shape))
    planner.step("max pool", max_pool_chosen(),
                 _pool_arguments(images(planner, x), out, x.shape, node.out.shape, window, choices),
                 str(list(node.out.shape)), nbytes=4.0 * x.numel)  # fmt: skip
    planner.places[node.out], planner.places[node.outputs[1]] = out, choices
    return True


@rule("spread_choices")
def lower_max_pool_gradient(planner: Planner, node: Node) -> Physical | None:
    grad, choices, window = node.args[:3]
    place = planner.places.get(choices)
    # Choices that this plan made are words of four bytes; others are as eager mode has them.
    if place is None or place.dtype is not float32 or not _takes(grad, node.out):
        return None
    out = planner.fresh(channels_last(node.out.shape))
    planner.step("max pool gradient", max_pool_spread(),
                 _pool_arguments(images(planner, grad), out, node.out.shape, grad.shape, window,
                                 place),
                 str(list(node.out.shape)), nbytes=4.0 * node.out.numel)  # fmt: skip
    return out


def _pool_arguments(
    x: Physical, out: Physical, shape: Any, pooled: Any, window: Any, choices: Physical
) -> list[Any]:
    n, c, h, w = shape
    return [x.ref(), out.ref(), n, h, w, c, *pooled[2:], *window.kernel, *window.stride,
            *window.padding, *window.dilation, choices.ref()]  # fmt: skip
