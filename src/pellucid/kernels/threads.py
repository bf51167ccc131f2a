"""How many threads kernels use: a number that can be set before any kernel is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable

_wanted = 0
listeners: list[Callable[[int], None]] = []
"""Who is told a new number."""


def default_threads() -> int:
    """The CPUs this process may use, or `OMP_NUM_THREADS` where that is set."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    if text.isdigit() and int(text) > 0:
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def num_threads() -> int:
    """How many threads kernels use."""
    return _wanted or default_threads()


def set_num_threads(threads: int) -> None:
    """Use this many threads from the next kernel on."""
    global _wanted
    _wanted = threads
    for tell in listeners:
        tell(threads)
