"""The gradient's trail: from a tensor back to the leaves, or to where it stops, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pellucid.autograd.node import AccumulateGrad, Node, current_grad_fn, wants_grad
from pellucid.autograd.saved import SavedTensor
from pellucid.autograd.views import INFERENCE_VIEW, NO_GRAD_VIEW
from pellucid.explain.memory_facts import sharers
from pellucid.explain.text import brief, count
from pellucid.tensor.tensor import Tensor

MOST_NODES = 10_000
MOST_LINES = 12


def why_no_gradient(tensor: Tensor, others: Sequence[Tensor] = ()) -> str:
    """Why no gradient flows to a tensor; `others` are the tensors that share its memory."""
    if tensor._inference or tensor._view == INFERENCE_VIEW:
        return "it was made under inference_mode()"
    if tensor.dtype.category < 2:
        return f"its dtype is {tensor.dtype}: only floating and complex numbers have gradients"
    if tensor._view == NO_GRAD_VIEW:
        return "it is a view made under no_grad() (requires_grad is that of its base)"
    if tensor._base is None and any(wants_grad(other) for other in others):
        return "detach() or .data cut it off: it shares memory with a tensor that requires grad"
    return (
        "it is a leaf without requires_grad: made by hand, or computed under no_grad() or from "
        "tensors that ask for no gradient"
    )


@dataclass(frozen=True, slots=True)
class Trail:
    """Where a tensor's gradient goes.

    `steps` follows the first open way back, one node per step; `leaves` are the tensors whose
    `.grad` is filled, `stops` sentences about inputs that get none; `nodes` counts the graph.
    """

    steps: tuple[str, ...]
    leaves: tuple[Tensor, ...]
    stops: tuple[str, ...]
    nodes: int

    def text(self, names: dict[int, str]) -> str:
        """The trail in a few lines."""
        shown = list(self.steps[:MOST_LINES])
        if len(self.steps) > MOST_LINES:
            shown.append(f"… {len(self.steps) - MOST_LINES} more")
        lines = [" ← ".join(shown[i : i + 4]) for i in range(0, len(shown), 4)]
        lines[1:] = ["← " + line for line in lines[1:]]
        leaves = [f"{names.get(id(leaf), '')} {_brief(leaf)}".strip() for leaf in self.leaves]
        more = f" and {len(leaves) - 6} more" if len(leaves) > 6 else ""
        lines.append(f"{count(self.nodes, 'node')}; reaches {', '.join(leaves[:6])}{more}")
        return "\n".join([*lines, *self.stops[:6]])


def _brief(tensor: Tensor) -> str:
    return brief(tensor.dtype, tensor._layout)


def trail_of(tensor: Tensor, among: list[Tensor]) -> Trail | None:
    """The trail of a tensor that requires grad; None for one that does not.

    `among` are all living tensors: they tell a `detach()` from a leaf that asks for no gradient.
    """
    if not wants_grad(tensor):
        return None
    start = current_grad_fn(tensor)
    if start is None and not tensor._requires_grad:
        return None
    if start is None:
        return Trail(("itself, a leaf",), (tensor,), (), 0)
    nodes = list(_reachable(start))
    leaves = tuple(node.variable for node in nodes if isinstance(node, AccumulateGrad))
    stops = tuple(stop for node in nodes for stop in _stops(node, among))
    count = sum(not isinstance(node, AccumulateGrad) for node in nodes)
    return Trail(tuple(_first_way(start)), leaves, tuple(dict.fromkeys(stops)), count)


def _reachable(start: Node) -> Iterator[Node]:
    seen, waiting = {start}, [start]
    while waiting and len(seen) <= MOST_NODES:
        node = waiting.pop(0)
        yield node
        for edge in node.edges:
            if edge is not None and edge[0] not in seen:
                seen.add(edge[0])
                waiting.append(edge[0])


def _first_way(node: Node | None) -> Iterator[str]:
    while node is not None and not isinstance(node, AccumulateGrad):
        ways = sum(edge is not None for edge in node.edges)
        yield node.name() + (f" ({ways} ways)" if ways > 1 else "")
        node = next((edge[0] for edge in node.edges if edge is not None), None)
    if node is not None:
        yield "leaf"


def _stops(node: Node, among: list[Tensor]) -> Iterator[str]:
    """Saved inputs of a node that were cut off on purpose, or by accident. Plain data is not."""
    kept = getattr(node, "kept", None)
    if not isinstance(kept, dict):
        return
    for name, saved in kept.items():
        if not isinstance(saved, SavedTensor) or saved.is_output:
            continue
        tensor = saved.tensor
        if wants_grad(tensor) or tensor.dtype.category < 2:
            continue
        reason = why_no_gradient(tensor, sharers(tensor, among))
        if not reason.startswith("it is a leaf"):
            yield f"none for {name} of {node.name()}, {_brief(tensor)}: {reason}"
