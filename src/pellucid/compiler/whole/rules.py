"""Operators as operations of fixed size: a rule for each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid.compiler.graph import Node
from pellucid.compiler.whole.builder import IDENTITY, RULES, WHOLE, Builder, NotWhole, Place
from pellucid.tensor.dtype import float32
from pellucid.tensor.layout import Layout

Rule = Callable[[Builder, Node], None]


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def decorate(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return decorate


@_rule("pointwise")
def _pointwise(build: Builder, node: Node) -> None:
    """On its own, or at the end of a product that only it reads."""
    operands, expression = list(node.args[0]), node.extra["expression"]
    for position, value in enumerate(operands):
        if value in build.deferred and value.shape == node.out.shape:
            a, c = build.deferred.pop(value)
            rest = [v for v in operands if v is not value]
            places = [build.place(v) for v in rest]
            numbers = {position: 0, **{operands.index(v): i + 1 for i, v in enumerate(rest)}}
            build.places[node.out] = build.product(
                node.out, a, c, renumbered(expression, numbers), places
            )
            return
    places = [build.place(v) for v in operands]
    readers = build.users.get(node.out, [])
    if len(readers) == 1 and readers[0].op in ("sum", "mean") and node.out not in build.kept:
        build.summands[node.out] = (expression, places)
        return
    out = build.fresh(node.out.shape)
    build.map([expression], [out], places)
    build.places[node.out] = out


def renumbered(item: Any, numbers: dict[int, int]) -> Any:
    """An expression whose inputs have other numbers."""
    if not isinstance(item, tuple):
        return item
    if item[0] == "in":
        return ("in", numbers[item[1]])
    return (item[0], *[renumbered(each, numbers) for each in item[1:]])


def _wait(build: Builder, node: Node, a: Place, c: Place) -> bool:
    """Leave a product to the elementwise operator that alone reads it."""
    readers = build.users.get(node.out, [])
    if node.out in build.kept or len({id(r) for r in readers}) != 1:
        return False
    reader = readers[0]
    if reader.op != "pointwise" or reader.out.shape != node.out.shape:
        return False
    build.deferred[node.out] = (a, c)
    return True


@_rule("mm")
def _mm(build: Builder, node: Node) -> None:
    a, c = (build.place(v) for v in node.args[:2])
    if not node.out.numel or not a.layout.shape[1]:
        raise NotWhole("a product is empty")
    if not _wait(build, node, a, c):
        build.places[node.out] = build.product(node.out, a, c, IDENTITY, [])


@_rule("live_linear")
def _linear(build: Builder, node: Node) -> None:
    """x W^T; a bias joins the product as an input of its expression."""
    x, weight, *rest = node.args
    bias = rest[0] if rest else node.settings.get("bias")
    if len(x.shape) != 2 or len(weight.shape) != 2 or not node.out.numel or not x.shape[1]:
        raise NotWhole(f"linear of {x}")
    a, w = build.place(x), build.place(weight)
    turned = Layout(w.layout.shape[::-1], w.layout.strides[::-1], w.layout.offset)
    c = Place(w.buffer, turned, w.space)
    if bias is None:
        if not _wait(build, node, a, c):
            build.places[node.out] = build.product(node.out, a, c, IDENTITY, [])
        return
    expression: Any = ("add", ("in", 0), ("in", 1))
    out, places = node.out, [build.place(bias)]
    readers = build.users.get(node.out, [])
    if (
        node.out not in build.kept and len({id(r) for r in readers}) == 1
        and readers[0].op == "pointwise" and readers[0].args[0] == [node.out]
        and readers[0].out.shape == node.out.shape
    ):  # fmt: skip
        reader = readers[0]
        expression = _inside(reader.extra["expression"], expression)
        out = reader.out
        build.taken.add(id(reader))
    build.places[out] = build.product(out, a, c, expression, places)


def _inside(outer: Any, inner: Any) -> Any:
    """`outer` with `inner` for its only input."""
    if not isinstance(outer, tuple):
        return outer
    if outer[0] == "in":
        return inner
    return (outer[0], *[_inside(each, inner) for each in outer[1:]])


@_rule("copy")
def _copied(build: Builder, node: Node) -> None:
    """x.copy_(y) as a value: y, expanded."""
    source = build.place(node.args[1])
    out = build.fresh(node.out.shape)
    build.map([IDENTITY], [out], [source])
    build.places[node.out] = out


@_rule("stack")
def _stack(build: Builder, node: Node) -> None:
    """Each tensor is copied to its part of the result."""
    tensors = node.args[0]
    dim = node.args[1] if len(node.args) > 1 else node.settings.get("dim", 0)
    out = build.fresh(node.out.shape)
    axis = dim % len(node.out.shape)
    for number, value in enumerate(tensors):
        strides = out.layout.strides
        layout = Layout(
            value.shape, (*strides[:axis], *strides[axis + 1 :]), number * strides[axis]
        )
        build.map([IDENTITY], [Place(out.buffer, layout)], [build.place(value)])
    build.places[node.out] = out


@_rule("sum", "mean")
def _sum(build: Builder, node: Node) -> None:
    x = node.args[0]
    dim = node.args[1] if len(node.args) > 1 else node.settings.get("dim")
    count = len(x.shape)
    dims = range(count) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    axes = sorted(d % count for d in dims) if count else []
    axes = axes or list(range(count))
    n = math.prod(x.shape[a] for a in axes)
    if not x.numel:
        raise NotWhole("a sum is empty")
    factor = 1.0 / n if node.op == "mean" else 1.0
    expression, places = build.summands.pop(x, (IDENTITY, []))
    places = places or [build.place(x)]
    build.places[node.out] = build.sum(node.out, axes, expression, places, x.shape, factor)


def _of_classes(build: Builder, x: Any, target: Any, weight: Any, reduction: Any) -> int:
    """Which data the classes of a loss are. NotWhole for what it cannot be."""
    if weight is not None or reduction not in ("mean", "sum"):
        raise NotWhole("its cross-entropy has weights, or is not reduced")
    if len(x.shape) != 2 or x.dtype is not float32 or target not in build.sources:
        raise NotWhole(f"its cross-entropy is of {x} and {target}")
    return build.sources[target]


def _cross_entropy(build: Builder, node: Node) -> None:
    x, target, weight, reduction, ignored = node.args
    source = _of_classes(build, x, target, weight, reduction)
    build.program.classes.append((source, x.shape[1], ignored))
    places = [build.place(x), build.place(target)]
    made = [build.fresh(value.shape) for value in (*node.outputs[1:], node.outputs[0])]
    operands = [(p, p.layout.strides) for p in (*places, *made)]
    build.touch(*operands)
    build.steps.append(("cross_entropy", x.shape, reduction == "mean", ignored, *operands))
    for value, place in zip((*node.outputs[1:], node.outputs[0]), made, strict=True):
        build.places[value] = place


def _cross_entropy_gradient(build: Builder, node: Node) -> None:
    (grad, *_), kept = node.args
    if "logsumexp" not in kept:
        raise NotWhole("its loss is a negative log-likelihood")
    x, target, reduction = kept["input"], kept["target"], kept["reduction"]
    _of_classes(build, x, target, kept["weight"], reduction)
    values = (x, target, kept["logsumexp"], kept["total_weight"], grad)
    out = build.fresh(node.out.shape)
    operands = [(p, p.layout.strides) for p in (*map(build.place, values), out)]
    build.touch(*operands)
    build.steps.append(("cross_entropy_gradient", x.shape, reduction == "mean",
                        kept["ignore_index"], *operands))  # fmt: skip
    build.places[node.out] = out


WHOLE["cross_entropy_loss"] = _cross_entropy
WHOLE["NllLossBackward0"] = _cross_entropy_gradient
