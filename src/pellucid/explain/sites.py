"""Where in the program an operator was called: the first frame outside Pellucid.

A backward pass runs inside `loss.backward()`, far from the line whose gradient it computes. While
somebody records, each node of the tape therefore carries the line that made it (`mark`), and an
operator that runs for a node counts for that line, as backward.
"""

from __future__ import annotations

import linecache
import sysconfig
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from pellucid.autograd import engine

PACKAGE = str(Path(__file__).parents[1])
STANDARD = sysconfig.get_path("stdlib")
ORIGIN = "pellucid.explain"
"""Under which a node's `metadata` holds the origin of the call that made it."""

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
"""What an operator ran for: the program itself, a backward pass, an optimiser's step."""

_OPTIMISERS = str(Path(PACKAGE, "optim"))
_PROGRAM, _SKIPPED, _ENGINE_RUN, _ENGINE, _UPDATE = range(5)


class Line(NamedTuple):
    """A line of a program, or of a library that it uses. (A tuple hashes faster than a
    dataclass.)
    """

    file: str
    number: int
    function: str

    @property
    def text(self) -> str:
        """The source line, stripped; empty where there is no source."""
        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.number}"


NOWHERE = Line("", 0, "")


def _kind(code: CodeType) -> int:
    if code is engine._run.__code__:
        return _ENGINE_RUN
    if code is engine.run_backward.__code__:
        return _ENGINE
    file = code.co_filename
    if file.startswith(_OPTIMISERS):
        return _UPDATE
    if file.startswith(PACKAGE) or file.startswith("<frozen"):
        return _SKIPPED
    is_library = file.startswith(STANDARD) and "site-packages" not in file
    return _SKIPPED if is_library else _PROGRAM


class Sites:
    """Finds lines. What a code object is, and which line an instruction is on, is found once."""

    __slots__ = ("_codes", "_kept", "_lines", "_same")

    def __init__(self) -> None:
        self._codes: dict[int, int] = {}  # kind by id: to hash a code object is slow
        self._kept: list[CodeType] = []  # so that no id is used again
        self._lines: dict[tuple[int, int], Line] = {}
        self._same: dict[Line, Line] = {}

    def find(self, frame: FrameType | None) -> tuple[Line, str, Any]:
        """(line, phase, origin of the node that is being run or None).

        The search goes from `frame` outwards and ends at the program's first frame.
        """
        codes = self._codes
        phase, node = FORWARD, None
        while frame is not None:
            code = frame.f_code
            kind = codes.get(id(code))
            if kind == _SKIPPED:
                frame = frame.f_back
                continue
            if kind is None:
                kind = codes[id(code)] = _kind(code)
                self._kept.append(code)
            if kind == _PROGRAM:
                key = (id(code), frame.f_lasti)
                line = self._lines.get(key)
                if line is None:
                    line = self._lines[key] = self._line(frame)
                return line, phase, node
            if kind == _ENGINE:
                phase = BACKWARD
            elif kind == _ENGINE_RUN and node is None:
                node = origin_of(frame.f_locals["node"])
            elif kind == _UPDATE and phase is FORWARD:
                phase = UPDATE
            frame = frame.f_back
        return NOWHERE, phase, node

    def _line(self, frame: FrameType) -> Line:
        code = frame.f_code
        line = Line(code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname)
        return self._same.setdefault(line, line)


def mark(outputs: Any, origin: Any) -> None:
    """Let the nodes that made these tensors remember where that was; the first mark stays."""
    for output in outputs:
        node = output._grad_fn
        if node is not None:
            metadata = node._metadata
            if metadata is None:
                node._metadata = {ORIGIN: origin}
            elif ORIGIN not in metadata:
                metadata[ORIGIN] = origin


def origin_of(node: Any) -> Any:
    """What `mark` left at a node, or None."""
    metadata = node._metadata
    return None if metadata is None else metadata.get(ORIGIN)
