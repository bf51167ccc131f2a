"""Waiting for another thread: look at a word for some microseconds, then sleep until woken.

Sleeping is a Linux futex on the word; who changes the word wakes the sleepers if there are any.
Where there is no futex, a waiting thread dozes for some microseconds at a time.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable

from pellucid.kernels.language.builder import Builder
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import I32, I64, PTR

SYSCALL, DOZE = 40, 41
"""Words of a team's memory that hold the addresses of C's `syscall` and `usleep`."""
_POLLS = 32
"""Looks between two `pause` instructions: hypervisors take a virtual CPU away from a loop of
pauses, and a loop without any takes the core away from its sibling thread.
"""
PATIENCE = 20_000
"""Looks before a thread sleeps, some 50 microseconds: waking one takes about as long."""
_NUMBERS = {"x86_64": 202, "aarch64": 98}
_WAIT, _WAKE = 128, 129
_ALL = 1 << 20


def _futex_number() -> int | None:
    return _NUMBERS.get(platform.machine()) if sys.platform == "linux" else None


def _futex(b: Builder, team: Value, word: int, operation: int, value: Value) -> None:
    number = _futex_number()
    zero = b.i64(0)
    if number is not None:
        b.call_pointer(
            b.load(team, SYSCALL, PTR), b.i64(number), b.offset(team, word, I64),
            b.i64(operation), value, zero, zero, zero, result=I64,
        )  # fmt: skip
    elif operation == _WAIT:
        b.call_pointer(b.load(team, DOZE, PTR), b.constant(50, I32))


def wait_while(
    b: Builder, team: Value, word: int, sleepers: int, condition: Callable[[Value], Value],
    patience: int = PATIENCE,
) -> None:  # fmt: skip
    """Wait as long as `condition` of the word holds; `sleepers` counts who sleeps over it.

    A sleeper counts itself before it asks the system to sleep on the value that it saw, and whoever
    changes the word looks at the count afterwards: one of the two notices the other.
    """
    place = b.offset(team, word, I64)
    waited = b.register(b.i64(0), "waited")
    with b.repeat(lambda: condition(b.atomic_load(place))):
        b.set(waited, b.get(waited) + 1)
        with b.when(b.binary("eq", b.get(waited) % _POLLS, 0)):
            b.pause()
        with b.when(b.get(waited) > patience):
            b.atomic_add(b.offset(team, sleepers, I64), 1)
            seen = b.atomic_load(place)
            with b.when(condition(seen)):
                _futex(b, team, word, _WAIT, seen)
            b.atomic_add(b.offset(team, sleepers, I64), -1)


def wake(b: Builder, team: Value, word: int, sleepers: int) -> None:
    """After a change of the word: wake who sleeps over it."""
    with b.when(b.atomic_load(b.offset(team, sleepers, I64)) > 0):
        _futex(b, team, word, _WAKE, b.i64(_ALL))
