"""From nodes to steps: a rule for each operator that has a kernel.

A rule gets the planner and the node and returns the places of the outputs, or None if it does not
apply (another dtype, another dimension): then the operator runs as in eager mode, as one step.
"""

from __future__ import annotations

from pellucid.compiler.lower import (
    images,
    live_images,
    low,
    low_attention,
    moves,
    products,
    quantised,
    rows,
    training,
)
from pellucid.compiler.lower.rules import lower

__all__ = [
    "images",
    "live_images",
    "low",
    "low_attention",
    "lower",
    "moves",
    "products",
    "quantised",
    "rows",
    "training",
]
