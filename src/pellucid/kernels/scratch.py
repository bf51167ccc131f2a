"""Memory for kernels that is used again by the next call of the same thread."""

from __future__ import annotations

import threading

import numpy as np

from pellucid.kernels.pack import aligned

_MOST = 16 << 20
"""Floats above which memory is given back after the call."""
_own = threading.local()


def scratch(name: str, count: int) -> np.ndarray:
    """At least `count` float32 numbers that start at a cache line, with anything in them. The next
    call with this name in this thread may give the same ones.
    """
    kept = _own.__dict__
    found: np.ndarray | None = kept.get(name)
    if found is None or found.size < count:
        found = aligned(count)
        if count <= _MOST:
            kept[name] = found
    return found
