"""`session`: record a program from its start to its end, however it ends, and write the report."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from pellucid.explain.modules import ModuleWatch
from pellucid.explain.recorder import Recorder
from pellucid.explain.report import page

FOLLOWED = 1024
"""Bytes from which on a storage counts in the report's memory curve."""


@dataclass(slots=True)
class Session:
    """A recorded run: what ran, how it ended, and what was recorded."""

    script: str
    argv: tuple[str, ...]
    recorder: Recorder
    modules: ModuleWatch
    began: datetime = field(default_factory=datetime.now)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    ended: str = ""
    """How the program ended, if not well: `ValueError: no such file`, `exit code 3`."""
    process_peak: int = 0
    """Most bytes of memory that the process had, 0 where the system does not tell."""


def session(
    report_path: str | os.PathLike[str],
    script: str | None = None,
    argv: Sequence[str] | None = None,
) -> AbstractContextManager[Session]:
    """Record what runs inside the block and write a self-contained HTML page to `report_path`.

    The page is written when the block ends: after an exception, `SystemExit` and Ctrl-C too, which
    then go on. It appears whole or not at all. `script` and `argv` are what the page says ran;
    without them `sys.argv`.

    Raises: OSError at once if `report_path` cannot be written there.
    """
    path = Path(report_path).absolute()  # the program may change its working directory
    check_writable(path)
    recorder = Recorder(FOLLOWED)
    run = Session(
        sys.argv[0] if script is None else str(script),
        tuple(sys.argv[1:] if argv is None else argv),
        recorder,
        ModuleWatch(recorder.per_thread),
    )
    return _recorded(run, path)


@contextmanager
def _recorded(run: Session, path: Path) -> Iterator[Session]:
    process = os.getpid()
    wall, cpu = perf_counter(), process_time()
    try:
        with ExitStack() as listening:
            listening.enter_context(run.recorder.recording())
            listening.enter_context(run.modules.watching())
            yield run
    except BaseException as error:
        run.ended = ending(error)
        raise
    finally:
        run.seconds, run.cpu_seconds = perf_counter() - wall, process_time() - cpu
        run.process_peak = process_peak()
        if os.getpid() == process:  # not in a forked worker, which has a copy of all this
            write(path, page(run))


def ending(error: BaseException) -> str:
    """How a program that raised `error` ended; empty if it ended well."""
    if isinstance(error, SystemExit):
        code = error.code
        if code is None or code == 0:
            return ""
        return f"exit code {code}" if isinstance(code, int) else f"exit: {code}"
    words = str(error).split("\n")[0]
    name = type(error).__name__
    return f"{name}: {words}" if words else name


def check_writable(path: Path) -> None:
    """Refuse a place that no file can be written to, before the program has run for an hour."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder\n  Give the name of a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {path.parent} for {path.name}\n  Make it, or name another place."
        )
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"the folder {path.parent} cannot be written")


def write(path: Path, text: str) -> None:
    """Put the text there whole: under another name first, then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def process_peak() -> int:
    """The most memory the process had at once, in bytes; 0 where the system does not tell."""
    if resource is None:
        return 0
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


resource: Any
try:
    import resource
except ImportError:  # Windows
    resource = None
