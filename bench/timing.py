"""How the benchmarks measure: peers take turns, medians are compared, spread is shown.

A machine shared with others has good and bad moments. Calls of all peers are therefore interleaved,
so that a bad moment meets all of them, and only ratios of medians are reported as results.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True)
class Measured:
    """Seconds per call: the median over rounds, and the range of its middle half relative to it."""

    seconds: float
    spread: float


def interleaved(
    calls: Mapping[str, Callable[[], object]], rounds: int = 15, seconds: float = 0.02
) -> dict[str, Measured]:
    """Time each call `rounds` times in turns; each turn repeats it for about `seconds`."""
    repeats = {}
    for name, call in calls.items():
        call()
        start = perf_counter()
        call()
        repeats[name] = max(1, int(seconds / max(perf_counter() - start, 1e-7)))
    samples: dict[str, list[float]] = {name: [] for name in calls}
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in calls.items():
                count = repeats[name]
                start = perf_counter()
                for _ in range(count):
                    call()
                samples[name].append((perf_counter() - start) / count)
    finally:
        if was_enabled:
            gc.enable()
    return {name: _summary(values) for name, values in samples.items()}


def _summary(values: list[float]) -> Measured:
    middle = statistics.median(values)
    quarters = statistics.quantiles(values, n=4) if len(values) > 1 else [middle] * 3
    return Measured(middle, (quarters[2] - quarters[0]) / middle)


def import_seconds(statement: str, rounds: int = 7) -> Measured:
    """Seconds a fresh Python process spends in `statement`, measured inside that process."""
    program = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    values = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        values.append(float(done.stdout.split()[-1]))
    return _summary(values)
