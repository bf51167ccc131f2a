"""The recorder: listens to every operator and adds up, so that a long run fits into little memory.

What is kept is one row for each operator of each source line (and module, forward or backward),
not the calls themselves. Times are exclusive: what an operator spends in others that it calls
counts for those.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from pellucid.explain.advice import worth_a_look
from pellucid.explain.live import LiveMemory
from pellucid.explain.sites import FORWARD, NOWHERE, Line, Sites, mark
from pellucid.tensor.dtype import dtype
from pellucid.tensor.events import Event, listening
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor

COPIES = frozenset({"clone", "cast", "copy_"})
"""Operators that move elements without computing."""
MOST_ROWS = 20_000
_NESTED = 64
"""How many calls back the recorder looks for those made inside the one that has just ended."""

Meta = tuple[dtype, Layout]


@dataclass(slots=True)
class Row:
    """What one operator did on one line: sums over its calls."""

    name: str
    kind: str
    line: Line
    module: Any
    phase: str
    inputs: tuple[Meta, ...]
    outputs: tuple[Meta, ...]
    calls: int = 0
    seconds: float = 0.0
    allocated: int = 0
    copied: int = 0


@dataclass(slots=True)
class Remark:
    """Something worth a look: a silent copy, an operand that had to be rearranged, a wide dtype."""

    line: Line
    reason: str
    calls: int = 0
    seconds: float = 0.0
    nbytes: int = 0
    phase: str = FORWARD


class _PerThread(threading.local):
    """What belongs to one thread: its rows, the calls that ended lately, the modules running."""

    def __init__(self, all_rows: list[dict[Any, Row]]) -> None:
        self.rows: dict[tuple[Any, ...], Row] = {}
        self.ended: list[tuple[float, float]] = []
        self.modules: list[Any] = []
        all_rows.append(self.rows)


class Recorder:
    """A listener; `with recorder.recording(): ...` puts it to work.

    Each thread writes rows of its own, so that none waits for another; `rows()` gives all of them.
    Storages of fewer bytes than `smallest` are not followed to their end, which saves time where
    a program makes many small tensors.
    """

    __slots__ = ("_all_rows", "_sites", "memory", "per_thread", "remarks", "smallest")

    def __init__(self, smallest: int = 0) -> None:
        self.smallest = smallest
        self._all_rows: list[dict[Any, Row]] = []
        self._sites = Sites()
        self.memory = LiveMemory()
        self.per_thread = _PerThread(self._all_rows)
        self.remarks: dict[tuple[Line, str, str], Remark] = {}

    def rows(self) -> list[Row]:
        """The rows of all threads; one operator of one line has a row for each thread."""
        return [row for rows in self._all_rows for row in list(rows.values())]

    @property
    def calls(self) -> int:
        """How many operators ran."""
        return sum(row.calls for row in self.rows() if row.kind != "node")

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """Listen inside the block."""
        with listening(self):
            yield self

    def __call__(self, event: Event) -> None:
        """Add one call to its row."""
        line, phase, origin = self._sites.find(sys._getframe(1))
        thread = self.per_thread
        if origin is not None:
            line, module = origin
        else:
            module = thread.modules[-1] if thread.modules else None
        key = (event.name, id(line), phase, id(module))
        row = thread.rows.get(key)
        if row is None:
            row = thread.rows[key] = self._new_row(event, line, phase, module)
        now = perf_counter()
        row.calls += 1
        row.seconds += exclusive(thread.ended, now, event.seconds)
        outputs, reason = event.outputs, event.reason
        if row.kind == "copy" or row.kind == "node":
            for output in outputs:
                storage = output._storage
                if storage._nbytes >= self.smallest:
                    row.allocated += self.memory.watch(storage, line, now)
                elif row.kind == "copy":
                    row.allocated += storage._nbytes
            reason = reason or worth_a_look(event)
        if event.name in COPIES and outputs:
            row.copied += outputs[0].nbytes
        if outputs and outputs[0]._grad_fn is not None and row.kind != "node":
            mark(outputs, (line, module))
        if reason:
            self._remark(event, line, phase, reason)

    def _new_row(self, event: Event, line: Line, phase: str, module: Any) -> Row:
        if (
            len(self.per_thread.rows) >= MOST_ROWS
        ):  # code made at run time: count it, but no longer by line
            line, module = NOWHERE, None
        return Row(
            event.name,
            "view" if looks_at_its_input(event) else event.kind,
            line,
            module,
            phase,
            tuple(metas(event.inputs)),
            tuple(metas(event.outputs)),
        )

    def _remark(self, event: Event, line: Line, phase: str, reason: str) -> None:
        remark = self.remarks.get((line, phase, reason))
        if remark is None:
            if len(self.remarks) >= MOST_ROWS:
                return
            remark = self.remarks[line, phase, reason] = Remark(line, reason, phase=phase)
        remark.calls += 1
        remark.seconds += event.seconds
        remark.nbytes += event.nbytes


def exclusive(ended: list[tuple[float, float]], now: float, seconds: float) -> float:
    """The seconds of a call that has just ended, without those of the calls inside it.

    `ended` holds (start, seconds) of the calls of this thread that ended before it.
    """
    began = now - seconds
    inside = 0.0
    while ended and ended[-1][0] >= began:
        inside += ended.pop()[1]
    ended.append((began, seconds))
    if len(ended) > _NESTED:
        del ended[: _NESTED // 2]
    return max(seconds - inside, 0.0)


def looks_at_its_input(event: Event) -> bool:
    """Whether an operator that counts as fresh returned its input under another shape."""
    if event.kind != "copy" or not event.inputs or not event.outputs:
        return False
    given = event.inputs[0]
    return isinstance(given, Tensor) and event.outputs[0]._storage is given._storage


def metas(values: Any) -> Iterator[Meta]:
    """dtype and layout of each tensor among the arguments; lists are looked into."""
    for value in values:
        if isinstance(value, Tensor):
            yield value.dtype, value._layout
        elif isinstance(value, (list, tuple)):
            yield from metas(value)
