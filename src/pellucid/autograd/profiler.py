"""`profile`: which operators ran, how often and for how long; `record_function`: a name for a
stretch of the program.

Listens to the stream of events that operators tell (`pellucid.tensor.events`). Times are
wall-clock; a call's own time is its time without that of the calls inside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ContextDecorator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from pellucid.tensor.events import Event, listeners

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "profile", "record_function"]


@dataclass(slots=True)
class FunctionEvent:
    """One call. Times in microseconds, `start` counted from the beginning of the profile."""

    name: str
    start: float
    cpu_time_total: float
    self_cpu_time_total: float
    input_shapes: list[list[int]] = field(default_factory=list)
    count: int = 1

    @property
    def key(self) -> str:
        """The name under which calls are added up."""
        return self.name


@dataclass(slots=True)
class FunctionEventAvg:
    """All calls of one name. Times in microseconds."""

    key: str
    count: int = 0
    cpu_time_total: float = 0.0
    self_cpu_time_total: float = 0.0
    input_shapes: list[list[int]] = field(default_factory=list)

    @property
    def cpu_time(self) -> float:
        """Mean time of a call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    def add(self, event: Any) -> None:
        """Count one more call."""
        self.count += event.count
        self.cpu_time_total += event.cpu_time_total
        self.self_cpu_time_total += event.self_cpu_time_total


class EventList(list[Any]):
    """Calls, or their averages; `table()` shows them."""

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds in all calls together, each moment counted once."""
        return sum(event.self_cpu_time_total for event in self)

    def total_average(self) -> FunctionEventAvg:
        """Everything as one line."""
        total = FunctionEventAvg("Total")
        for event in self:
            total.add(event)
        return total

    def key_averages(self, group_by_input_shape: bool = False) -> EventList:
        """The calls added up by name (and by the shapes of their inputs)."""
        groups: dict[Any, FunctionEventAvg] = {}
        for event in self:
            shapes = event.input_shapes if group_by_input_shape else []
            key = (event.name, str(shapes))
            if key not in groups:
                groups[key] = FunctionEventAvg(event.name, input_shapes=shapes)
            groups[key].add(event)
        return EventList(groups.values())

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_name_column_width: int = 55,
        header: str | None = None,
        top_level_events_only: bool = False,
        **_: Any,
    ) -> str:
        """A table of text.

        `sort_by` is a field such as "cpu_time_total", largest first; `row_limit` -1 shows all rows.
        """
        rows: list[Any] = list(self)
        if sort_by is not None:
            if rows and not hasattr(rows[0], sort_by):
                raise AttributeError(
                    f"'{type(rows[0]).__name__}' object has no attribute '{sort_by}'"
                )
            rows.sort(key=lambda event: getattr(event, sort_by), reverse=True)
        if row_limit >= 0:
            rows = rows[:row_limit]
        total = self.self_cpu_time_total
        cells = [_COLUMNS, *[_row(event, total, max_name_column_width) for event in rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(_COLUMNS))]
        rule = "  ".join("-" * width for width in widths)
        lines = [rule, _line(cells[0], widths), rule, *[_line(r, widths) for r in cells[1:]], rule]
        if header is not None:
            lines.insert(0, header)
        return "\n".join([*lines, f"Self CPU time total: {_time(total)}", ""])

    def __str__(self) -> str:
        return self.table()


_COLUMNS = [
    "Name",
    "Self CPU %",
    "Self CPU",
    "CPU total %",
    "CPU total",
    "CPU time avg",
    "# of Calls",
]


def _row(event: Any, total: float, width: int) -> list[str]:
    name = event.key if len(event.key) <= width else event.key[: width - 3] + "..."
    return [
        name,
        _share(event.self_cpu_time_total, total),
        _time(event.self_cpu_time_total),
        _share(event.cpu_time_total, total),
        _time(event.cpu_time_total),
        _time(event.cpu_time_total / event.count),
        str(event.count),
    ]


def _line(cells: list[str], widths: list[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


def _share(part: float, total: float) -> str:
    return f"{100 * part / total:.2f}%" if total else "NaN"


def _time(microseconds: float) -> str:
    if microseconds >= 1e6:
        return f"{microseconds / 1e6:.3f}s"
    if microseconds >= 1e3:
        return f"{microseconds / 1e3:.3f}ms"
    return f"{microseconds:.3f}us"


_active: list[profile] = []


class profile:
    """Records the operators that run inside a `with` block.

    `record_shapes` keeps the shapes of inputs. The switches for other devices and for memory are
    accepted and have no effect.
    """

    def __init__(self, enabled: bool = True, *, record_shapes: bool = False, **_: Any) -> None:
        self.enabled = enabled
        self.record_shapes = record_shapes
        self.function_events = EventList()
        self._open: list[FunctionEvent] = []  # calls that no later call has turned out to contain
        self._began = 0.0

    def __enter__(self) -> profile:
        if self.enabled:
            self._began = perf_counter()
            listeners.append(self._listen)
            _active.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.enabled:
            listeners.remove(self._listen)
            _active.remove(self)

    def _listen(self, event: Event) -> None:
        shapes = (
            [list(x.shape) for x in event.inputs if hasattr(x, "shape")]
            if self.record_shapes
            else []
        )
        name = event.name if event.kind == "node" else f"aten::{event.name}"
        self.add(name, event.seconds, shapes)

    def add(self, name: str, seconds: float, shapes: list[list[int]] | None = None) -> None:
        """Enter a call that has just ended; calls that began after it were inside it."""
        start = (perf_counter() - seconds - self._began) * 1e6
        inside = 0.0
        while self._open and self._open[-1].start >= start:
            inside += self._open.pop().cpu_time_total
        duration = seconds * 1e6
        call = FunctionEvent(name, start, duration, max(duration - inside, 0.0), shapes or [])
        self._open.append(call)
        self.function_events.append(call)

    def __iter__(self) -> Iterator[FunctionEvent]:
        return iter(self.function_events)

    def key_averages(self, group_by_input_shape: bool = False, **_: Any) -> EventList:
        """The calls added up by name."""
        return self.function_events.key_averages(group_by_input_shape)

    def total_average(self) -> FunctionEventAvg:
        """Everything as one line."""
        return self.function_events.total_average()

    def table(self, **options: Any) -> str:
        """The calls one by one, as text."""
        return self.function_events.table(**options)

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds in operators and named stretches."""
        return self.function_events.self_cpu_time_total

    def __str__(self) -> str:
        return self.table()


class record_function(ContextDecorator):
    """Gives a stretch of the program a name that profiles show: `with record_function("forward"):
    …`, or as a decorator.
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name
        self.args = args
        self._starts: list[float] = []

    def __enter__(self) -> record_function:
        self._starts.append(perf_counter())
        return self

    def __exit__(self, *exc: object) -> None:
        seconds = perf_counter() - self._starts.pop()
        for each in _active:
            each.add(self.name, seconds)

    def _recreate_cm(self) -> record_function:
        return record_function(self.name, self.args)
