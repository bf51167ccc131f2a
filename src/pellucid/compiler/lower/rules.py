"""The table of rules, views, and what happens to operators without a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.compiler.again import caller
from pellucid.compiler.graph import Graph, Node, Value
from pellucid.compiler.passes import IDENTITIES, name_of
from pellucid.compiler.plan import EagerStep, Physical, Planner, row_major
from pellucid.tensor.layout import Layout, NoView
from pellucid.tensor.tensor import make

Rule = Callable[[Planner, Node], Physical | None]
RULES: dict[str, Rule] = {}


LOW: dict[tuple[str, str], Callable[[Planner, Node], bool]] = {}
"""By precision below float32 and operator: a rule that enters the places of the output itself, in
`places`, in `low` or in both, and says whether it applied. What it leaves goes by `RULES`.
"""


def low_rule(precision: str, *names: str) -> Callable[[Callable[[Planner, Node], bool]], Any]:
    """Describe how nodes of these operators become steps in a low precision."""

    def decorate(function: Callable[[Planner, Node], bool]) -> Any:
        for name in names:
            LOW[precision, name] = function
        return function

    return decorate


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Describe how nodes of these operators become steps."""

    def decorate(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return decorate


def lower(
    planner: Planner, graph: Graph, special: Callable[[int, Node], bool] = lambda at, node: False
) -> None:
    """Give every node's outputs a place, adding the steps that fill it. `special` may take a node
    (with its number) upon itself: it says so.
    """
    planner.readers, planner.kept_values = graph.users(), graph.kept()
    used = {v for node in graph.nodes for v in node.inputs()} | graph.kept()
    for at, node in enumerate(graph.nodes):
        if special(at, node):
            continue
        if node.kind == "view" and _is_lazy(node):
            eager(planner, node)
        elif node.kind == "view" and node.op != "as_strided":
            _view(planner, node)
        elif name_of(node) in IDENTITIES and _same(node):
            _identity(planner, node)
        else:
            _computed(planner, node, used)


def _is_lazy(node: Node) -> bool:
    """Whether a view of or to the conjugate of what lies in memory, which no kernel knows."""
    return any(v.traced._storage.lazy for v in (*node.inputs(), *node.outputs))


def _same(node: Node) -> bool:
    value = node.args[0]
    return isinstance(value, Value) and value.numel == node.out.numel


def _computed(planner: Planner, node: Node, used: set[Value]) -> None:
    name = name_of(node)
    found = RULES.get(name)
    low = LOW.get((planner.multiplies_in(node), name))
    if any(value in used for value in node.outputs[1:]):  # rules know of the first output only
        found = None
    elif low is not None and node.out.numel and low(planner, node):
        return
    if found is not None and node.out.numel and "random" not in node.extra:
        physical = found(planner, node)
        if physical is not None:
            planner.places[node.out] = physical
        if physical is not None or node.out in planner.low:
            return
    eager(planner, node)


def view_layout(spec: Any, layout: Layout, value: Value, rest: Any, settings: Any) -> Any:
    """What a view operator makes of a layout: its own body answers, on a tensor without memory."""
    stand_in = make(value.traced._storage, layout, value.dtype)
    return spec.body(stand_in, *rest, **settings)


def _view(planner: Planner, node: Node) -> None:
    """A view of memory that is laid out in its own way; where it has none, of a row-major copy."""
    value = node.args[0]
    if _low_view(planner, node, value) and value not in planner.places:
        return
    physical = planner.place(value)
    found = _shown(node, physical, value)
    if found is None or _retyped(found):
        physical = _row_major_copy(planner, physical)
        found = _shown(node, physical, value)
    if _retyped(found):
        eager(planner, node)
        return
    layouts = found if isinstance(found, list) else [found]
    for out, layout in zip(node.outputs, layouts, strict=True):
        planner.places[out] = Physical(physical.buffer, layout, physical.dtype)


def _low_view(planner: Planner, node: Node, value: Value) -> bool:
    """A view of the value's place in low precision, if it has one and that has such a view."""
    low = planner.low.get(value)
    found = None if low is None else _shown(node, low, value)
    if low is None or found is None or _retyped(found):
        return False
    for out, layout in zip(
        node.outputs, found if isinstance(found, list) else [found], strict=True
    ):
        planner.low[out] = Physical(low.buffer, layout, low.dtype)
    return True


def _shown(node: Node, physical: Physical, value: Value) -> Any:
    """The layout of a view, or None if this layout has no such view."""
    try:
        found = view_layout(node.spec, physical.layout, value, node.args[1:], node.settings)
    except RuntimeError:  # the traced run made this view, so only the layout can be the reason
        return None
    return None if isinstance(found, NoView) else found


def _retyped(found: Any) -> bool:
    """Whether a view shows the memory as another type."""
    return isinstance(found, tuple) and not isinstance(found, Layout)


def _identity(planner: Planner, node: Node) -> None:
    """A copy whose result is only read is the value itself, in another shape perhaps."""
    low = planner.low.get(node.args[0])
    if low is not None and low.layout.shape == node.out.shape:
        planner.low[node.out] = low
        if node.args[0] not in planner.places:
            return
    physical = planner.place(node.args[0])
    shape = node.out.shape
    if physical.layout.shape != shape:
        physical = row_major_place(planner, physical)
        physical = Physical(physical.buffer, _at(physical, shape), physical.dtype)
    planner.places[node.out] = physical


def _at(physical: Physical, shape: tuple[int, ...]) -> Layout:
    flat = row_major(shape)
    return Layout(shape, flat.strides, physical.layout.offset)


def row_major_place(planner: Planner, physical: Physical) -> Physical:
    """The value in row-major order, copied if it is not."""
    return physical if physical.layout.is_row_major else _row_major_copy(planner, physical)


def _row_major_copy(planner: Planner, physical: Physical) -> Physical:
    out = planner.fresh(row_major(physical.layout.shape), physical.dtype)
    COPY[0](planner, physical, out)
    return out


COPY: list[Callable[[Planner, Physical, Physical], None]] = []
"""How values are copied (`moves.copy`), which stands above this module."""


def eager(planner: Planner, node: Node) -> None:
    """Run the operator as eager mode does.

    Raises: RuntimeError for a fused node with elements to compute: passes fuse only what has a
    kernel.
    """
    if node.kind == "fused" or node.extra.keys() & {"activation", "residual"}:
        if node.out.numel:
            raise RuntimeError(f"no kernel takes the fused {node.op} of {node.out}")
        planner.places[node.out] = planner.fresh(row_major(node.out.shape), node.out.dtype)
        return
    inputs = {value: planner.place(value) for value in node.inputs()}
    outputs = [planner.fresh(row_major(v.shape), v.dtype) for v in node.outputs]
    planner.eager(EagerStep(node, caller(node), inputs, outputs))
    for value, physical in zip(node.outputs, outputs, strict=True):
        planner.places[value] = physical
