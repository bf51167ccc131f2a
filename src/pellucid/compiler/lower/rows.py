"""Normalisation, softmax, sums and look-ups: kernels over rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.compiler.graph import Node
from pellucid.compiler.lower.products import bias_ref, flat_rows
from pellucid.compiler.lower.rules import row_major_place, rule
from pellucid.compiler.plan import Physical, Planner
from pellucid.kernels.rows import gather_rows, layer_norm, softmax, sum_middle
from pellucid.tensor.dtype import float32, int64
from pellucid.tensor.layout import contiguous


@rule("normalise_rows")
def lower_layer_norm(planner: Planner, node: Node) -> Physical | None:
    """Layer norm over the last dimension."""
    if not normalises(node):
        return None
    out = planner.fresh(contiguous(node.out.shape))
    normalised(planner, node, "f32", out.ref(), 0, 0)
    return out


def normalises(node: Node) -> bool:
    """Whether the kernel computes this normalisation."""
    x, shape, _, _, _, *rest = node.args
    return x.dtype is float32 and len(shape) == 1 and not (rest and rest[0] is not True)


def normalised(planner: Planner, node: Node, result: str, out: Any, low: Any, low_row: int) -> None:
    """The step of a layer norm: where its result goes in float32 and in bf16."""
    x, _, weight, bias, eps, *_ = node.args
    place, rows, step = flat_rows(planner, planner.place(x))
    n = x.shape[-1]
    kernel = layer_norm(add=False, weight=weight is not None, bias=bias is not None, result=result)
    planner.step(
        "layer_norm", kernel,
        [place.ref(), 0, bias_ref(planner, weight), bias_ref(planner, bias), out, rows, n, step, 0,
         n, float(eps), low, low_row],
        f"{rows}x{n}", nbytes=8.0 * rows * n,
    )  # fmt: skip


@rule("_softmax", "_log_softmax", "softmax", "log_softmax")
def lower_softmax(planner: Planner, node: Node) -> Physical | None:
    x, dim = node.args[0], node.args[1] if len(node.args) > 1 else None
    if x.dtype is not float32 or node.out.dtype is not float32 or not x.shape:
        return None
    if not isinstance(dim, int) or dim % len(x.shape) != len(x.shape) - 1:
        return None
    place, rows, step = flat_rows(planner, planner.place(x))
    n = x.shape[-1]
    out = planner.fresh(contiguous(node.out.shape))
    planner.step(
        node.op.strip("_"), softmax(logarithm="log" in node.op),
        [place.ref(), out.ref(), rows, n, step, n], f"{rows}x{n}", nbytes=8.0 * rows * n,
    )  # fmt: skip
    return out


@rule("mean", "sum")
def lower_sum(planner: Planner, node: Node) -> Physical | None:
    """Sums over neighbouring dimensions of a row-major value."""
    x = node.args[0]
    dim = node.args[1] if len(node.args) > 1 else node.settings.get("dim")
    if x.dtype is not float32 or node.out.dtype is not float32 or not x.shape:
        return None
    count = len(x.shape)
    dims = range(count) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    axes = sorted(d % count for d in dims) or list(range(count))
    if axes != list(range(axes[0], axes[-1] + 1)):
        return None
    place = row_major_place(planner, planner.place(x))
    outer, inner = math.prod(x.shape[: axes[0]]), math.prod(x.shape[axes[-1] + 1 :])
    n = math.prod(x.shape[axes[0] : axes[-1] + 1])
    return summed(planner, place, node, (outer, n, inner), _share(n) if node.op == "mean" else 1.0)


def _share(n: int) -> float:
    """What a mean multiplies a sum of n by; the mean of nothing is NaN."""
    return 1.0 / n if n else math.nan


def summed(
    planner: Planner, place: Physical, node: Node, sizes: tuple[int, int, int], factor: float
) -> Physical:
    """(outer, n, inner) summed over n, times a factor."""
    outer, n, inner = sizes
    out = planner.fresh(contiguous(node.out.shape))
    planner.step(
        node.op, sum_middle(), [place.ref(), out.ref(), outer, n, inner, factor],
        f"{outer}x{n}x{inner}", nbytes=4.0 * outer * inner * (n + 1),
    )  # fmt: skip
    return out


@rule("embedding")
def lower_embedding(planner: Planner, node: Node) -> Physical | None:
    """Rows of a table by int64 index; the plan checks afterwards that all were inside."""
    table, index = node.args[:2]
    if table.dtype is not float32 or index.dtype is not int64 or len(table.shape) != 2:
        return None
    source = row_major_place(planner, planner.place(table))
    places = row_major_place(planner, planner.place(index))
    out = planner.fresh(contiguous(node.out.shape))
    flag = np.zeros(1, np.int64)
    planner.checks.append((flag, "index out of range in self"))
    count, n = index.numel, table.shape[1]
    planner.step(
        "embedding", gather_rows(),
        [source.ref(), places.ref(), out.ref(), count, n, table.shape[0], planner.array(flag)],
        f"{count}x{n}", nbytes=8.0 * count * n,
    )  # fmt: skip
    return out
