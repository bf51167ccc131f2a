"""From a recorder's rows to what a report shows: sums by line, by operator and by module."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.explain.advice import Advice, advise
from pellucid.explain.modules import ModuleRow, Root
from pellucid.explain.recorder import Recorder, Remark, Row
from pellucid.explain.sites import BACKWARD, FORWARD, UPDATE, Line

PHASES = (FORWARD, BACKWARD, UPDATE)


@dataclass(slots=True)
class Sum:
    """Sums over rows that belong together; `key` says what they have in common."""

    key: Any
    calls: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    allocated: int = 0
    copied: int = 0
    rows: list[Row] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Seconds of all phases."""
        return sum(self.seconds.values())

    def add(self, row: Row) -> None:
        """Take one more row in."""
        self.calls += row.calls if row.kind != "node" else 0
        self.seconds[row.phase] += row.seconds
        self.allocated += row.allocated
        self.copied += row.copied
        self.rows.append(row)


def sums(rows: Iterable[Row], key: Callable[[Row], Hashable]) -> list[Sum]:
    """Rows of one key added up, the longest time first."""
    found: dict[Hashable, Sum] = {}
    for row in rows:
        name = key(row)
        if name not in found:
            found[name] = Sum(name)
        found[name].add(row)
    return sorted(found.values(), key=lambda each: -each.total)


def by_line(recorder: Recorder) -> list[Sum]:
    """What each source line did, forward and backward."""
    return sums(recorder.rows(), lambda row: row.line)


def by_operator(recorder: Recorder) -> list[Sum]:
    """What each operator did, whoever called it."""
    return sums(recorder.rows(), lambda row: (row.name, row.kind))


def by_kind(recorder: Recorder) -> dict[str, int]:
    """How many calls made a view, fresh memory, or wrote in place."""
    calls = {"view": 0, "copy": 0, "write": 0, "node": 0}
    for row in recorder.rows():
        calls[row.kind] += row.calls
    return calls


@dataclass(slots=True)
class ModuleSum:
    """A module with what its operators did, its children's included."""

    row: ModuleRow
    backward: float = 0.0
    allocated: int = 0


def by_module(recorder: Recorder, root: Root) -> list[ModuleSum]:
    """The modules of a root in the order of `named_modules`; those that never ran too."""
    found = {each.path: ModuleSum(each) for each in root.rows}
    own = {id(each) for each in root.rows}
    for row in recorder.rows():
        if row.module is None or id(row.module) not in own:
            continue
        path = row.module.path
        while True:
            each = found[path]
            each.backward += row.seconds if row.phase is BACKWARD else 0.0
            each.allocated += row.allocated
            if not path:
                break
            path = path.rpartition(".")[0]
            while path not in found:  # a parent that is listed elsewhere: a shared module
                path = path.rpartition(".")[0]
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Finding:
    """A remark with its advice."""

    remark: Remark
    advice: Advice


SMALL = 4096
"""Silent copies of fewer bytes than this, altogether, are not worth a look."""


def findings(recorder: Recorder) -> list[Finding]:
    """What is worth a look, the most bytes first. A conversion that runs once is not."""
    seen = sorted(recorder.remarks.values(), key=lambda each: -each.nbytes)
    return [
        Finding(each, advise(each.reason, each.calls))
        for each in seen
        if each.nbytes >= SMALL and not (each.calls == 1 and each.reason.startswith("to: "))
    ]


def holders(recorder: Recorder, most: int = 5) -> list[tuple[Line, int]]:
    """The lines that held the most memory at the peak."""
    held = sorted(recorder.memory.at_peak.items(), key=lambda each: -each[1])
    return held[:most]


def shown_file(file: str) -> str:
    """A file as people know it: from the working directory where it lies in it, else its name."""
    path = Path(file)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name
