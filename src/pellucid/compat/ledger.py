"""The ledger: which missing names a program touched, where, and what it did with them."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

HERE = str(Path(__file__).parent)
ENGINE = str(Path(__file__).parents[1])


@dataclass(frozen=True, order=True)
class Place:
    """A line of a program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def text(self) -> str:
        """The source line itself, stripped; empty where there is no source."""
        return linecache.getline(self.file, self.line).strip()


@dataclass
class Entry:
    """One missing name: where it was taken, where it was used."""

    name: str
    kind: str
    taken: list[Place] = field(default_factory=list)
    used: list[Place] = field(default_factory=list)
    assigned: list[Place] = field(default_factory=list)

    def taken_for(self, place: Place) -> Place | None:
        """Where the file of `place` took the name, or else where it was taken first."""
        same = [taken for taken in self.taken if taken.file == place.file]
        return next(iter(same or self.taken), None)


class Ledger:
    """Every missing name that was touched, in the order of the first touch."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, name: str, kind: str) -> Entry:
        """The entry of `name`, made when it is new."""
        return self._entries.setdefault(name, Entry(name, kind))

    def note(self, name: str, kind: str, what: str, place: Place) -> Entry:
        """Write down that `name` was `taken`, `used` or `assigned` at `place`."""
        entry = self.entry(name, kind)
        places: list[Place] = getattr(entry, what)
        if place not in places:
            places.append(place)
        return entry


def caller() -> tuple[FrameType, Place]:
    """The nearest frame that is neither the alias nor the import system, and its line."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_machinery(frame):
        frame = frame.f_back
    return frame, Place(frame.f_code.co_filename, frame.f_lineno)


def is_machinery(frame: FrameType) -> bool:
    """Whether a frame belongs to this room or to Python's import system."""
    file = frame.f_code.co_filename
    return file.startswith(("<frozen importlib", HERE)) or file.endswith("importlib/__init__.py")


LEDGER = Ledger()
