"""Graphs in bfloat16, of a model in that type or under autocast, computed in float32.

There are kernels for float32, and products that read bf16. So values in bfloat16 become values in
float32, products of them are marked for bf16, and what the function returns is rounded at the end.
In between nothing is rounded: results are nearer to the exact ones than eager mode's, which rounds
after every operator.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.compiler.graph import Graph, Node, Value, substitute
from pellucid.tensor.dtype import bfloat16, float32
from pellucid.tensor.tensor import adopt

MARKED = ("linear", "convolve", "mm", "max_pool_values", "normalise_rows", "attend")
"""Operators that have steps in bf16."""


def widen_bfloat16(graph: Graph) -> None:
    """Values in bfloat16 become values in float32.

    A cast to bfloat16 becomes a rounding, one back to float32 nothing.
    """
    if not _fits(graph):
        return
    known: dict[Value, Value] = {}
    rounded: dict[Value, Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        given = [v for v in node.inputs() if v.dtype is bfloat16 or v in known]
        half = [v for v in node.outputs if v.dtype is bfloat16]
        for value in given:
            if value not in known:
                nodes += _enter(value, known)
        low = bool(given) and node.args[0] in given
        node.replace(known)
        node.args, node.settings = _in_float32(node.args), _in_float32(node.settings)
        if low and node.op in MARKED:
            node.extra["precision"] = "bfloat16"
            node.replace({v: rounded[v] for v in node.args[:1] if v in rounded})
        for value in half:
            value.dtype = float32
            known[value] = value
        if node.op == "cast" and node.out.dtype is float32:
            _cast(node, bool(half), rounded)
        nodes.append(node)
    graph.nodes = nodes
    if known:
        _leave(graph, known)


def _fits(graph: Graph) -> bool:
    """Whether nobody can tell: nothing in bfloat16 is written outside, drawn, or seen as bits."""
    if graph.random or any(v.dtype is bfloat16 for pair in graph.mutated for v in pair):
        return False
    for node in graph.nodes:
        kinds = {v.dtype for v in (*node.inputs(), *node.outputs)}
        if node.kind == "view" and bfloat16 in kinds and len(kinds) > 1:
            return False
    return True


def _enter(value: Value, known: dict[Value, Value]) -> list[Node]:
    """A constant is widened now, an input by a step."""
    if value.constant:
        array = value.traced.detach()._array.astype(np.float32)
        tensor = adopt(np.ascontiguousarray(array))
        origin = value.origin or (value.traced,)
        known[value] = Value(value.shape, float32, tensor, constant=True, origin=origin)
        return []
    wide = known[value] = Value(value.shape, float32, value.traced)
    wide.producer = Node("cast", "fresh", (value, float32), {}, [wide])
    return [wide.producer]


def _in_float32(item: Any) -> Any:
    """Arguments that ask for bfloat16 ask for float32."""
    if isinstance(item, tuple):
        parts = [_in_float32(each) for each in item]
        return type(item)(*parts) if hasattr(item, "_fields") else tuple(parts)
    if isinstance(item, dict):
        return {name: _in_float32(each) for name, each in item.items()}
    return float32 if item is bfloat16 else item


def _cast(node: Node, narrows: bool, rounded: dict[Value, Value]) -> None:
    source = node.args[0]
    if source.dtype is not float32:
        return
    node.settings = {}
    node.args = (source,)
    node.op = "round_bfloat16" if narrows else "alias"
    if narrows:  # products round what they read themselves
        rounded[node.out] = source


def _leave(graph: Graph, known: dict[Value, Value]) -> None:
    """Round what the function returns."""
    made: dict[Value, Value] = {}
    for value in graph.outputs:
        if known.get(value) is value and value not in made:
            narrow = made[value] = Value(value.shape, bfloat16, value.traced)
            narrow.producer = Node("cast", "fresh", (value, bfloat16), {}, [narrow])
            graph.nodes.append(narrow.producer)
    graph.outputs = substitute(graph.outputs, made)
