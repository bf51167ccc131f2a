"""Rooms import downwards only, and the page lists the rooms there are."""

import ast
import textwrap

import pytest

from tests.architecture.rooms import (
    PACKAGE,
    PUBLIC,
    allowed,
    imports,
    module_name,
    public_modules,
    read_rooms,
    room_of,
    source_files,
)

LATE = {
    # Optional parts of an installation: without them the room says which extra brings them.
    "llvmlite",
    "llvmlite.binding",
    "llvmlite.ir",
    "matplotlib",
    "matplotlib.backends.backend_agg",
    "matplotlib.colors",
    "matplotlib.figure",
    "matplotlib.patches",
    "matplotlib.pyplot",
    "plotext",
    "ml_dtypes",
    "PIL",
    "PIL.Image",
    "ray",
    "safetensors",
    "scipy.interpolate",
    "tokenizers",
    "tokenizers.implementations",
}
"""Modules that may be imported inside a function, wherever that is."""

LATE_HERE: dict[str, set[str]] = {
    # The command line answers `--help` and `run` without waiting for what other commands need.
    "pellucid.cli.entry": {"pellucid.cli.app"},
    "pellucid.cli.approx": {"pellucid.cli"},
    "pellucid.cli.check": {"rich.console", "rich.table"},
    "pellucid.cli.diagram": {"pellucid.cli.drawing"},
    "pellucid.cli.embed": {"pellucid.cli.embedding"},
    # Gradients of views are written with operators of the room that is just being imported.
    "pellucid.ops.views.every": {"pellucid.ops"},
}
"""Modules that may be imported inside a function of one module: {module: {imported module}}."""


def upward(path, tree=None):
    """The imports of the file that its room may not make, each as a sentence."""
    rooms = read_rooms()
    room = room_of(module_name(path), rooms)
    below = allowed(rooms[room], rooms)
    for statement in imports(path, tree):
        if statement.module.split(".")[0] != "pellucid":
            continue
        target = room_of(statement.module, rooms)
        if target not in below:
            yield f"{statement.place}: {room} may not import {target} ({statement.module})"


def late(path, tree=None):
    """The imports of the file inside functions that no list allows."""
    here = LATE_HERE.get(module_name(path), set())
    for statement in imports(path, tree):
        if statement.inside is not None and statement.module not in LATE | here:
            yield f"{statement.place}: {statement.inside}() imports {statement.module}"


def relative(path, tree=None):
    for statement in imports(path, tree):
        if statement.module.startswith("."):
            yield f"{statement.place}: relative import of {statement.module}"


@pytest.mark.parametrize("rule", [upward, late, relative], ids=lambda rule: rule.__name__)
def test_imports(rule):
    broken = [sentence for path in source_files() for sentence in rule(path)]
    assert not broken, "\n" + "\n".join(broken)


@pytest.mark.parametrize(
    ("rule", "room", "statement"),
    [
        (upward, "tensor", "from pellucid.autograd.node import Node"),
        (upward, "tensor", "from pellucid import ops"),
        (upward, "ops", "import pellucid"),
        (upward, "nn", "from pellucid import manual_seed"),
        (upward, "instrument", "import pellucid.config"),
        (late, "ops", "def f():\n    import json"),
        (relative, "ops", "from . import spec"),
        (relative, "ops", "from ..tensor import dtype"),
    ],
)
def test_a_planted_import_is_found(rule, room, statement):
    path = PACKAGE / room / "planted.py"
    assert list(rule(path, ast.parse(statement)))


@pytest.mark.parametrize(
    ("room", "statement"),
    [
        ("autograd", "from pellucid.tensor.tensor import Tensor"),
        ("ops", "from pellucid import config"),
        ("optim", "from pellucid.nn.module import Module"),
        ("compat", "import pellucid"),
        ("tensor", "import numpy as np"),
    ],
)
def test_a_downward_import_passes(room, statement):
    path = PACKAGE / room / "planted.py"
    tree = ast.parse(statement)
    assert [*upward(path, tree), *late(path, tree), *relative(path, tree)] == []


def test_rooms_of_the_page_are_the_folders_on_disk():
    on_page = {name for name in read_rooms() if name != PUBLIC} | public_modules()
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    assert folders - on_page == set(), "folders that ARCHITECTURE.md doesn't name"
    files = {p.stem for p in PACKAGE.glob("*.py")}
    missing = on_page - folders - files
    assert missing == set(), "rooms that ARCHITECTURE.md names and that don't exist"


def test_reading_the_table():
    rooms = read_rooms(
        textwrap.dedent("""
        # A page
        ## Rooms

        | room | holds | may import |
        |---|---|---|
        | `config.py` | variables | standard library |
        | `tensor/` | `dtype`, strides | config |
        | `ops/` | operators | tensor |
        | `nn/`, `optim/` | modules | ops |
        | `vision/` | boxes | nn … |
        | `public names` | `__init__.py`, `utils/` | everything above |

        ## Next
        """)
    )
    assert list(rooms) == ["config", "tensor", "ops", "nn", "optim", "vision", PUBLIC]
    assert allowed(rooms["config"], rooms) == {"config"}
    assert allowed(rooms["ops"], rooms) == {"ops", "tensor", "config"}
    assert allowed(rooms["optim"], rooms) == {"optim", "nn", "ops", "tensor", "config"}
    assert "optim" not in allowed(rooms["nn"], rooms)
    assert allowed(rooms[PUBLIC], rooms) == set(rooms)
