"""The engine: walks the tape backwards and adds up what arrives.

A node runs when every gradient that can reach it has reached it; among those ready, the one
recorded last goes first. That is PyTorch's order, so hooks see the same sequence and sums round the
same way. The walk is a loop: depth of the graph does not matter.
"""

from __future__ import annotations

import itertools
import threading
import warnings
from collections.abc import Sequence
from heapq import heappop, heappush
from time import perf_counter

from pellucid.autograd.accumulate import accumulate_grad
from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.hooks import run_node_hooks, run_tensor_hooks
from pellucid.autograd.modes import state
from pellucid.autograd.node import AccumulateGrad, Anomaly, Edge, Node
from pellucid.tensor.events import Event, listeners
from pellucid.tensor.tensor import Tensor

_ties = itertools.count()

Grads = list[Tensor | None]


class Walk:
    """One backward pass: what has arrived where, which nodes are ready, and what is to be captured
    on the way.
    """

    def __init__(self, keep_graph: bool, create_graph: bool) -> None:
        self.keep_graph = keep_graph
        self.create_graph = create_graph
        self.arriving: dict[Node, Grads] = {}
        self.sums: set[tuple[Node, int]] = (
            set()
        )  # arrivals that the walk added up, in memory of its own
        self.dependencies: dict[Node, int] = {}
        self.ready: list[tuple[float, int, Node]] = []
        self.wanted: dict[Node, list[int]] = {}
        self.needed: set[Node] | None = None
        self.captured: dict[tuple[Node, int], Tensor | None] = {}
        self.accumulate = True

    def aim(self, targets: Sequence[Edge], order: Sequence[Node]) -> None:
        """Only run nodes behind which a target lies."""
        for target in targets:
            self.wanted.setdefault(target[0], []).append(target[1])
        needed = self.needed = set()
        goals = set(self.wanted)
        for node in order:
            if any(e is not None and (e[0] in needed or e[0] in goals) for e in node.edges):
                needed.add(node)

    def start(self, roots: Sequence[tuple[Edge, Tensor]]) -> None:
        """Put the gradients of the roots where the walk begins."""
        for edge, grad in roots:
            self.add(edge[0], edge[1], grad)
        for node in self.arriving:
            if not self.dependencies[node]:
                heappush(self.ready, (-node.sequence, next(_ties), node))

    def add(self, node: Node, number: int, grad: Tensor) -> None:
        """A gradient for one output of a node: kept as it is if it is the first, else added."""
        grads = self.arriving.get(node)
        if grads is None:
            grads = self.arriving[node] = [None] * node.outputs
        before = grads[number]
        if before is None:
            grads[number] = grad
        elif (
            not self.create_graph
            and (node, number) in self.sums
            and before._layout.strides == grad._layout.strides
        ):
            arithmetic.add_(before, grad)
        else:
            grads[number] = arithmetic.add(before, grad)
            self.sums.add((node, number))

    def run(self) -> None:
        """Process ready nodes until there are none."""
        arriving, dependencies, ready = self.arriving, self.dependencies, self.ready
        wanted, needed, keep_graph = self.wanted, self.needed, self.keep_graph
        while ready:
            node = heappop(ready)[2]
            grads: Grads = arriving.pop(node)
            if node.tensor_hooks is not None or node.retained is not None:
                _tensor_hooks(node, grads)
            if isinstance(node, AccumulateGrad):
                self._leaf(node, grads)
                continue
            if wanted and node in wanted:
                self._capture(node, grads)
            if needed is not None and node not in needed:
                continue
            passed = _run(node, grads)
            if not keep_graph:
                node.release()
            for edge, value in zip(node.edges, passed, strict=True):
                if edge is None:
                    continue
                target = edge[0]
                if value is not None:
                    if edge[1] == 0 and target.outputs == 1 and target not in arriving:
                        arriving[target] = [value]
                    else:
                        self.add(target, edge[1], value)
                left = dependencies[target] = dependencies[target] - 1
                if not left:
                    if target not in arriving:
                        arriving[target] = [None] * target.outputs
                    heappush(ready, (-target.sequence, next(_ties), target))
            value = None  # nothing here may hold a gradient that a leaf could take over
            passed = grads = []

    def _leaf(self, node: AccumulateGrad, grads: Grads) -> None:
        variable = node.variable
        if variable._hooks and grads[0] is not None:
            grads[0] = run_tensor_hooks(variable._hooks, grads[0])
        if node in self.wanted:
            self._capture(node, grads)
        if self.needed is not None and not (self.accumulate and node in self.wanted):
            return
        if node.prehooks:
            grads[:] = run_node_hooks(node.prehooks.values(), grads)
        accumulate_grad(node, grads, self.create_graph)

    def reaches(self, node: Node) -> bool:
        """Whether the walk runs `node` or captures what arrives there."""
        if node not in self.dependencies:
            return False
        return self.needed is None or node in self.needed or node in self.wanted

    def _capture(self, node: Node, grads: Grads) -> None:
        for number in self.wanted[node]:
            self.captured[node, number] = grads[number]


class _Running(threading.local):
    """The backward pass that runs in this thread, if one does."""

    walk: Walk | None = None


running = _Running()


def run_backward(
    roots: Sequence[tuple[Edge, Tensor]],
    keep_graph: bool,
    create_graph: bool,
    targets: Sequence[Edge] | None = None,
    accumulate: bool = True,
) -> list[Tensor | None]:
    """Send each root's gradient back through the graph.

    With `targets`, only nodes on a way to a target run, and the gradients that arrive at the
    targets are returned; leaves among them get theirs accumulated if `accumulate`. Without, every
    leaf reached accumulates into its `grad`.
    """
    walk = Walk(keep_graph, create_graph)
    walk.accumulate = accumulate
    starts = [edge[0] for edge, _ in roots]
    _count(starts, walk.dependencies)
    if targets is not None:
        walk.aim(targets, _postorder(starts))
    walk.start(roots)
    before, outer = state.grad, running.walk
    state.grad, running.walk = create_graph and not state.inference, walk
    try:
        walk.run()
    finally:
        state.grad, running.walk = before, outer
    return [walk.captured.get((edge[0], edge[1])) for edge in targets or ()]


def _count(roots: Sequence[Node], dependencies: dict[Node, int]) -> None:
    """Count for every node that can be reached how many edges lead to it."""
    for root in roots:
        dependencies[root] = 0
    stack = list(dependencies)
    while stack:
        for edge in stack.pop().edges:
            if edge is None:
                continue
            target = edge[0]
            if target in dependencies:
                dependencies[target] += 1
            else:
                dependencies[target] = 1
                stack.append(target)


def _postorder(roots: Sequence[Node]) -> list[Node]:
    """Every node that can be reached from the roots, each after the nodes its edges lead to."""
    order: list[Node] = []
    visited: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in roots]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in visited:
            visited.add(node)
            stack.append((node, True))
            stack.extend((e[0], False) for e in node.edges if e is not None)
    return order


def _told(node: Node, grads: Grads) -> Grads:
    """The gradients of the inputs, while somebody listens: the node tells the time it took, the
    operators of its formulas included, which have told of themselves.
    """
    start = perf_counter()
    passed = node.apply(grads)
    seconds = perf_counter() - start
    given = tuple(grad for grad in grads if grad is not None)
    found = tuple(value for value in passed if value is not None)
    event = Event(node.name(), given, found, "node", 0, seconds, spec=node)
    event.settings = {"grads": tuple(grads), "passed": tuple(passed)}
    for listener in tuple(listeners):
        listener(event)
    return passed


def _run(node: Node, grads: Grads) -> Grads:
    """The node's gradients for its inputs: hooks called, shapes and dtypes brought to those of the
    inputs.
    """
    if node.prehooks:
        grads = run_node_hooks(node.prehooks.values(), grads)
    if Anomaly.enabled:
        passed = _watched(node, grads)
    else:
        passed = _told(node, grads) if listeners else node.apply(grads)
    edges = node.edges
    if len(passed) != len(edges):
        raise RuntimeError(
            f"Function {node.name()} returned an incorrect number of gradients (expected "
            f"{len(edges)}, got {len(passed)})"
        )
    for index, edge in enumerate(edges):
        value = passed[index]
        if edge is None or value is None:
            continue
        if value.dtype is not edge[3] or value._layout.shape != edge[2]:
            passed[index] = _fit(node, index, value, edge)
    if Anomaly.enabled and Anomaly.check_nan:
        _check_nan(node, passed)
    if node.hooks:
        return run_node_hooks(node.hooks.values(), passed, (tuple(grads),))
    return passed


def _fit(node: Node, index: int, grad: Tensor, edge: Edge) -> Tensor:
    """Undo broadcasting and casts: `grad` in the shape and dtype of the input it belongs to."""
    _, _, shape, dtype = edge
    if grad.dtype.is_complex and not dtype.is_complex:
        grad = arithmetic.real(grad)
    if grad._layout.shape != shape:
        if not _expandable(shape, grad._layout.shape):
            raise RuntimeError(
                f"Function {node.name()} returned an invalid gradient at index {index} - got "
                f"{list(grad._layout.shape)} but expected shape compatible with {list(shape)}"
            )
        grad = arithmetic.sum_to_size(grad, shape)
    if grad.dtype is not dtype:
        grad = arithmetic.cast(grad, dtype)
    return grad


def _expandable(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    if len(shape) > len(target):
        return False
    return all(s in (1, t) for s, t in zip(reversed(shape), reversed(target), strict=False))


def _tensor_hooks(node: Node, grads: Grads) -> None:
    """Run the hooks of the tensors that are this node's outputs, then keep `grad` where
    `retain_grad` asked for it.
    """
    for number, hooks in (node.tensor_hooks or {}).items():
        grad = grads[number]
        if grad is not None:
            grads[number] = run_tensor_hooks(hooks, grad)
    for number, reference in (node.retained or {}).items():
        tensor, grad = reference(), grads[number]
        if tensor is not None and grad is not None:
            before = tensor._grad
            tensor._grad = (
                arithmetic.clone(grad) if before is None else arithmetic.add(before, grad)
            )


# -- anomaly mode


def _watched(node: Node, grads: Grads) -> Grads:
    """Run a node; if it fails, tell where it was made before the error goes on."""
    outer, Anomaly.running = Anomaly.running, node
    try:
        return node.apply(grads)
    except Exception:
        _tell_origin(node)
        raise
    finally:
        Anomaly.running = outer


def _check_nan(node: Node, passed: Grads) -> None:
    for index, grad in enumerate(passed):
        if grad is not None and arithmetic.isnan_any(grad):
            _tell_origin(node)
            raise RuntimeError(
                f"Function '{node.name()}' returned nan values in its {index}th output."
            )


def _tell_origin(node: Node) -> None:
    if node.trace is None:
        warnings.warn(
            f"Error detected in {node.name()}. No forward pass information available. Enable "
            "detect anomaly during forward pass for more information.",
            stacklevel=2,
        )
        return
    warnings.warn(
        f"Error detected in {node.name()}. Traceback of forward call that caused the "
        f"error:\n{''.join(node.trace)}",
        stacklevel=2,
    )
    outer = node.parent
    while outer is not None:
        told = (
            "No forward pass information available."
            if outer.trace is None
            else (
                "Traceback of forward call that induced the previous calculation:\n"
                + "".join(outer.trace)
            )
        )
        warnings.warn(
            f"\n\nPrevious calculation was induced by {outer.name()}. {told}", stacklevel=2
        )
        outer = outer.parent
