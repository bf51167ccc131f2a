"""Operators written with others that have kernels, in eager mode's own words: a decomposition is
traced like any function, and its nodes take the operator's place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid.compiler.graph import Graph, Node, substitute
from pellucid.compiler.trace import trace
from pellucid.ops.api import F
from pellucid.tensor.dtype import float32
from pellucid.tensor.layout import normalize_dim
from pellucid.tensor.tensor import Tensor

DECOMPOSITIONS: dict[str, Callable[..., Tensor]] = {}
"""By operator; the arguments are the operator's, in its order. `NotCovered` leaves a call as it is.
"""


class NotCovered(BaseException):
    """A call that a decomposition is not made for."""


def decomposition(*names: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Describe operators by others."""

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        DECOMPOSITIONS.update(dict.fromkeys(names, function))
        return function

    return decorate


def spell_out(graph: Graph) -> None:
    """Put decompositions in the place of their operators."""
    _replace(graph, DECOMPOSITIONS)


def spell_out_norms(graph: Graph) -> None:
    """Batch normalisation that no convolution took in, with fixed statistics: x * scale + shift."""
    _replace(graph, {"batch_normalise": _batch_norm})


def _replace(graph: Graph, table: dict[str, Callable[..., Tensor]]) -> None:
    if graph.live:
        return
    used = {v for node in graph.nodes for v in node.inputs()} | graph.kept()
    nodes: list[Node] = []
    for node in graph.nodes:
        make = table.get(node.op)
        alone = not any(v in used for v in node.outputs[1:])
        found = _decomposed(node, make) if make is not None and alone else None
        nodes += [node] if found is None else found
    graph.nodes = nodes


def _decomposed(node: Node, make: Callable[..., Tensor]) -> list[Node] | None:
    given = list(dict.fromkeys(node.inputs()))
    plain = node.kind == "fresh" and node.spec is not None and "random" not in node.extra
    if not plain or any(v.dtype is not float32 for v in (*given, node.out)):
        return None
    if not node.out.numel or any(not v.numel for v in given):
        return None
    bound = node.spec.bind(node.args, node.settings)
    arguments = [bound[name] for name in node.spec.parameters]

    def run(*tensors: Tensor) -> Tensor:
        return make(*substitute(arguments, dict(zip(given, tensors, strict=True))))

    tensors = [value.traced.detach() for value in given]
    try:
        inner, _ = trace(run, tuple(tensors), {}, tensors, sketches=True)
    except NotCovered:
        return None
    result = inner.outputs[0]
    if result.producer is None or result.shape != node.out.shape or inner.captured:
        return None
    known = dict(zip(inner.inputs, given, strict=True))
    for each in inner.nodes:
        each.replace(known)
        each.line = node.line
        if result in each.outputs:
            each.outputs[each.outputs.index(result)] = node.out
            node.out.producer = each
        each.replace({result: node.out})
    return inner.nodes


# -- shapes


@decomposition("stack")
def _stack(tensors: Any, dim: int = 0) -> Tensor:
    return F.cat([F.unsqueeze(each, dim) for each in tensors], dim)


@decomposition("roll")
def _roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    if dims is None or dims == ():
        raise NotCovered
    pairs = [(shifts, dims)] if isinstance(dims, int) else list(zip(shifts, dims, strict=True))
    for shift, dim in pairs:
        size = input.shape[dim]
        cut = -shift % size
        if cut:
            input = F.cat([input.narrow(dim, cut, size - cut), input.narrow(dim, 0, cut)], dim)
    return input.clone()


@decomposition("constant_pad_nd")
def _pad(input: Tensor, pad: Any, value: float = 0) -> Tensor:
    if min(pad, default=0) < 0 or max(pad, default=0) == 0:
        raise NotCovered
    for at in range(0, len(pad), 2):
        dim = input.dim() - 1 - at // 2
        parts = [input]
        for size, first in ((pad[at], True), (pad[at + 1], False)):
            if size:
                shape = [size if axis == dim else n for axis, n in enumerate(input.shape)]
                border = F.full(shape, float(value))
                parts = [border, *parts] if first else [*parts, border]
        if len(parts) > 1:
            input = F.cat(parts, dim)
    return input


@decomposition("pixel_shuffle")
def _pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    *lead, c, h, w = input.shape
    r = upscale_factor
    parts = input.reshape(-1, c // (r * r), r, r, h, w).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(*lead, c // (r * r), h * r, w * r)


@decomposition("upsample_nearest2d")
def _nearest(input: Tensor, axes: Any) -> Tensor:
    if any(axis.out_size % axis.in_size or axis.transposed for axis in axes):
        raise NotCovered
    factors = [axis.out_size // axis.in_size for axis in axes]
    if any(axis.scale not in (None, factor) for axis, factor in zip(axes, factors, strict=True)):
        raise NotCovered
    n, c, h, w = input.shape
    spread = input[:, :, :, None, :, None].expand(n, c, h, factors[0], w, factors[1])
    return spread.reshape(n, c, h * factors[0], w * factors[1])


# -- sums


def _dims(input: Tensor, dim: Any) -> list[int]:
    if dim is None or dim == () or dim == []:
        return list(range(input.dim()))
    return [normalize_dim(d, input.dim()) for d in ([dim] if isinstance(dim, int) else dim)]


@decomposition("var")
def _var(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False,
    correction: Any = None,
) -> Tensor:  # fmt: skip
    if isinstance(dim, bool) or not isinstance(unbiased, (bool, type(None))):
        raise NotCovered
    dims = _dims(input, dim)
    less = 1 if unbiased is None and correction is None else correction
    less = int(bool(unbiased)) if less is None else less
    count = math.prod(input.shape[d] for d in dims)
    if count - less <= 0:
        raise NotCovered
    apart = input - input.mean(dims, keepdim=True)
    return apart.square().sum(dims, keepdim=keepdim) * (1.0 / (count - less))


@decomposition("std")
def _std(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False,
    correction: Any = None,
) -> Tensor:  # fmt: skip
    return _var(input, dim, unbiased, keepdim, correction).sqrt()


@decomposition("vector_norm")
def _vector_norm(
    input: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    if dtype is not None or ord not in (1, 2):
        raise NotCovered
    dims = _dims(input, dim)
    if ord == 1:
        return input.abs().sum(dims, keepdim=keepdim)
    return input.square().sum(dims, keepdim=keepdim).sqrt()


@decomposition("normalise_groups")
def _group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, groups: int, eps: float
) -> Tensor:
    n, c, *rest = input.shape
    size = input.numel() // (n * groups)
    rows = F.nn.layer_norm(input.reshape(n, groups, size), (size,), eps=eps)
    found = rows.reshape(n, c, *rest)
    shape = (1, c, *[1] * len(rest))
    if weight is not None:
        found = found * weight.view(shape)
    return found if bias is None else found + bias.view(shape)


def _batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None,
    var: Tensor | None, training: bool, momentum: float, eps: float,
) -> Tensor:  # fmt: skip
    if training or mean is None or var is None:
        raise NotCovered
    scale = (var + eps).rsqrt()
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale
    if bias is not None:
        shift = shift + bias
    shape = (1, -1, *[1] * (input.dim() - 2))
    return input * scale.view(shape) + shift.view(shape)


# -- products


@decomposition("contract")
def _contract(left: Tensor, right: Tensor, terms: tuple[str, str, str]) -> Tensor:
    """One stacked product of matrices: the letters of the result are batch, rows, columns."""
    a, b, out = terms
    batch = [x for x in out if x in a and x in b]
    rows, columns = [x for x in out if x not in b], [x for x in out if x not in a]
    summed = [x for x in a if x not in out]
    if sorted(b) != sorted([*batch, *columns, *summed]) or [*batch, *rows, *columns] != list(out):
        raise NotCovered
    sizes = dict(zip(a, left.shape, strict=True)) | dict(zip(b, right.shape, strict=True))
    count = lambda letters: math.prod(sizes[x] for x in letters)
    first = left.permute([a.index(x) for x in (*batch, *rows, *summed)])
    second = right.permute([b.index(x) for x in (*batch, *summed, *columns)])
    found = F.bmm(
        first.reshape(count(batch), count(rows), count(summed)),
        second.reshape(count(batch), count(summed), count(columns)),
    )
    return found.reshape([sizes[x] for x in out])


@decomposition("addmm", "baddbmm")
def _added(input: Tensor, left: Tensor, right: Tensor, beta: Any = 1, alpha: Any = 1) -> Tensor:
    product = F.bmm(left, right) if left.dim() == 3 else F.mm(left, right)
    if alpha != 1:
        product = product * alpha
    return product if beta == 0 else product + (input if beta == 1 else input * beta)


@decomposition("convolve")
def _convolve(
    input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Any, *more: Any
) -> Tensor:
    """In one dimension: images of one row."""
    if input.dim() != 3 or any(more):
        raise NotCovered
    g = geometry
    found = F.nn.conv2d(
        input.unsqueeze(2), weight.unsqueeze(2), bias, (1, *g.stride), (0, *g.padding),
        (1, *g.dilation), g.groups,
    )  # fmt: skip
    return found.squeeze(2)


@decomposition("max_pool_values")
def _max_pool(input: Tensor, window: Any, size: Any, *more: Any) -> Tensor:
    """In one dimension: images of one row."""
    if input.dim() != 3:
        raise NotCovered
    found = F.nn.max_pool2d(
        input.unsqueeze(2), (1, *window.kernel), (1, *window.stride), (0, *window.padding),
        (1, *window.dilation),
    )  # fmt: skip
    if tuple(found.shape[3:]) != tuple(size):
        raise NotCovered
    return found.squeeze(2)
