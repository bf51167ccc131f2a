"""Batching rules: how `vmap` runs each operator on all elements at once. Importing this room enters
them all.
"""

from pellucid.ops.batching import (
    axes,
    elementwise,
    functions,
    indexing,
    interpreter,
    neural,
    products,
    views,
)

__all__ = [
    "axes",
    "elementwise",
    "functions",
    "indexing",
    "interpreter",
    "neural",
    "products",
    "views",
]
