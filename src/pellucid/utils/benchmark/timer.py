"""`Timer` and `Measurement`: times of a statement per run, and what they say.

Matrix products use one thread while a `Timer` measures, unless `num_threads` says otherwise, as
PyTorch's does.
"""

from __future__ import annotations

import statistics
import timeit
from dataclasses import dataclass, field
from time import perf_counter as timer
from typing import Any

from pellucid.tensor.threads import get_num_threads, set_num_threads

_UNITS = ((1e-9, "ns"), (1e-6, "us"), (1e-3, "ms"), (1.0, "s"))


def _shown(seconds: float) -> str:
    scale, unit = max((u for u in _UNITS if seconds >= u[0]), default=_UNITS[0])
    return f"{seconds / scale:.2f} {unit}"


@dataclass
class Measurement:
    """Times in seconds: `raw_times` of blocks of `number_per_run` runs each."""

    number_per_run: int
    raw_times: list[float]
    label: str = "stmt"
    num_threads: int = 1
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def times(self) -> list[float]:
        """Seconds per run, one for each block."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def median(self) -> float:
        """The median of `times`."""
        return statistics.median(self.times)

    @property
    def mean(self) -> float:
        """The mean of `times`."""
        return statistics.fmean(self.times)

    @property
    def iqr(self) -> float:
        """The distance of the quartiles of `times`."""
        if len(self.times) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return high - low

    @property
    def has_warnings(self) -> bool:
        """Whether the times scatter by more than a tenth of their median."""
        return self.iqr > 0.1 * self.median

    def __repr__(self) -> str:
        lines = [f"<{__name__}.Measurement>", self.label]
        if len(self.times) > 1:
            lines += [f"  Median: {_shown(self.median)}", f"  IQR:    {_shown(self.iqr)}"]
        else:
            lines.append(f"  {_shown(self.median)}")
        blocks = "measurement" if len(self.times) == 1 else "measurements"
        threads = "thread" if self.num_threads == 1 else "threads"
        lines.append(
            f"  {len(self.times)} {blocks}, {self.number_per_run} runs per measurement, "
            f"{self.num_threads} {threads}"
        )
        return "\n".join(lines)


class Timer:
    """Measures a statement.

    Args:
        stmt, setup: text to run; `globals` are the names it sees.
        num_threads: of matrix products while measuring.
        label, sub_label, description: text for the result.
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Any = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Any = "python",
    ) -> None:
        if language not in ("python", "py"):
            raise ValueError(f"language={language!r}: only Python statements can be measured")
        self._timer = timeit.Timer(stmt, setup, timer, dict(globals or {}))
        self._label = ": ".join(part for part in (label or stmt, sub_label, description) if part)
        self._threads = num_threads

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """One block of `number` runs, after a few to warm up."""
        before = get_num_threads()
        set_num_threads(self._threads)
        try:
            self._timer.timeit(max(number // 100, 2))
            times = [self._timer.timeit(number)]
        finally:
            set_num_threads(before)
        return Measurement(number, times, self._label, self._threads)

    def blocked_autorange(self, callback: Any = None, min_run_time: float = 0.2) -> Measurement:
        """Blocks of runs until `min_run_time` seconds have passed; each takes about a thousandth of
        it.
        """
        before = get_num_threads()
        set_num_threads(self._threads)
        try:
            number = self._block(min_run_time / 1000)
            times: list[float] = []
            while sum(times) < min_run_time:
                times.append(self._timer.timeit(number))
                if callback is not None:
                    callback(number, times[-1])
        finally:
            set_num_threads(before)
        return Measurement(number, times, self._label, self._threads)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0
    ) -> Measurement:
        """`blocked_autorange`, ten times longer each time, until the quartiles are close
        together.
        """
        while True:
            found = self.blocked_autorange(min_run_time=min_run_time)
            if found.iqr <= threshold * found.median or min_run_time * 10 > max_run_time:
                return found
            min_run_time *= 10

    def _block(self, seconds: float) -> int:
        number = 1
        while self._timer.timeit(number) < seconds and number < 10_000_000:
            number *= 10
        return number
