"""Linear layers that read the same value, as one product: queries, keys and values of attention.

Their weights lie side by side, and so do their results, each a view of the whole. One step instead
of several: less waiting for the other threads, and more columns to share out to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.compiler.graph import Node, Value
from pellucid.compiler.passes import name_of
from pellucid.compiler.plan import Planner
from pellucid.tensor.dtype import float32


@dataclass(frozen=True)
class Layers:
    """Layers with as many rows of weights each, or a product with a fixed matrix."""

    nodes: list[Node]

    @property
    def outs(self) -> list[Value]:
        return [node.out for node in self.nodes]

    @property
    def biased(self) -> bool:
        return any(bias_of(node) is not None for node in self.nodes)

    @property
    def sizes(self) -> tuple[int, int]:
        """Rows k of W^T, and its columns n, those of all layers."""
        *_, n = self.nodes[0].out.shape
        return self.nodes[0].args[0].shape[-1], n * len(self.nodes)

    def weights(self) -> np.ndarray:
        """W^T (k, n)."""
        arrays = [node.args[1].traced.detach()._array for node in self.nodes]
        if name_of(self.nodes[0]) == "mm":
            return arrays[0]
        return (arrays[0] if len(arrays) == 1 else np.concatenate(arrays)).T

    @property
    def weight(self) -> Value:
        """A value that stands for all weights."""
        first = self.nodes[0].args[1]
        if len(self.nodes) == 1:
            return first
        each = [v.origin or (v.traced,) for v in (node.args[1] for node in self.nodes)]
        origin = tuple([item for items in each for item in (*items, len(items))])
        return Value(first.shape, float32, first.traced, constant=True, origin=origin)

    def bias(self, planner: Planner, alone: Callable[[Planner, Any], Any]) -> Any:
        """Where the biases lie, `alone` that of a single layer; 0 for none."""
        if len(self.nodes) == 1:
            return alone(planner, bias_of(self.nodes[0]))
        if not self.biased:
            return 0
        parts = []
        for node in self.nodes:
            bias = bias_of(node)
            nothing = np.zeros(node.out.shape[-1], np.float32)
            parts.append(nothing if bias is None else bias.traced.detach()._array)
        return planner.array(np.concatenate(parts))


def bias_of(node: Node) -> Any:
    """A linear layer's bias, or None."""
    if name_of(node) == "mm":
        return None
    return node.args[2] if len(node.args) > 2 else node.settings.get("bias")


def layers_with(planner: Planner, node: Node, fits: Callable[[Node], bool]) -> Layers:
    """A layer and those that read the same value and can be computed with it."""
    found = [node]
    x, weight = node.args[:2]
    if not _merges(node):
        return Layers(found)
    for other in planner.readers.get(x, ()):
        if any(other is known for known in found) or name_of(other) != "linear" or not fits(other):
            continue
        same = other.args[0] is x and other.args[1].shape == weight.shape and _merges(other)
        same = same and other.extra.get("activation") == node.extra.get("activation")
        same = same and planner.multiplies_in(other) == planner.multiplies_in(node)
        if same and other.out not in planner.places and other.out not in planner.low:
            found.append(other)
    return Layers(found)


def _merges(node: Node) -> bool:
    bias = bias_of(node)
    fixed = bias is None or (bias.constant and bias.dtype is float32)
    return name_of(node) == "linear" and fixed and "residual" not in node.extra
