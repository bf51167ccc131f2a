"""Tracebacks that show the program's own lines; what happened inside the engine is folded."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from pellucid import config
from pellucid.compat import names
from pellucid.compat.ledger import ENGINE

STANDARD = str(Path(traceback.__file__).parent)
STARTERS = (str(Path(__file__).parent), "<frozen runpy>", "<frozen importlib", "<string>")
HINT = "PELLUCID_DEBUG=traceback shows them"


def program_part(trace: TracebackType | None) -> TracebackType | None:
    """`trace` from the program's first line on: without the frames that started it."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(STARTERS):
        trace = trace.tb_next
    return trace


class FoldedStack(traceback.StackSummary):
    """A stack that prints each run of engine frames as one line."""

    folds: dict[int, int]  # id of a frame -> engine frames that its line stands for; 0: none

    def format_frame_summary(self, frame_summary: Any, **options: Any) -> str:
        count = self.folds.get(id(frame_summary))
        if count is None:
            return super().format_frame_summary(frame_summary, **options)
        if count == 0:
            return ""
        return f"  [{count} frame{'s' * (count > 1)} inside Pellucid; {HINT}]\n"


def is_library(file: str) -> bool:
    """Whether a file is of a library that the engine calls: NumPy or the standard library."""
    if "site-packages" in file:
        return f"site-packages{os.sep}numpy{os.sep}" in file
    return file.startswith((STANDARD, "<frozen"))


def engine_frames(files: list[str]) -> list[bool]:
    """Which frames of a stack are the engine's: its own, those of libraries below them, and the
    import system's just above them."""
    inside: list[bool] = []
    for file in files:
        called = bool(inside) and inside[-1] and is_library(file)
        inside.append(called or file.startswith(ENGINE))
    for at in range(len(files) - 2, -1, -1):
        inside[at] |= inside[at + 1] and files[at].startswith("<frozen importlib")
    return inside


def fold(stack: traceback.StackSummary) -> FoldedStack:
    """`stack` with each run of engine frames folded into its first."""
    folded = FoldedStack(stack)
    folded.folds = {}
    first = None
    inside = engine_frames([frame.filename for frame in folded])
    for frame, is_engine in zip(folded, inside, strict=True):
        if not is_engine:
            first = None
            continue
        first = frame if first is None else first
        folded.folds[id(frame)] = 0
        folded.folds[id(first)] += 1
    return folded


def fold_all(report: traceback.TracebackException) -> None:
    """Fold the stacks of an exception, of what caused it, and of what it groups."""
    waiting, seen = [report], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = fold(one.stack)
        linked = (one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ()))
        waiting.extend(other for other in linked if other is not None)


def show(error: BaseException, file: TextIO | None = None) -> None:
    """Print an uncaught exception as Python does, engine frames folded, to stderr."""
    report = traceback.TracebackException(type(error), error, error.__traceback__)
    if "traceback" not in config.debug_windows():
        fold_all(report)
    lines = list(report.format())
    if error.__traceback__ is None and lines[:1] == ["Traceback (most recent call last):\n"]:
        del lines[0]  # a program that did not compile has no calls to trace
    print("".join(lines) + missing_method(error), end="", file=file or sys.stderr)


def missing_method(error: BaseException) -> str:
    """A line more for an AttributeError of a class that has this attribute in PyTorch."""
    if not isinstance(error, AttributeError) or error.name is None or error.obj is None:
        return ""
    cls = error.obj if isinstance(error.obj, type) else type(error.obj)
    for base in cls.__mro__:
        if not base.__module__.startswith("pellucid"):
            continue
        for known in (f"torch.{base.__name__}", f"torch.nn.{base.__name__}"):
            if error.name in names.class_members(known):
                return f"note: PyTorch has {known}.{error.name}; Pellucid does not have it yet\n"
    return ""
