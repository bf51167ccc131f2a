"""House rules that a linter doesn't know: sizes of files, `match=`, no traces of a machine."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.rooms import ROOT, parse, source_files

AIM, LIMIT = 400, 500
"""Lines of a file: what we aim at, and what fails."""

# Spelt in pieces, so that this file doesn't break its own rule.
MACHINE_PATHS = re.compile(r"(?<![\w.])/" + r"(?:work|opt|root|home/\w+)" + r"(?=[/\s\"'`]|$)")


def tracked_files() -> list[Path]:
    """The files git knows; without git, those of the source folders."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        folders = ("src", "tests", "examples", "docs")
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    return [path for path in paths if path.is_file()]


def python_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py"]


def raises_without_words(tree: ast.AST):
    """Lines on which `pytest.raises` or `pytest.warns` is called without `match=`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "pytest":
            named = {keyword.arg for keyword in node.keywords}
            if node.func.attr in ("raises", "warns") and not named & {"match", None}:
                yield node.lineno


def test_every_raises_looks_at_the_words():
    broken = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in python_files()
        for line in raises_without_words(parse(path))
    ]
    assert not broken, f"pytest.raises without match=: {broken}"


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("with pytest.raises(ValueError): f()", [1]),
        ("with pytest.raises(ValueError, match='odd'): f()", []),
        ("\npytest.warns(UserWarning)", [2]),
    ],
)
def test_the_search_for_raises_finds_them(code, lines):
    assert list(raises_without_words(ast.parse(code))) == lines


def test_files_are_short(record_property):
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in source_files()
    }
    record_property("above_the_aim", {name: n for name, n in sizes.items() if n > AIM})
    too_long = {name: n for name, n in sizes.items() if n > LIMIT}
    assert not too_long, f"files above {LIMIT} lines (the aim is {AIM}): {too_long}"


def machine_paths(text: str) -> list[int]:
    return [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if not line.startswith("#!") and MACHINE_PATHS.search(line)
    ]


def test_no_file_names_a_place_on_somebodys_machine():
    broken = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        broken += [f"{path.relative_to(ROOT)}:{line}" for line in machine_paths(text)]
    assert not broken, f"paths that exist on one machine only: {broken}"


def test_the_search_for_paths_finds_them():
    planted = "\n".join(["see /" + "work/notes", "a/work/b", "'/" + "opt/x/bin'", "bench/opt/x"])
    assert machine_paths(planted) == [1, 3]
