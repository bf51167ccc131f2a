"""Copies and elementwise kernels: anything that walks over elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.compiler.graph import Node, Value
from pellucid.compiler.lower.rules import COPY, rule, view_layout
from pellucid.compiler.plan import EagerStep, Physical, Planner
from pellucid.kernels.pointwise import pointwise
from pellucid.kernels.vectors import move_bytes, numbers_of, swap_axes
from pellucid.tensor.dtype import bool_, dtype, float32, int32, int64
from pellucid.tensor.layout import Layout, contiguous, expand, narrow

_IDENTITY = ("identity", ("in", 0))


def walk(
    planner: Planner, expression: Any, inputs: Sequence[Physical], out: Physical, label: str
) -> None:
    """One elementwise kernel: `out`'s elements in the order of its memory, neighbouring dimensions
    that all operands step through alike joined.
    """
    layouts = [out.layout, *(expand(p.layout, out.layout.shape) for p in inputs)]
    order = sorted(
        (axis for axis, size in enumerate(out.layout.shape) if size != 1),
        key=lambda axis: -out.layout.strides[axis],
    )
    dims: list[tuple[int, list[int]]] = []
    for axis in order:
        size, strides = out.layout.shape[axis], [x.strides[axis] for x in layouts]
        if dims and all(a == b * size for a, b in zip(dims[-1][1], strides, strict=True)):
            dims[-1] = (dims[-1][0] * size, strides)
        else:
            dims.append((size, strides))
    if not dims or dims[-1][1][0] != 1:
        dims.append((1, [1] * len(layouts)))
    n, inner = dims.pop()
    kinds = "".join(_letter(s, p.dtype) for s, p in zip(inner[1:], inputs, strict=True))
    words = [w for size, strides in dims for w in (size, *strides)]
    table = np.array([*words, 0, *inner], np.int64)
    truth = out.dtype is bool_
    kernel = pointwise(expression=expression, kinds=kinds, rank=len(dims), truth=truth)
    outer = math.prod(size for size, _ in dims)
    moved = 4.0 * (out.layout.numel + sum(p.layout.numel for p in inputs))
    planner.step(
        label, kernel,
        [out.ref(), n, outer, planner.array(table), *(p.ref() for p in inputs)],
        str(list(out.layout.shape)), nbytes=moved,
    )  # fmt: skip


def _letter(step: int, type: dtype) -> str:
    """How an input of `pointwise` lies along the innermost dimension, and what it holds."""
    letter = "v" if step == 1 else "s" if step == 0 else "g"
    return letter.upper() if type is bool_ else letter


def copy(planner: Planner, source: Physical, out: Physical) -> None:
    """Copy a value to where it is laid out otherwise: four-byte words as they are, longer elements
    as several of them, shorter ones by bytes, or as eager mode copies if their order changes.
    """
    words, rest = divmod(source.dtype.itemsize, 4)
    short = rest or not words
    if short and source.layout[:2] == out.layout[:2] and out.layout.is_row_major:
        nbytes = source.dtype.itemsize * out.layout.numel
        planner.step(
            "copy", move_bytes(), [source.ref(), out.ref(), nbytes], str(list(out.layout.shape)),
            nbytes=2.0 * nbytes,
        )  # fmt: skip
    elif source.dtype is bool_ and out.dtype is bool_:
        walk(planner, _IDENTITY, [source], out, "copy")
    elif short:
        _copy_short(planner, source, out)
    elif words > 1:
        walk(planner, _IDENTITY, [_as_words(source, words)], _as_words(out, words), "copy")
    elif not _transposes(planner, source, out):
        walk(planner, _IDENTITY, [source], out, "copy")


def _copy_short(planner: Planner, source: Physical, out: Physical) -> None:
    node = Node("copy", "fresh", (), {}, [])
    planner.eager(EagerStep(node, lambda given: given[source], {source: source}, [out]))


def _as_words(physical: Physical, words: int) -> Physical:
    """Elements as runs of four-byte words: one more dimension."""
    shape, strides, offset = physical.layout
    layout = Layout((*shape, words), (*[words * s for s in strides], 1), words * offset)
    return Physical(physical.buffer, layout, float32)


def _transposes(planner: Planner, source: Physical, out: Physical) -> bool:
    """Copy by `swap_axes` if the two orders of memory differ by a transpose of two groups of axes:
    (N, C, H, W) to channels last and back.
    """
    dims = [
        (size, a, b)
        for size, a, b in zip(
            out.layout.shape, source.layout.strides, out.layout.strides, strict=True
        )
        if size != 1
    ]
    dims.sort(key=lambda d: -d[2])
    joined: list[tuple[int, int, int]] = []
    for size, a, b in dims:
        if joined and joined[-1][1] == a * size and joined[-1][2] == b * size:
            joined[-1] = (joined[-1][0] * size, a, b)
        else:
            joined.append((size, a, b))
    if len(joined) == 2:
        joined.insert(0, (1, 0, 0))
    if len(joined) != 3 or joined[2][2] != 1 or joined[1][1] != 1:
        return False
    (batch, x_step, out_step), (n, _, out_row), (m, x_row, _) = joined
    planner.step(
        "swap_axes", swap_axes(),
        [source.ref(), out.ref(), batch, m, n, x_row, out_row, x_step, out_step],
        str(list(out.layout.shape)), nbytes=8.0 * out.layout.numel,
    )  # fmt: skip
    return True


COPY.append(copy)


def dense(layout: Layout) -> Layout | None:
    """The layout from offset 0 if its elements fill their memory in some order, else None."""
    order = sorted(range(layout.ndim), key=lambda axis: layout.strides[axis])
    size = 1
    for axis in order:
        if layout.shape[axis] == 1:
            continue
        if layout.strides[axis] != size:
            return None
        size *= layout.shape[axis]
    return Layout(layout.shape, layout.strides, 0)


@rule("pointwise")
def lower_pointwise(planner: Planner, node: Node) -> Physical | None:
    """The result lies like the first input that has its shape and fills its memory."""
    places = [planner.place(v) for v in node.args[0]]
    layout = contiguous(node.out.shape)
    for physical in places:
        found = dense(physical.layout) if physical.layout.shape == node.out.shape else None
        if found is not None:
            layout = found
            break
    out = planner.fresh(layout, node.out.dtype)
    walk(planner, node.extra["expression"], places, out, describe(node.extra["expression"]))
    return out


def describe(expression: Any) -> str:
    """An expression's operations, the innermost first."""
    if expression[0] in ("in", "number"):
        return ""
    inner = [describe(each) for each in expression[1:]]
    return " ".join([*(name for name in inner if name), expression[0]])


def whole_numbers(planner: Planner, node: Node) -> Physical | None:
    """int64 or int32 as float32: masks and counts that become numbers."""
    x, out = node.args[0], node.out
    kind = {int64: "i64", int32: "i32"}.get(x.dtype)
    if kind is None or out.dtype is not float32:
        return None
    place = planner.place(x)
    layout = dense(place.layout)
    if layout is None:
        return None
    found = planner.fresh(layout)
    planner.step(
        "cast", numbers_of(kind=kind), [place.ref(), found.ref(), x.numel], str(list(out.shape)),
        nbytes=(4.0 + x.dtype.itemsize) * x.numel,
    )  # fmt: skip
    return found


@rule("copy")
def lower_copy(planner: Planner, node: Node) -> Physical | None:
    """x.copy_(y) as a value: y, expanded."""
    target, source = node.args
    if source.dtype is not float32 or target.dtype is not float32:
        return None
    out = planner.fresh(contiguous(target.shape))
    walk(planner, _IDENTITY, [planner.place(source)], out, "copy")
    return out


@rule("write_through")
def lower_write_through(planner: Planner, node: Node) -> Physical | None:
    """A tensor after a write to a view of it: a copy with the view's new value in it."""
    base, part = node.args
    if base.dtype is not float32 or part.dtype is not float32:
        return None
    spec, rest, settings, index = node.extra["view"]
    out = planner.fresh(contiguous(base.shape))
    found = view_layout(spec, out.layout, base, rest, settings)
    layout = found[index] if isinstance(found, list) else found
    if not isinstance(layout, Layout):
        return None
    copy(planner, planner.place(base), out)
    copy(planner, planner.place(part), Physical(out.buffer, layout, out.dtype))
    return out


@rule("cat", "concat")
def lower_cat(planner: Planner, node: Node) -> Physical | None:
    """Each tensor is copied to its part of the result."""
    tensors: list[Value] = list(node.args[0])
    dim = node.args[1] if len(node.args) > 1 else node.settings.get("dim", 0)
    shape = node.out.shape
    if any(t.dtype is not float32 or len(t.shape) != len(shape) for t in tensors):
        return None
    out = planner.fresh(contiguous(shape))
    axis, start = dim % len(shape), 0
    for tensor in tensors:
        size = tensor.shape[axis]
        if tensor.numel:
            layout = narrow(out.layout, axis, start, size)
            copy(planner, planner.place(tensor), Physical(out.buffer, layout, out.dtype))
        start += size
    return out
