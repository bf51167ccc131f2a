"""The table of rooms in ARCHITECTURE.md, and the import statements on disk.

The table is read, not repeated: a room that is added there is checked from then on.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "pellucid"
PUBLIC = "public names"


@dataclass(frozen=True)
class Room:
    """One name of the table: a folder (`ops`), a module (`config`) or the public names."""

    name: str
    row: int
    floor: int
    """Place in the table, from the ground up; rooms of one row stand from left to right."""
    cell: str
    """What the column `may import` says."""


@dataclass(frozen=True)
class Import:
    """One import statement, resolved to a module's full name."""

    path: Path
    line: int
    module: str
    inside: str | None
    """The function that holds it, or None at module level."""

    @property
    def place(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def rows(text: str) -> Iterator[list[str]]:
    """The cells of the table under `## Rooms`, without its head."""
    section = text.split("\n## Rooms", 1)[1].split("\n## ", 1)[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    for line in table[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def names(cell: str) -> list[str]:
    """`nn/`, `optim/` -> nn, optim; `config.py` -> config; other words in backticks -> nothing."""
    return [
        re.sub(r"(/|\.py)$", "", word)
        for word in re.findall(r"`([^`]+)`", cell)
        if word.endswith(("/", ".py"))
    ]


@cache
def read_rooms(text: str | None = None) -> dict[str, Room]:
    """The rooms of ARCHITECTURE.md (or of `text`) by name, from the ground up."""
    if text is None:
        text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms: dict[str, Room] = {}
    for row, (first, _, may_import) in enumerate(rows(text)):
        for name in [PUBLIC] if PUBLIC in first else names(first):
            rooms[name] = Room(name, row, len(rooms), may_import)
    return rooms


def public_modules(text: str | None = None) -> set[str]:
    """The folders and modules that the row of public names lists."""
    if text is None:
        text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return {name for first, holds, _ in rows(text) if PUBLIC in first for name in names(holds)}


def allowed(room: Room, rooms: dict[str, Room]) -> set[str]:
    """The rooms that `room` may import: those its row names, what these may import, and itself.

    Rooms of one row may import those to their left: the list runs from the ground up.
    """
    lower = {other.name for other in rooms.values() if other.floor < room.floor}
    if room.cell == "standard library":
        return {room.name}
    if room.cell.startswith("everything"):
        return lower | {room.name}
    result = {room.name} | {name for name in lower if rooms[name].row == room.row}
    for word in room.cell.split(","):
        name = word.replace("…", "").strip()
        if name not in lower:
            raise ValueError(f"ARCHITECTURE.md: {room.name} may import {name!r}: no room below it")
        result |= allowed(rooms[name], rooms)
    return result


def room_of(module: str, rooms: dict[str, Room]) -> str:
    """The room of `pellucid.x.y`: x where x is a room, otherwise the public names."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in rooms else PUBLIC


def module_name(path: Path) -> str:
    """`src/pellucid/ops/spec.py` -> pellucid.ops.spec."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def source_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path, tree: ast.Module | None = None) -> Iterator[Import]:
    """Every import of the file; `from pellucid import ops` counts as `pellucid.ops`."""
    pending: list[tuple[ast.AST, str | None]] = [(tree or parse(path), None)]
    while pending:
        node, inside = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = node.name
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, inside)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield Import(path, node.lineno, "." * node.level + (node.module or ""), inside)
            elif node.module == "pellucid":
                for alias in node.names:
                    yield Import(path, node.lineno, f"pellucid.{alias.name}", inside)
            else:
                yield Import(path, node.lineno, str(node.module), inside)
        pending += [(child, inside) for child in ast.iter_child_nodes(node)]
