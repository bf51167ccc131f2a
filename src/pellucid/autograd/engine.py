"""The engine: walks the tape backwards and adds up what arrives.

A node runs when every gradient that can reach it has reached it; among those ready, the one recorded last goes first. That is PyTorch's order,
so hooks see the same sequence and sums round the same way. The walk is a loop: depth of the graph does not matter.
"""

from __future__ import annotations

import heapq
import itertools
import sys
from collections.abc import Sequence
from typing import Any

from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.modes import state
from pellucid.autograd.node import AccumulateGrad, Anomaly, Edge, Node, RemovableHandle
from pellucid.tensor.tensor import Tensor

_ties = itertools.count()


class _Arriving:
    """The gradients that have reached a node so far, one slot for each of its outputs."""

    __slots__ = ("grads", "own")

    def __init__(self, outputs: int) -> None:
        self.grads: list[Tensor | None] = [None] * outputs
        self.own = [False] * outputs  # whether the engine made the slot's tensor and may write to it

    def add(self, number: int, grad: Tensor, create_graph: bool) -> None:
        before = self.grads[number]
        if before is None:
            self.grads[number] = grad
        elif self.own[number] and not create_graph and before._layout.strides == grad._layout.strides:
            arithmetic.add_(before, grad)
        else:
            self.grads[number] = arithmetic.add(before, grad)
            self.own[number] = True


def run_backward(
    roots: Sequence[tuple[Edge, Tensor]],
    keep_graph: bool,
    create_graph: bool,
    targets: Sequence[Edge] | None = None,
    accumulate: bool = True,
) -> list[Tensor | None]:
    """Send each root's gradient back through the graph.

    With `targets`, only nodes on a way to a target run, and the gradients that arrive at the targets are returned; leaves among them get theirs
    accumulated if `accumulate`. Without, every leaf reached accumulates into its `grad`.
    """
    order = _postorder([edge[0] for edge, _ in roots])
    dependencies: dict[Node, int] = dict.fromkeys(order, 0)
    for node in order:
        for edge in node.edges:
            if edge is not None:
                dependencies[edge[0]] += 1
    wanted: dict[Node, list[int]] = {}
    for goal in targets or ():
        wanted.setdefault(goal[0], []).append(goal[1])
    needed = _on_the_way(order, set(wanted)) if targets is not None else None
    captured: dict[tuple[Node, int], Tensor | None] = {}
    arriving: dict[Node, _Arriving] = {}
    for edge, grad in roots:
        slot = arriving.setdefault(edge[0], _Arriving(edge[0].outputs))
        slot.add(edge[1], grad, create_graph)
    ready: list[tuple[float, int, Node]] = []
    for node in arriving:
        if not dependencies[node]:
            heapq.heappush(ready, (-node.sequence, next(_ties), node))
    before = state.grad
    state.grad = create_graph
    try:
        while ready:
            node = heapq.heappop(ready)[2]
            slot = arriving.pop(node)
            grads = _tensor_hooks(node, slot.grads)
            if node.prehooks:
                grads = _prehooks(node, grads)
            for number in wanted.get(node, ()):
                captured[node, number] = grads[number]
            if isinstance(node, AccumulateGrad):
                if accumulate and grads[0] is not None and (needed is None or node in wanted):
                    _accumulate(node, grads, create_graph)
                continue
            if needed is not None and node not in needed:
                continue
            passed = _run(node, grads)
            if not keep_graph:
                node.release()
            for edge_out, value in zip(node.edges, passed, strict=True):
                if edge_out is None:
                    continue
                target, number = edge_out[0], edge_out[1]
                if value is not None:
                    place = arriving.get(target)
                    if place is None:
                        place = arriving[target] = _Arriving(target.outputs)
                    place.add(number, value, create_graph)
                dependencies[target] -= 1
                if not dependencies[target]:
                    if target not in arriving:
                        arriving[target] = _Arriving(target.outputs)
                    heapq.heappush(ready, (-target.sequence, next(_ties), target))
    finally:
        state.grad = before
    return [captured.get((edge[0], edge[1])) for edge in targets or ()]


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
            stack.extend((e[0], False) for e in node.edges if e is not None and e[0] not in visited)
    return order


def _on_the_way(order: Sequence[Node], goals: set[Node]) -> set[Node]:
    """The nodes behind which a goal lies (a goal itself only if it has another one behind it)."""
    needed: set[Node] = set()
    for node in order:
        if any(e is not None and (e[0] in needed or e[0] in goals) for e in node.edges):
            needed.add(node)
    return needed


def _run(node: Node, grads: list[Tensor | None]) -> Sequence[Tensor | None]:
    """The node's gradients for its inputs: hooks called, shapes and dtypes brought to those of the inputs."""
    try:
        passed = list(node.apply(grads))
    except Exception as error:
        if node.trace is not None:
            error.add_note(f"Traceback of forward call that caused the error in {node.name()}:\n" + "".join(node.trace))
        raise
    if len(passed) != len(node.edges):
        raise RuntimeError(
            f"Function {node.name()} returned an incorrect number of gradients (expected {len(node.edges)}, got {len(passed)})"
        )
    for index, (edge, value) in enumerate(zip(node.edges, passed, strict=True)):
        if edge is None or value is None:
            passed[index] = None
        elif value._layout.shape != edge[2] or value.dtype is not edge[3]:
            passed[index] = _fit(node, index, value, edge)
    if Anomaly.enabled and Anomaly.check_nan:
        _check_nan(node, passed)
    if node.hooks:
        for hook in list(node.hooks.values()):
            replaced = hook(tuple(passed), tuple(grads))
            if replaced is not None:
                passed = list(replaced) if isinstance(replaced, (tuple, list)) else [replaced]
    return passed


def _fit(node: Node, index: int, grad: Tensor, edge: Edge) -> Tensor:
    """Undo broadcasting and casts: `grad` in the shape and dtype of the input it belongs to."""
    _, _, shape, dtype = edge
    if grad.dtype.is_complex and not dtype.is_complex:
        grad = arithmetic.real(grad)
    if grad._layout.shape != shape:
        if not _expandable(shape, grad._layout.shape):
            raise RuntimeError(
                f"Function {node.name()} returned an invalid gradient at index {index} - got {list(grad._layout.shape)} but "
                f"expected shape compatible with {list(shape)}"
            )
        grad = arithmetic.sum_to_size(grad, shape)
    if grad.dtype is not dtype:
        grad = arithmetic.cast(grad, dtype)
    return grad


def _expandable(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    if len(shape) > len(target):
        return False
    return all(s in (1, t) for s, t in zip(reversed(shape), reversed(target), strict=False))


def _check_nan(node: Node, passed: Sequence[Tensor | None]) -> None:
    for index, grad in enumerate(passed):
        if grad is not None and arithmetic.isnan_any(grad):
            error = RuntimeError(f"Function '{node.name()}' returned nan values in its {index}th output.")
            if node.trace is not None:
                error.add_note("Traceback of forward call that caused the error:\n" + "".join(node.trace))
            raise error


def _tensor_hooks(node: Node, grads: list[Tensor | None]) -> list[Tensor | None]:
    """Run the hooks of the tensors that are this node's outputs, then keep `grad` where `retain_grad` asked for it."""
    hooked = node.tensor_hooks
    if isinstance(node, AccumulateGrad):
        hooked = {0: node.variable._hooks} if node.variable._hooks else None
    if hooked:
        for number, hooks in hooked.items():
            for hook in list(hooks.values()):
                if grads[number] is not None:
                    replaced = hook(grads[number])
                    if replaced is not None:
                        grads[number] = replaced
    if node.retained:
        for number, reference in node.retained.items():
            tensor, grad = reference(), grads[number]
            if tensor is not None and grad is not None:
                tensor._grad = arithmetic.clone(grad) if tensor._grad is None else arithmetic.add(tensor._grad, grad)
    return grads


def _prehooks(node: Node, grads: list[Tensor | None]) -> list[Tensor | None]:
    assert node.prehooks is not None
    for hook in list(node.prehooks.values()):
        replaced = hook(tuple(grads))
        if replaced is not None:
            grads = list(replaced) if isinstance(replaced, (tuple, list)) else [replaced]
    return grads


def _accumulate(node: AccumulateGrad, grads: list[Tensor | None], create_graph: bool) -> None:
    """`variable.grad += grad`. The first gradient is laid out like the variable, in memory that nobody else holds."""
    variable = node.variable
    grad = grads[0]
    assert grad is not None
    before = variable._grad
    if before is None:
        if create_graph:
            variable._grad = arithmetic.clone(grad)
        elif grad._layout.strides == variable._layout.strides and _held_by_engine_only(grad):
            grad._grad_fn, grad._requires_grad = None, False
            variable._grad = grad
        else:
            variable._grad = _copy_like(variable, grad)
    elif create_graph:
        variable._grad = arithmetic.add(before, grad)
    else:
        arithmetic.add_(before, grad)
    for hook in list((variable._post_accumulate_hooks or {}).values()):
        hook(variable)
    for hook in list((node.hooks or {}).values()):
        hook((), (grad,))


def _held_by_engine_only(grad: Tensor) -> bool:
    """Whether keeping `grad` itself is safe: no other tensor shares its storage and nobody else holds the object.

    The references counted are this frame's, `_accumulate`'s and the list of arrived gradients.
    """
    return sys.getrefcount(grad._storage) == 2 and sys.getrefcount(grad) <= _OWN_REFERENCES


def _copy_like(variable: Tensor, grad: Tensor) -> Tensor:
    like = variable._layout
    if not like.is_non_overlapping_and_dense:
        return arithmetic.clone(grad)
    fresh = arithmetic.empty_strided(like.shape, like.strides, dtype=grad.dtype)
    return arithmetic.copy_(fresh, grad)


_OWN_REFERENCES = 5

__all__ = ["RemovableHandle", "run_backward"]
