"""Classes that the user vouches for: `torch.serialization.add_safe_globals` and friends.

Reading a file calls nothing but what stands on the allow-list. A program that knows a class and
trusts the files can add it; its constructor, `__setstate__` and `__hash__` may then run with what
the file holds, exactly as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SafeGlobal = Callable[..., Any] | tuple[Callable[..., Any], str]

BLOCKED_MODULES = frozenset({"sys", "os", "posix", "nt", "subprocess", "importlib", "runpy"})
"""Never allowed, even if the user adds something of them."""

_added: list[SafeGlobal] = []


def add_safe_globals(safe_globals: list[SafeGlobal]) -> None:
    """Let files name these classes or functions from now on.

    Args:
        safe_globals: classes and functions; `(object, "module.name")` for one that files know
            under another name.
    """
    _added.extend(entry for entry in safe_globals if entry not in _added)


def get_safe_globals() -> list[SafeGlobal]:
    """What has been added."""
    return list(_added)


def clear_safe_globals() -> None:
    """Forget everything that has been added."""
    _added.clear()


class safe_globals:
    """`with safe_globals([Config]): load(...)` allows classes for the length of a block."""

    def __init__(self, safe_globals: list[SafeGlobal]) -> None:
        self.safe_globals = safe_globals
        self._new: list[list[SafeGlobal]] = []

    def __enter__(self) -> None:
        self._new.append([entry for entry in self.safe_globals if entry not in _added])
        add_safe_globals(self.safe_globals)

    def __exit__(self, *exc: object) -> None:
        for entry in self._new.pop():
            if entry in _added:
                _added.remove(entry)


def allowed_by_user() -> dict[str, Any]:
    """Dotted name to object, for everything that has been added.

    A class of Pellucid is known under PyTorch's name too: files that hold a `torch.nn.Linear` say
    `torch.nn.modules.linear.Linear`.

    Raises:
        ValueError: a tuple that is not `(object, name)`.
        TypeError: a name that is not text.
    """
    names: dict[str, Any] = {}
    for entry in _added:
        if isinstance(entry, tuple):
            if len(entry) != 2:
                raise ValueError(
                    "Expected tuple of length 2 (global, str of callable full path), but got "
                    f"tuple of length: {len(entry)}"
                )
            value, name = entry
            if type(name) is not str:
                raise TypeError(
                    "Expected second item in tuple to be str of callable full path, but got: "
                    f"{type(name)}"
                )
        else:
            value, name = entry, f"{entry.__module__}.{entry.__qualname__}"
        names[name] = value
        if name.startswith("pellucid."):
            names["torch." + name.removeprefix("pellucid.")] = value
    return names
