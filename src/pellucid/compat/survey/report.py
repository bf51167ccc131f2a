"""The survey of a program: every name of PyTorch it uses, and whether Pellucid has it."""

from __future__ import annotations

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pellucid.compat import aliases, names
from pellucid.compat.differences import difference
from pellucid.compat.stubs import is_neutral
from pellucid.compat.survey.scan import Scan, scan

VERDICTS = {
    "missing": "PyTorch has it, Pellucid does not: using it raises an error",
    "unknown": "PyTorch 2.13 has no such name either",
    "differs": "there, and not quite PyTorch's",
    "there": "there",
}


@dataclass(frozen=True)
class Finding:
    """One name, what is to be said of it, and the places that use it: (file, line) in order.

    `guarded`: every use is prepared for its absence. `guess`: every use is a method of something
    that only may be a tensor.
    """

    name: str
    verdict: str
    note: str
    places: tuple[tuple[str, int], ...]
    guarded: bool
    guess: bool


@dataclass(frozen=True)
class Survey:
    """What a program and its own modules use of PyTorch."""

    script: str
    files: tuple[str, ...]
    findings: tuple[Finding, ...]

    def having(self, *verdicts: str) -> list[Finding]:
        """The findings with one of these verdicts."""
        return [finding for finding in self.findings if finding.verdict in verdicts]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing that the program is not prepared to do without."""
        return all(finding.guarded for finding in self.having("missing", "unknown"))


def survey(script: str | Path) -> Survey:
    """Read `script` and the modules beside it that it imports.

    Raises OSError where it cannot be read and SyntaxError where it is not Python.
    """
    project = _Project(Path(script))
    uses: dict[str, list[tuple[str, int, bool, bool]]] = defaultdict(list)
    for file, result in project.scans.items():
        for use in result.uses:
            guess = use.guess and use.name.rpartition(".")[2] not in project.defined
            if use.guess and not guess:
                continue
            uses[use.name].append((file, use.line, use.guarded, use.guess))
    findings = []
    files = list(project.scans)
    for name, places in uses.items():
        verdict, note = judge(name)
        where = tuple(
            sorted({place[:2] for place in places}, key=lambda p: (files.index(p[0]), p[1]))
        )
        guarded = all(guard for _, _, guard, _ in places)
        guess = all(guess for _, _, _, guess in places)
        findings.append(Finding(name, verdict, note, where, guarded, guess))
    order = list(VERDICTS)
    findings.sort(key=lambda finding: (order.index(finding.verdict), finding.name))
    return Survey(str(script), tuple(files), tuple(findings))


class _Project:
    """A script and the modules found beside it."""

    def __init__(self, script: Path) -> None:
        self.root = script.parent
        self.scans: dict[str, Scan] = {}
        self._read(script)

    @property
    def defined(self) -> set[str]:
        """Names of all functions, methods and classes of the program."""
        return set().union(*(result.defined for result in self.scans.values()))

    def _read(self, path: Path) -> Scan:
        file = str(path)
        if file not in self.scans:
            tree = ast.parse(path.read_bytes(), filename=file)
            self.scans[file] = result = Scan()  # known before it is read: imports may be circular
            scan(tree, lambda name, level: self._module(path, name, level), result)
        return self.scans[file]

    def _module(self, importer: Path, name: str, level: int) -> Scan | None:
        """The scan of a module of the program, or None when `name` is not one."""
        folder = self.root if level == 0 else importer.parents[level - 1]
        found = None
        for candidate in self._files(folder, name):
            found = self._read(candidate)
        return found

    def _files(self, folder: Path, name: str) -> Iterator[Path]:
        """The files that importing `name` from `folder` runs, packages first."""
        if not name and (folder / "__init__.py").is_file():  # from . import x
            yield folder / "__init__.py"
        for part in filter(None, name.split(".")):
            if (folder / part / "__init__.py").is_file():
                yield folder / part / "__init__.py"
            elif (folder / f"{part}.py").is_file():
                yield folder / f"{part}.py"
                return
            elif not (folder / part).is_dir():
                return
            folder = folder / part


@cache
def judge(name: str) -> tuple[str, str]:
    """(verdict, note) on one dotted name of PyTorch's tree."""
    module, rest = _split(name)
    if rest and names.kind_of(f"{module}.{rest[0]}") is None:
        return ("there", "") if _has(module, rest) else ("unknown", VERDICTS["unknown"])
    if not rest and not names.is_module(module):
        return "unknown", VERDICTS["unknown"]
    kind = names.kind_of(f"{module}.{rest[0]}") if rest else "module"
    if rest and is_neutral(f"{module}.{rest[0]}"):
        return "there", ""
    if not _has(module, rest[:2] if kind == "class" else rest[:1]):
        return "missing", f"a {kind} of PyTorch" if len(rest) < 2 else "a member of PyTorch's class"
    note = difference(name)
    return ("there", "") if note is None else ("differs", note)


def _split(name: str) -> tuple[str, list[str]]:
    """(the longest module in front, the names behind it)."""
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        if names.is_module(".".join(parts[:length])):
            return ".".join(parts[:length]), parts[length:]
    return parts[0], parts[1:]


def _has(module: str, rest: list[str]) -> bool:
    """Whether Pellucid has the attribute path `rest` in its counterpart of `module`."""
    target = aliases.target_of(module)
    if not aliases.exists(target):
        return False
    found: Any = importlib.import_module(target)
    for part in rest:
        try:
            found = getattr(found, part)
        except AttributeError:
            return False
        except ModuleNotFoundError as error:
            if not aliases.is_own(error.name):
                raise
            return False
    return True
