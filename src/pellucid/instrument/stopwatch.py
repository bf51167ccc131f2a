"""`timing`: how often and how long; count, mean, median and the slow end, as a table."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TextIO, TypeVar, overload

from pellucid.instrument.wrapping import Call, Watch, name_of, wrap

F = TypeVar("F")
KEPT = 4096  # durations kept per name, the most recent ones: what the quantiles are taken from
HEADINGS = ("name", "count", "mean", "p50", "p95", "total")


class Timing:
    """The durations of one name, in seconds. Counts and totals are exact; quantiles are of the
    last `KEPT` durations."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.total = 0.0
        self._recent: deque[float] = deque(maxlen=KEPT)
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """Add one duration; safe from many threads."""
        with self._lock:
            self.count += 1
            self.total += seconds
            self._recent.append(seconds)

    @property
    def mean(self) -> float:
        """Seconds per call; NaN before the first."""
        return self.total / self.count if self.count else math.nan

    def quantile(self, q: float) -> float:
        """The duration that a share `q` of the calls stays within (nearest rank), in seconds.

        NaN before the first call. Raises ValueError for `q` outside 0 … 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"quantile: q must be between 0 and 1, got {q}")
        with self._lock:
            ordered = sorted(self._recent)
        return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else math.nan

    @property
    def p50(self) -> float:
        """The median, in seconds."""
        return self.quantile(0.50)

    @property
    def p95(self) -> float:
        """What 95 of 100 calls stay within, in seconds."""
        return self.quantile(0.95)

    def row(self) -> tuple[str, ...]:
        """One line of the table."""
        spans = (self.mean, self.p50, self.p95, self.total)
        return (self.name, str(self.count), *(readable(span) for span in spans))


class Timings:
    """A collection of timings by name; `timing` fills the common one, `timings`, by default."""

    def __init__(self) -> None:
        self._by_name: dict[str, Timing] = {}

    def __getitem__(self, name: str) -> Timing:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Timing]:
        return iter(sorted(self._by_name.values(), key=lambda timing: -timing.total))

    def __len__(self) -> int:
        return len(self._by_name)

    def of(self, name: str) -> Timing:
        """The timing of `name`, made when it is new."""
        return self._by_name.setdefault(name, Timing(name))

    def clear(self) -> None:
        """Forget everything."""
        self._by_name.clear()

    def table(self) -> str:
        """The table as plain text, the longest total first."""
        rows = [HEADINGS, *(timing.row() for timing in self)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
        lines = []
        for name, *numbers in rows:
            cells = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
            lines.append("  ".join([name.ljust(widths[0]), *cells]).rstrip())
        return "\n".join(lines)

    def print(self, file: TextIO | None = None) -> None:
        """Print the table to `file` (default stderr): drawn by rich where it is installed."""
        file = sys.stderr if file is None else file
        if importlib.util.find_spec("rich") is None:
            print(self.table(), file=file)
            return
        table = importlib.import_module("rich.table").Table()
        for heading in HEADINGS:
            table.add_column(heading, justify="left" if heading == "name" else "right")
        for timing in self:
            table.add_row(*(cell.replace("[", r"\[") for cell in timing.row()))
        importlib.import_module("rich.console").Console(file=file).print(table)


timings = Timings()


def readable(seconds: float) -> str:
    """Seconds in the unit that reads best: `1.25 ms`."""
    if math.isnan(seconds):
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.2f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


@overload
def timing(name: str | None = None, /, *, into: Timings | None = None) -> Callable[[F], F]: ...
@overload
def timing(target: F, /) -> F: ...
def timing(target: Any = None, /, *, into: Timings | None = None) -> Any:
    """Time each call: `@timing`, `@timing("load")`, `@timing(into=mine)`.

    Wall-clock seconds, failed calls included, go to the collection `into` (default: `timings`,
    whose `print()` shows the table) under `name` (default: the qualified name; a name given to a
    class is put in front of its methods'). A coroutine's time includes what it awaits; a
    generator's is the time its own body ran, without its consumer's.
    """
    if target is not None and not isinstance(target, str):
        return timing(into=into)(target)
    collection = timings if into is None else into

    def decorate(function: F) -> F:
        own = name_of(function)

        def watcher(call: Call) -> Watch:
            name = call.name
            if target is not None:
                inside = call.name.removeprefix(own)
                name = target + (inside if isinstance(function, type) else "")
            return _TimingWatch(collection.of(name))

        return wrap(function, watcher)

    return decorate


class _TimingWatch(Watch):
    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.spent = 0.0
        self.since = 0.0

    def started(self) -> None:
        self.since = time.perf_counter()

    def yielded(self, value: Any) -> None:
        self.spent += time.perf_counter() - self.since

    def resumed(self) -> None:
        self.since = time.perf_counter()

    def returned(self, value: Any) -> None:
        self.timing.add(self.spent + time.perf_counter() - self.since)

    def raised(self, error: BaseException) -> None:
        self.returned(None)
