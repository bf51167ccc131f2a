"""What operators tell: one list of listeners, empty while nobody looks.

The dispatcher checks `listeners` (one truth test) and only when somebody listens measures time and
builds an `Event`. `explain`, reports, the profiler and tests append a callable here and take it
away again; `PELLUCID_DEBUG=ops` puts one here at the start that prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pellucid.config import debug_windows
from pellucid.tensor.window import print_event


@dataclass(slots=True)
class Event:
    """One operator call. Listeners share it and leave it as it is.

    `kind` is "view" (the outputs look at the input's storage), "copy" (fresh memory) or "write" (in
    place); "node" is a node of the tape in a backward pass, whose operators tell of themselves too.
    `reason` says why a call that could have been a view had to copy. `nbytes` counts bytes
    newly allocated. `spec` describes the operator, `settings` are the keywords of the call;
    both are None where a caller tells of itself.
    """

    name: str
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    kind: str
    nbytes: int
    seconds: float
    reason: str = ""
    spec: Any = None
    settings: Any = None


Listener = Callable[[Event], None]
listeners: list[Listener] = [print_event] if "ops" in debug_windows() else []


@contextmanager
def listening(listener: Listener) -> Iterator[Listener]:
    """Call `listener` for each operator inside the block."""
    listeners.append(listener)
    try:
        yield listener
    finally:
        listeners.remove(listener)


_pending = [""]


def because(reason: str) -> None:
    """Say why the operator that is about to run copies (`reshape` does before it clones).

    Costs nothing unless listened to.
    """
    if listeners:
        _pending[0] = reason


def take_reason() -> str:
    """The reason given for the call that is being told, if any."""
    reason, _pending[0] = _pending[0], ""
    return reason
