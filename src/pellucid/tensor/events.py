"""What operators tell: one list of listeners, empty while nobody looks.

The dispatcher checks `listeners` (one truth test) and only when somebody listens measures time and
builds an `Event`. `explain`, reports, the profiler and tests append a callable here and take it
away again; `PELLUCID_DEBUG=ops` puts one here at the start that prints.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pellucid.config import debug_windows
from pellucid.tensor.window import print_event


@dataclass(slots=True)
class Event:
    """One operator call. Listeners share it and leave it as it is.

    `kind` is "view" (the outputs look at the input's storage), "copy" (fresh memory) or "write" (in
    place); "node" is a node of the tape in a backward pass, whose operators tell of themselves too.
    `reason` says why a call that could have been a view had to copy. `nbytes` counts bytes
    newly allocated. `spec` describes the operator, `settings` are the keywords of the call;
    both are None where a caller tells of itself. `again` makes once more what a factory drew.
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
    again: Any = None


F = TypeVar("F", bound=Callable[..., Any])
Listener = Callable[[Event], None]
listeners: list[Listener] = [print_event] if "ops" in debug_windows() else []


permanent: set[Listener] = set()
"""Listeners that only have to be there, whoever else listens or not."""


@contextmanager
def silenced() -> Iterator[None]:
    """Nobody hears of what happens inside, except who begins to listen there."""
    others = [each for each in listeners if each not in permanent]
    for each in others:
        listeners.remove(each)
    try:
        yield
    finally:
        listeners[:0] = others


@contextmanager
def listening(listener: Listener) -> Iterator[Listener]:
    """Call `listener` for each operator inside the block."""
    listeners.append(listener)
    try:
        yield listener
    finally:
        listeners.remove(listener)


@dataclass(slots=True)
class Action:
    """Something that a program does between operators and that changes Python's objects: a step of
    a scheduler, the arrival of a gradient at a leaf. `subject` is what it is done to, `again` does
    it once more (None where operators do it), `inputs` are its arguments.
    """

    name: str
    subject: Any
    again: Callable[[], Any] | None = None
    inputs: tuple[Any, ...] = ()
    reason: str = ""


observers: list[Callable[[Action], None]] = []
"""Who hears of actions: traces of whole training steps."""


class _Acting(threading.local):
    depth = 0


_acting = _Acting()


def is_acting() -> bool:
    """Whether an action runs: what operators tell now is part of it."""
    return _acting.depth > 0


@contextmanager
def unnoticed() -> Iterator[None]:
    """What is done inside is part of something that observers know how to do again."""
    _acting.depth += 1
    try:
        yield
    finally:
        _acting.depth -= 1


def acting(function: F) -> F:
    """A method of which observers hear when it is done. Actions inside actions are part of them."""

    @functools.wraps(function)
    def act(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not observers or _acting.depth:
            return function(self, *args, **kwargs)
        with unnoticed():
            result = function(self, *args, **kwargs)
        name = f"{type(self).__name__}.{function.__name__}"
        again = functools.partial(function, self, *args, **kwargs)
        tell_action(Action(name, self, again, (*args, *kwargs.values())))
        return result

    return act  # type: ignore[return-value]


def tell_action(action: Action) -> None:
    """Tell observers of an action that is done."""
    for observer in tuple(observers):
        observer(action)


before_writes: list[Callable[[Any], None]] = []
"""Who is told of a tensor that is about to be written, and may stop it by raising."""


def tell_before_write(target: Any) -> None:
    """Tell that `target` is about to be written."""
    for each in tuple(before_writes):
        each(target)


class _Settings:
    version = 0


settings = _Settings()
"""`version` counts how often an attribute of a module was set that is neither tensor nor module:
plans depend on them.
"""

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
