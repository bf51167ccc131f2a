"""Results of a sweep as JSON lines: the question first, then a line for each cell.

A line is appended and synced as its cell ends, so that an interruption costs what was running and
no more; a line that was cut off is dropped. A finished sweep is put in the order of the grid, and
then the file is the same to the byte, however the sweep was run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from pellucid.lab.runner import write_text
from pellucid.lab.sweep.cells import Cell, Question, cell_of

try:
    import fcntl
except ImportError:  # not on Windows: there nobody is kept out
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)


class Results:
    """The results of `question` in the file `path`, held open and locked until `close`.

    Raises: ValueError if the file holds results and `resume` is not set, if it belongs to another
        question, or if another run holds it.
    """

    def __init__(self, path: Path, question: Question, *, resume: bool = False) -> None:
        self.path = path
        self.question = question
        self.records: dict[Cell, dict[str, Any]] = {}
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._lock()
            if not os.path.samestat(os.fstat(self._file), path.stat()):
                raise ValueError(f"{path} was replaced by another sweep just now: try again")
            self._read(resume)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, record: dict[str, Any]) -> None:
        """Store the record of a cell, at once."""
        self.records[cell_of(record)] = record
        self._append(record)

    def finish(self) -> None:
        """Put the file in the order of the grid."""
        ordered = [self.records[cell] for cell in sorted(self.records, key=_place)]
        write_text(self.path, "".join(map(_line, [self.question.as_json(), *ordered])))

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(
                f"{self.path} is being written by another sweep that still runs: wait for it, or "
                "name other files with --report"
            ) from None

    def _append(self, value: dict[str, Any]) -> None:
        rest = memoryview(_line(value).encode())
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)

    def _read(self, resume: bool) -> None:
        text = self.path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        lines = whole.splitlines()
        # Empty, cut off at once, or nothing but the question: there is nothing to lose.
        if len(lines) < 2 and b'{"pellucid"'.startswith(text[:11]):
            os.ftruncate(self._file, 0)
            self._append(self.question.as_json())
            return
        header = _parsed(lines[0]) if lines else None
        if header is None or "pellucid" not in header:
            raise ValueError(f"{self.path} is no result of a sweep: name other files with --report")
        if not resume:
            raise ValueError(
                f"{self.path} holds the results of a sweep, {len(lines) - 1} cells: --resume goes "
                "on with them, --report names other files"
            )
        asked = self.question.as_json()
        other = [name for name in asked if header.get(name) != asked[name]]
        if other:
            changes = ", ".join(f"{n} {header.get(n)} there, {asked[n]} here" for n in other)
            raise ValueError(
                f"{self.path} holds results of another sweep ({changes}): name other files with "
                "--report"
            )
        os.ftruncate(self._file, len(whole))
        for number, line in enumerate(lines[1:], 2):
            record = _parsed(line)
            try:
                if record is None:
                    raise ValueError("no JSON")
                self.records[cell_of(record)] = record
            except (KeyError, TypeError, ValueError):
                logger.warning(
                    "%s, line %d is damaged: its cell is trained again", self.path, number
                )


def _place(cell: Cell) -> tuple[int, int, float]:
    return cell.width, cell.depth, cell.rate or 0.0


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError):
        value = json.loads(line)
        return value if isinstance(value, dict) else None
    return None
