"""Which name of PyTorch's world stands for which module of Pellucid."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

# The longest matching prefix decides; what follows it is kept: torch.nn.functional is
# pellucid.nn.functional. A module Pellucid lacks becomes a stub (see `stubs`).
ALIASES = {
    "torch": "pellucid",
    "torchvision": "pellucid.vision",
    "torchvision.models": "pellucid.models",
    "torch.utils.data": "pellucid.data",
    "torch.torch_version": "pellucid.compat.version",
}

# Distributions that `importlib.metadata` finds while the alias is installed.
TORCH_VERSION = "2.13.0+pellucid"
DISTRIBUTIONS = {
    "torch": TORCH_VERSION,
    "torchvision": "0.28.0+pellucid",
}

# The packages that the alias answers for.
ROOTS = frozenset(name.partition(".")[0] for name in ALIASES)


def is_alias(name: str) -> bool:
    """Whether `name` belongs to a package that the alias answers for."""
    return name.partition(".")[0] in ROOTS


def target_of(name: str) -> str:
    """The module of Pellucid that `name` would be: `torch.nn` -> `pellucid.nn`."""
    head, tail = name, ""
    while head not in ALIASES:
        head, _, last = head.rpartition(".")
        tail = f".{last}{tail}"
    return ALIASES[head] + tail


def exists(target: str) -> bool:
    """Whether Pellucid has the module `target`, found without keeping what the search imports."""
    package = ""
    for part in target.split("."):
        package = f"{package}.{part}" if package else part
        try:
            if importlib.util.find_spec(package) is None:
                return False
        except (
            ModuleNotFoundError,
            ValueError,
        ):  # the parent is a plain module
            return False
    return True


def torch_name_of(target: str) -> str | None:
    """PyTorch's name of a module: `pellucid.nn` -> `torch.nn`; None outside the tree."""
    best: tuple[int, str] | None = None
    for name, prefix in ALIASES.items():
        inside = target == prefix or target.startswith(f"{prefix}.")
        if inside and (best is None or len(prefix) > best[0]):
            best = (len(prefix), name + target[len(prefix) :])
    return None if best is None else best[1]


def is_own(module: str | None) -> bool:
    """Whether `module` is, or would be, a module of Pellucid."""
    return module is not None and module.partition(".")[0] == ALIASES["torch"]


def load(target: str) -> ModuleType:
    """Import `target` and return it."""
    return importlib.import_module(target)
