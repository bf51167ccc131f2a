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
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from pellucid.explain.advice import wide_result, worth_a_look
from pellucid.explain.live import LiveMemory
from pellucid.explain.sites import FORWARD, NOWHERE, Line, Sites, mark
from pellucid.tensor.dtype import dtype, float64
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
    """The calls that ended lately, and the modules that are running."""

    def __init__(self) -> None:
        self.ended: list[tuple[float, float]] = []
        self.modules: list[Any] = []


@dataclass(slots=True)
class Recorder:
    """A listener; `with recorder.recording(): ...` puts it to work."""

    rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    remarks: dict[tuple[Line, str], Remark] = field(default_factory=dict)
    memory: LiveMemory = field(default_factory=LiveMemory)
    calls: int = 0
    per_thread: _PerThread = field(default_factory=_PerThread)
    _sites: Sites = field(default_factory=Sites)
    _lock: Any = field(default_factory=threading.RLock)

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """Listen inside the block."""
        with listening(self):
            yield self

    def __call__(self, event: Event) -> None:
        """Add one call to its row."""
        line, phase, origin = self._sites.find(sys._getframe(1))
        module = None
        if origin is not None:
            line, module = origin
        elif self.per_thread.modules:
            module = self.per_thread.modules[-1]
        with self._lock:
            self._add(event, line, phase, module)

    def _add(self, event: Event, line: Line, phase: str, module: Any) -> None:
        outputs = event.outputs
        seconds = self._exclusive(event.seconds)
        key = (event.name, id(line), phase, id(module))
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = self._new_row(event, line, phase, module)
        self.calls += 1
        row.calls += 1
        row.seconds += seconds
        if row.kind == "copy":
            row.allocated += event.nbytes
        if event.name in COPIES and outputs:
            row.copied += outputs[0].nbytes
        for output in outputs:
            if row.kind == "copy":
                self.memory.watch(output._storage, line)
            if output._grad_fn is not None:
                mark(output, (line, module))
        if event.reason:
            self._remark(event, line, phase, event.reason)
        elif event.kind == "copy" and outputs:
            reason = worth_a_look(event)
            if not reason and outputs[0].dtype is float64:
                reason = wide_result(event)
            if reason:
                self._remark(event, line, phase, reason)

    def _exclusive(self, seconds: float) -> float:
        """The seconds of a call that has just ended, without those of the calls inside it."""
        began = perf_counter() - seconds
        ended = self.per_thread.ended
        inside = 0.0
        while ended and ended[-1][0] >= began:
            inside += ended.pop()[1]
        ended.append((began, seconds))
        if len(ended) > _NESTED:
            del ended[: _NESTED // 2]
        return max(seconds - inside, 0.0)

    def _new_row(self, event: Event, line: Line, phase: str, module: Any) -> Row:
        if len(self.rows) >= MOST_ROWS:  # code made at run time: count it, but no longer by line
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
        remark = self.remarks.get((line, reason))
        if remark is None:
            if len(self.remarks) >= MOST_ROWS:
                return
            remark = self.remarks[line, reason] = Remark(line, reason, phase=phase)
        remark.calls += 1
        remark.seconds += event.seconds
        remark.nbytes += event.nbytes


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
