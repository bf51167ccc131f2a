"""How time is taken: peers take turns, so that a bad moment of the machine meets all of them."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from time import perf_counter
from typing import Any

Samples = dict[str, list[float]]
"""Seconds per call of each peer, one number a round; numbers of one place are of one round."""


@dataclass(frozen=True)
class Spread:
    """The median of some numbers and their quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one number or more."""
        middle = statistics.median(values)
        if len(values) == 1:
            return cls(middle, middle, middle)
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high)

    @property
    def relative(self) -> float:
        """Half the distance of the quartiles, as a share of the median."""
        return (self.high - self.low) / (2 * self.median) if self.median else 0.0


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """How many times longer ours takes: from the ratios of the rounds, since both sides of a round
    met the machine in the same state.
    """
    return Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])


@contextmanager
def no_collections() -> Iterator[None]:
    """Python's cycle collector is off inside: it would strike one peer or another."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def interleaved(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    seconds: float,
    own_clock: bool = False,
) -> Samples:
    """Seconds per call of each, `rounds` times in turns.

    A turn is one call that is not counted, which brings back what the peers before have displaced
    from the caches, and then as many as take about `seconds` (one if `own_clock`: such a call
    returns its seconds).
    """
    samples: Samples = {name: [] for name in calls}
    with no_collections():
        counts = {name: 1 if own_clock else _count(call, seconds) for name, call in calls.items()}
        for _ in range(rounds):
            for name, call in calls.items():
                if own_clock:
                    samples[name].append(call())
                else:
                    call()
                    samples[name].append(_turn(call, counts[name]))
    return samples


def _count(call: Callable[[], Any], seconds: float) -> int:
    """How many calls take about `seconds`: from a second call, the first one prepares things."""
    call()
    once = max(_turn(call, 1), 1e-8)
    if once < seconds / 100:
        once = max(_turn(call, 50), 1e-8)
    return max(1, round(seconds / once))


def _turn(call: Callable[[], Any], count: int) -> float:
    start = perf_counter()
    for _ in repeat(None, count):
        call()
    return (perf_counter() - start) / count
