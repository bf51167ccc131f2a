"""`GradientEdge`: a place in the graph where a gradient arrives, without its tensor."""

from __future__ import annotations

from typing import NamedTuple

from pellucid.autograd.node import Node, edge_of, wants_grad
from pellucid.tensor.tensor import Tensor


class GradientEdge(NamedTuple):
    """Output `output_nr` of `node`: what `grad` and `backward` take in place of a tensor."""

    node: Node
    output_nr: int
    ownership_token: Node | None = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of `tensor` arrives. The tensor may be dropped; the graph lives on.

    Raises: RuntimeError for a tensor that requires no gradient.
    """
    edge = edge_of(tensor) if wants_grad(tensor) else None
    if edge is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    return GradientEdge(edge[0], edge[1])
