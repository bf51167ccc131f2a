"""`pellucid run`: become the program, as `python` would, with `import torch` finding Pellucid."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import io
import os
import pkgutil
import runpy
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from pellucid import compat
from pellucid.cli.ledger import print_ledger
from pellucid.cli.tracebacks import program_part, show
from pellucid.instrument import log, require, timing

STDIN = "-"  # as with `python -`: the program is what stands on standard input
TAKES_VALUE = ("--explain",)  # options of `run` that are followed by a value


@dataclass(frozen=True)
class Program:
    """What to run: a script or a module, its arguments, and what is wanted besides."""

    script: str | None
    module: str | None
    arguments: tuple[str, ...]
    explain: Path | None = None
    ledger: bool = False

    @property
    def name(self) -> str:
        """The script's path or the module's name."""
        return self.script if self.script is not None else str(self.module)


def program_of(given: list[str]) -> Program | None:
    """The program that a plain `run …` command line names; None leaves the matter to the parser.

    The common case is read here, so that the program starts at once and finds nothing in its
    process that only a command line parser needs. Help and errors are the parser's.
    """
    if given[:1] != ["run"]:
        return None
    rest, wishes = given[1:], Wishes()
    while rest and wishes.take(rest):
        pass
    module = rest[1] if rest[:1] == ["-m"] and len(rest) > 1 else None
    if module is None and (not rest or (rest[0].startswith("-") and rest[0] != STDIN)):
        return None
    arguments = wishes.take_from(rest[1:] if module is None else rest[2:])
    if arguments is None:
        return None
    script = rest[0] if module is None else None
    return Program(script, module, arguments, wishes.explain, wishes.ledger)


@dataclass
class Wishes:
    """Pellucid's own options of `run`: they may stand before the program and after it."""

    explain: Path | None = None
    ledger: bool = False

    def take(self, rest: list[str]) -> bool:
        """Take the option that `rest` begins with away from it; False where there is none."""
        if rest[0] == "--ledger":
            self.ledger = True
        elif rest[0] == "--explain" and len(rest) > 1:
            self.explain = Path(rest.pop(1))
        elif rest[0].startswith("--explain=") and rest[0] != "--explain=":
            self.explain = Path(rest[0].partition("=")[2])
        else:
            return False
        del rest[0]
        return True

    def take_from(self, given: list[str]) -> tuple[str, ...] | None:
        """What stands after the program without Pellucid's options, up to a `--`.

        After `--` everything is the program's. A `--` that comes first is Pellucid's own and goes;
        a later one is also the program's. None: `--explain` without a file.
        """
        if given[:1] == ["--"]:
            return tuple(given[1:])
        rest, kept = list(given), []
        while rest and rest[0] != "--":
            if self.take(rest):
                continue
            if rest[0] in ("--explain", "--explain="):
                return None
            kept.append(rest.pop(0))
        return (*kept, *rest)


def run_arguments(given: list[str]) -> list[str]:
    """`given` with `--` put after `-m MODULE`: as with `python -m`, the rest is the module's."""
    if "run" not in given:
        return given
    at = given.index("run") + 1
    while at < len(given) and given[at].startswith("-"):
        if given[at] == "-m":
            return [*given[: at + 2], "--", *given[at + 2 :]]
        at += 2 if given[at] in TAKES_VALUE else 1
    return given


@log("DEBUG")
@require("program:execute")
def execute(program: Program) -> NoReturn:
    """Run `program` as `__main__` and end the process as it ends.

    Exit codes, `SystemExit` values and the death by Ctrl-C are Python's own. An uncaught exception
    is shown with the engine's frames folded, unless the program has its own `sys.excepthook`.
    """
    compat.install()
    with contextlib.ExitStack() as after:
        if program.ledger:
            after.callback(print_ledger)
        try:
            with explaining(program):
                start(program)
        except SystemExit:
            raise
        except BaseException as error:
            end_with(error)
    sys.exit(0)


def end_with(error: BaseException) -> NoReturn:
    """Report an uncaught exception the way Python would, and end with its exit code."""
    error.__traceback__ = program_part(error.__traceback__)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    if sys.excepthook is sys.__excepthook__:
        show(error)
    else:
        sys.excepthook(type(error), error, error.__traceback__)
    if isinstance(error, KeyboardInterrupt):
        sys.excepthook = lambda *_: None  # it has been shown; what is left is to die of it
        raise KeyboardInterrupt from None  # Python then ends by the signal: 130 in a shell
    sys.exit(1)


@contextlib.contextmanager
def explaining(program: Program) -> Iterator[None]:
    """The session of `pellucid.explain` that writes the report, where one is wanted."""
    if program.explain is None:
        yield
        return
    with report_session(program.explain, program):
        yield


@timing
def report_session(report: Path, program: Program) -> AbstractContextManager[object]:
    """Open `pellucid.explain.session(report, script, argv)`; exits with 2 where there is none."""
    there = importlib.util.find_spec("pellucid.explain") is not None
    room: Any = importlib.import_module("pellucid.explain") if there else None
    if not hasattr(room, "session"):
        print("pellucid run: --explain needs pellucid.explain, which is not here", file=sys.stderr)
        sys.exit(2)
    try:
        session: AbstractContextManager[object] = room.session(
            report, program.name, list(program.arguments)
        )
    except OSError as error:
        print(f"pellucid run: --explain {report}: {error}", file=sys.stderr)
        sys.exit(2)
    return session


def start(program: Program) -> None:
    """Run the program in a fresh `__main__`, with `sys.argv` and `sys.path` as Python sets them."""
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=sys.modules["builtins"], __annotations__={})
    sys.modules["__main__"] = main
    sys.argv[:] = [program.name, *program.arguments]
    if program.script is None:
        replace_path_entry(os.getcwd())
        runpy._run_module_as_main(program.name)  # type: ignore[attr-defined]
    elif program.script == STDIN:
        replace_path_entry("")
        main.__file__ = "<stdin>"
        main.__cached__ = None  # type: ignore[attr-defined]
        main.__loader__ = importlib.machinery.SourceFileLoader("__main__", "<stdin>")
        run_source(sys.stdin.buffer.read() if sys.stdin else b"", "<stdin>", main)
    elif is_container(program.script):
        replace_path_entry(os.path.abspath(program.script))
        runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]
    else:
        run_script(program.script, main)


def replace_path_entry(entry: str) -> None:
    """Put `entry` where Python put the place that this command was started from."""
    if not sys.flags.safe_path:
        sys.path[0] = entry


def is_container(path: str) -> bool:
    """Whether `path` is a folder or an archive with a `__main__` inside."""
    return os.path.isdir(path) or pkgutil.get_importer(path).__class__.__name__ == "zipimporter"


def run_script(path: str, main: ModuleType) -> None:
    """Execute the file `path` in the namespace of `main`."""
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        print(
            f"pellucid run: can't open file {os.path.abspath(path)!r}: "
            f"[Errno {error.errno}] {error.strerror}",
            file=sys.stderr,
        )
        sys.exit(2)
    replace_path_entry(os.path.dirname(os.path.realpath(path)))
    file_name = os.path.abspath(path)
    main.__file__ = file_name
    main.__cached__ = None  # type: ignore[attr-defined]
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", file_name)
    run_source(source, file_name, main)


def run_source(source: bytes, file_name: str, main: ModuleType) -> None:
    """Compile and execute `source` in the namespace of `main`."""
    try:
        code = compile(source, file_name, "exec", dont_inherit=True)
    except SyntaxError as error:
        if error.filename is None:  # bytes that are no text have no line either
            error.filename, error.lineno = file_name, 1
        raise
    except ValueError as error:  # before Python 3.11.4, null bytes were a ValueError
        raise SyntaxError(str(error), (file_name, 1, 0, "")) from None
    exec(code, main.__dict__)
