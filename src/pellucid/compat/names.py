"""PyTorch's names: which modules, classes, functions and values PyTorch 2.13 has.

The data file is made by `tools/torch_names.py` from the real thing and read on first use. It lets
the import alias answer honestly: a name PyTorch has and Pellucid lacks becomes a stub that explains
itself when used, a name neither has is an `AttributeError` or `ModuleNotFoundError` as ever.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files

KINDS = {"m": "module", "c": "class", "f": "function", "v": "value"}


@cache
def _lines() -> tuple[dict[str, str], dict[str, str]]:
    """(module -> its line, class -> its line), not yet taken apart."""
    text = gzip.decompress(files("pellucid.compat").joinpath("torch_names.txt.gz").read_bytes())
    modules: dict[str, str] = {}
    classes: dict[str, str] = {}
    for line in text.decode().splitlines():
        head, _, rest = line.partition("\t")
        (modules if head[0] == "M" else classes)[head[2:]] = rest
    return modules, classes


def is_module(dotted: str) -> bool:
    """Whether PyTorch (or torchvision) has a module of this name."""
    return dotted in _lines()[0]


def modules() -> tuple[str, ...]:
    """Every module of PyTorch and torchvision, private ones too."""
    return tuple(_lines()[0])


@cache
def members(module: str) -> dict[str, str]:
    """name -> kind (`module`, `class`, `function`, `value`) of one of PyTorch's modules."""
    found: dict[str, str] = {}
    for field in filter(None, _lines()[0].get(module, "").split("\t")):
        letter, _, names = field.partition(":")
        found.update(dict.fromkeys(names.split(","), KINDS[letter]))
    return found


def kind_of(dotted: str) -> str | None:
    """What PyTorch's `dotted` name is, or None where PyTorch has no such name."""
    if is_module(dotted):
        return "module"
    module, _, name = dotted.rpartition(".")
    return members(module).get(name)


@cache
def class_members(dotted: str) -> frozenset[str]:
    """Public attributes of one of PyTorch's classes, inherited ones included.

    A class is known by the shortest of its public names (`torch.nn.Linear`).
    """
    line = _lines()[1].get(dotted)
    if line is None:
        return frozenset()
    bases, _, own = line.removeprefix("<").partition("\t")
    inherited = (class_members(base) for base in bases.split(",") if base)
    return frozenset(own.split(",")).union(*inherited) - {""}
