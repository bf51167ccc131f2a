"""What is changed in a graph before kernels are chosen, in the order of `PASSES`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.compiler.again import caller
from pellucid.compiler.decompositions import spell_out, spell_out_norms
from pellucid.compiler.expressions import as_expression, inline
from pellucid.compiler.graph import Graph, Node, Value
from pellucid.compiler.widen import widen_bfloat16
from pellucid.config import debug_windows
from pellucid.ops.spec import registry
from pellucid.tensor.dtype import float32
from pellucid.tensor.layout import contiguous
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import adopt, make

IDENTITIES = {"clone", "contiguous", "alias", "detach", "_unsafe_view", "unsafe_view"}
_SAME_SHAPE = {"view", "reshape", "unsafe_view", "expand"}
_EPILOGUES = {"relu", "gelu", "silu", "sigmoid", "tanh"}
_PRODUCTS = {"convolve", "linear"}


def name_of(node: Node) -> str:
    """The operator without the mark of its in-place form."""
    return node.op[:-1] if node.kind == "write" and node.op.endswith("_") else node.op


def drop_dead(graph: Graph) -> None:
    """Nodes that nobody reads go."""
    needed = set(graph.kept())
    kept = []
    for node in reversed(graph.nodes):
        if "random" in node.extra or any(v in needed for v in node.outputs):
            needed.update(node.inputs())
            kept.append(node)
    graph.nodes = kept[::-1]


def fold_constants(graph: Graph) -> None:
    """A value that depends on captured tensors alone is what it was in the traced run.

    The compiled function checks that the captured tensors are unchanged, so this stays true. What a
    sketch left out is computed now.
    """
    changed = {first for first, _ in graph.mutated}
    for value in graph.captured:
        value.constant = value not in changed and not graph.live
    kept = []
    computed: set[Value] = set()
    for node in graph.nodes:
        given = node.inputs()
        sketched = node.extra.pop("sketched", False)
        fixed = all(v.constant for v in given) and "random" not in node.extra
        if fixed and node.kind != "write" and not any(v in changed for v in given):
            if sketched or not computed.isdisjoint(given):
                _compute(node)
                computed.update(node.outputs)
            for value in node.outputs:
                value.constant, value.producer = True, None
        else:
            kept.append(node)
    graph.nodes = kept


def _compute(node: Node) -> None:
    found = caller(node)({value: value.traced for value in node.inputs()})
    results = found if isinstance(found, (list, tuple)) else [found]
    for value, tensor in zip(node.outputs, results, strict=True):
        value.traced = tensor


def drop_identities(graph: Graph) -> None:
    """A view or a copy in the same shape is what it is of, unless the function returns it."""
    kept = graph.kept()
    known: dict[Value, Value] = {}
    nodes = []
    for node in graph.nodes:
        if known and not known.keys().isdisjoint(node.inputs()):
            node.replace(known)
        source = node.args[0] if node.args else None
        same = (
            isinstance(source, Value)
            and len(node.outputs) == 1
            and (source.shape == node.out.shape and source.dtype is node.out.dtype)
        )
        if same and node.op in _SAME_SHAPE | IDENTITIES and node.out not in kept:
            assert isinstance(source, Value)
            known[node.out] = known.get(source, source)
        else:
            nodes.append(node)
    graph.nodes = nodes


def decompose(graph: Graph) -> None:
    """Losses and norms of steps become differences, squares and sums, which are fused."""
    if not graph.live:
        return
    nodes: list[Node] = []
    for node in graph.nodes:
        parts = _parts(node)
        nodes += [node] if parts is None else parts
    graph.nodes = nodes


def _parts(node: Node) -> list[Node] | None:
    """Simpler nodes that do what this one does."""
    if len(node.outputs) != 1 or node.out.dtype is not float32:
        return None
    if node.op == "mse_loss":
        x, y, weight, reduction = (*node.args, *[None] * 4)[:4]
        if weight is not None or reduction not in ("mean", "sum") or x.shape != y.shape:
            return None
        away, found = _new("sub", (x, y), x.shape)
        square, last = _new("square", (away,), x.shape)
        return [found, last, _last(reduction, (square,), node)]
    if node.op == "vector_norm" and node.args[1:] in ((), (2,)) and not node.settings:
        (x,) = node.args[:1]
        square, first = _new("square", (x,), x.shape)
        total, second = _new("sum", (square,), ())
        return [first, second, _last("sqrt", (total,), node)] if x.shape else None
    return None


def _new(op: str, args: tuple[Value, ...], shape: tuple[int, ...]) -> tuple[Value, Node]:
    """A node that nobody traced, and its result."""
    node = Node(op, "fresh", args, {}, [], registry.specs[op])
    layout = contiguous(shape)
    node.outputs = [Value(shape, float32, make(Storage(0), layout, float32), node)]
    return node.out, node


def _last(op: str, args: tuple[Value, ...], node: Node) -> Node:
    """The node that gives what `node` gave."""
    found = Node(op, "fresh", args, {}, node.outputs, registry.specs[op], node.line)
    node.out.producer = found
    return found


def share_equal(graph: Graph) -> None:
    """What is computed twice in a step (a difference, in the loss and in its gradient) is computed
    once.
    """
    if not graph.live:
        return
    seen: dict[Any, Node] = {}
    nodes: list[Node] = []
    kept = graph.kept()
    for node in graph.nodes:
        plain = node.kind in ("fresh", "view") and not node.extra and node.spec is not None
        key = None
        if plain and node.inputs():
            key = (node.op, node.kind, _frozen(node.args), _frozen(node.settings))
        first = seen.get(key) if key is not None else None
        if first is not None and not any(v in kept for v in node.outputs):
            for old, new in zip(node.outputs, first.outputs, strict=True):
                for each in graph.nodes:
                    each.replace({old: new})
            continue
        if key is not None and first is None:
            seen[key] = node
        nodes.append(node)
    graph.nodes = nodes


def _frozen(item: Any) -> Any:
    if isinstance(item, (list, tuple)):
        return (type(item).__name__, *[_frozen(each) for each in item])
    if isinstance(item, dict):
        return tuple((key, _frozen(each)) for key, each in item.items())
    if isinstance(item, Value):
        return id(item)
    return (type(item).__name__, repr(item))


def follow_weights(graph: Graph) -> None:
    """Weights of linear layers and convolutions that change are packed in each call."""
    for node in graph.nodes if graph.live else ():
        if node.op in ("linear", "convolve") and not node.args[1].constant:
            node.op = f"live_{node.op}"


def _constant(array: np.ndarray) -> Value:
    tensor = adopt(np.ascontiguousarray(array))
    return Value(tuple(tensor.shape), tensor.dtype, tensor, constant=True)


def _array(value: Value | None) -> np.ndarray | None:
    return None if value is None else value.traced.detach()._array


def _number(value: Value | None) -> Any:
    """A constant in float64, 0 where there is none."""
    found = _array(value)
    return 0.0 if found is None else found.astype(np.float64)


def fold_batch_norm(graph: Graph) -> None:
    """conv, then batch norm with fixed statistics: one conv with other weights and bias.

    y = (w * x + b - mean) s + beta, with s = gamma / sqrt(var + eps), is
    (w s) * x + (b - mean) s + beta.
    """
    users = graph.users()
    replaced: dict[Value, Node] = {}
    nodes = []
    for node in graph.nodes:
        if node.op != "batch_normalise" or not _folds(node, users, graph):
            nodes.append(node)
            continue
        x, gamma, beta, mean, var, _, _, eps = node.args
        conv = replaced.get(x, x.producer)
        weight, bias = conv.args[1], conv.args[2]
        w, s = _array(weight), _array(var)
        assert w is not None and s is not None
        scale = 1.0 / np.sqrt(s.astype(np.float64) + eps)
        if gamma is not None:
            scale = scale * _array(gamma)
        shift = (_number(bias) - _number(mean)) * scale + _number(beta)
        new_w = (w * scale.reshape(-1, *[1] * (w.ndim - 1))).astype(np.float32)
        folded = _constant(new_w)
        folded.origin = (*(weight.origin or (weight.traced,)), gamma and gamma.traced, var.traced,
                         eps)  # fmt: skip
        conv.args = (conv.args[0], folded, _constant(shift.astype(np.float32)), *conv.args[3:])
        conv.outputs = [node.out]
        node.out.producer = conv
        replaced[node.out] = conv
    graph.nodes = nodes


def _folds(node: Node, users: dict[Value, list[Node]], graph: Graph) -> bool:
    x, *rest = node.args
    conv = x.producer
    if conv is None or conv.op != "convolve" or len(users[x]) != 1 or x in graph.kept():
        return False
    if node.args[5] or node.args[3] is None:
        return False
    fixed = [v for v in (*rest[:4], *conv.args[1:3]) if isinstance(v, Value)]
    return all(v.constant for v in fixed) and x.dtype is float32


def fuse_epilogues(graph: Graph) -> None:
    """What follows a convolution or a linear layer and reads nothing else but a tensor of the same
    shape is done while the product's tile is in registers: + residual, then an activation.
    """
    users = graph.users()
    kept = graph.kept()
    nodes: list[Node] = []
    for node in graph.nodes:
        if not (_fuse_add(node, users, kept) or _fuse_activation(node, users, kept)):
            nodes.append(node)
            continue
        producer = node.out.producer
        assert producer is not None
        nodes.remove(producer)
        nodes.append(producer)
    graph.nodes = nodes


def _takes(value: Any, users: dict[Value, list[Node]], kept: set[Value]) -> Node | None:
    """The product whose only reader may become part of it."""
    if not isinstance(value, Value) or value in kept or value.producer is None:
        return None
    node = value.producer
    if node.op not in _PRODUCTS or len(users.get(value, ())) != 1 or value.dtype is not float32:
        return None
    if not all(v.constant for v in node.args[1:3] if isinstance(v, Value)):
        return None
    # The kernels that can do more are those of images and of matrices.
    dims = {"convolve": 4, "linear": 2}[node.op]
    weight = node.args[1]
    if len(weight.shape) != dims or weight.dtype is not float32 or not value.numel:
        return None
    if len(node.args) > 4 or not weight.numel:
        return None
    return node if not node.extra.get("activation") else None


def _absorb(node: Node, product: Node) -> bool:
    product.outputs = [node.out]
    node.out.producer = product
    return True


def _fuse_add(node: Node, users: dict[Value, list[Node]], kept: set[Value]) -> bool:
    if name_of(node) != "add" or node.settings.get("alpha", 1) != 1 or len(node.args) != 2:
        return False
    for mine, other in (node.args, node.args[::-1]):
        product = _takes(mine, users, kept)
        same = isinstance(other, Value) and other.shape == node.out.shape
        if product is None or not same or "residual" in product.extra or other is mine:
            continue
        if other.dtype is float32 and other.producer is not product:
            product.extra["residual"] = other
            return _absorb(node, product)
    return False


def _fuse_activation(node: Node, users: dict[Value, list[Node]], kept: set[Value]) -> bool:
    name = name_of(node)
    if name not in _EPILOGUES:
        return False
    product = _takes(node.args[0], users, kept)
    if product is None:
        return False
    tail = (*node.args[1:], *node.settings.values())
    if name == "gelu" and "tanh" in tail:
        name = "gelu_tanh"
    product.extra["activation"] = name
    return _absorb(node, product)


def fuse_elementwise(graph: Graph) -> None:
    """Elementwise operators become expressions; one that a single other one reads moves into it."""
    users, kept = graph.users(), graph.kept()
    nodes: list[Node] = []
    for node in graph.nodes:
        expression = as_expression(node, name_of(node))
        if expression is None:
            nodes.append(node)
            continue
        op, operands = expression
        for value in list(operands):
            producer = value.producer
            if (
                producer is not None and producer.op == "pointwise" and value not in kept
                and {id(u) for u in users[value]} == {id(node)} and value.shape == node.out.shape
                and len(producer.args[0]) + len(operands) <= 9
            ):  # fmt: skip
                op, operands = inline(op, operands, value, producer)
                nodes.remove(producer)
        for value in operands:
            users.setdefault(value, []).append(node)
        node.op, node.kind, node.settings = "pointwise", "fused", {}
        node.args, node.extra = (list(operands),), {"expression": op}
        nodes.append(node)
    graph.nodes = nodes


PASSES: list[tuple[str, Callable[[Graph], None]]] = [
    ("drop what nobody reads", drop_dead),
    ("spell out", spell_out),
    ("fold constants", fold_constants),
    ("compute bfloat16 in float32", widen_bfloat16),
    ("drop views and copies in the same shape", drop_identities),
    ("fold batch norm into convolution", fold_batch_norm),
    ("spell out other batch norm", spell_out_norms),
    ("fold constants", fold_constants),
    ("fuse epilogues", fuse_epilogues),
    ("follow weights that change", follow_weights),
    ("simpler operators", decompose),
    ("compute once", share_equal),
    ("fuse elementwise operators", fuse_elementwise),
    ("drop what nobody reads", drop_dead),
]


def run_passes(graph: Graph, *, training: bool = False) -> None:
    """Run all passes; `PELLUCID_DEBUG=graph` prints the graph after each. Gradients have the dtypes
    of what they are of, so training steps keep them.
    """
    show = "graph" in debug_windows()
    if show:
        print(f"-- traced\n{graph}", file=sys.stderr)
    for title, change in PASSES:
        if training and change is widen_bfloat16:
            continue
        change(graph)
        if show:
            print(f"-- {title}\n{graph}", file=sys.stderr)
