"""What `load(weights_only=False)` lets a file name beyond the allow-list: things the program has.

PyTorch then runs whatever the file says. Pellucid lets it name what the running program itself has
imported or defined and could have passed to `add_safe_globals`: classes of modules, classes of
the program's own files, and operators. So a whole saved model can be read by the program that
defines it, and a file still cannot reach `os.system`, `eval` or an import.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_OWN = ("pellucid.nn.", "pellucid.optim.")
_RENAMED = (
    ("torch._C._nn.", "pellucid.nn.functional."),
    ("torch.", "pellucid."),
)
"""How files of PyTorch call what Pellucid has; the first prefix that fits decides."""


def of_the_program(name: str) -> Any:
    """The object with this dotted name, if the program has it and a file may use it; else None."""
    for old, new in _RENAMED:
        if name.startswith(old):
            name = new + name.removeprefix(old)
            break
    home, _, last = name.rpartition(".")
    module = _module(home)
    value = getattr(module, last, None)
    if module is None or value is None:
        return None
    if isinstance(value, type):
        return value if _is_module_class(value) or _belongs_to_program(module, value) else None
    return value if home.startswith("pellucid") and hasattr(value, "spec") else None


def _module(home: str) -> ModuleType | None:
    """The module `home`, if it is imported or one of Pellucid's that hold modules."""
    if home not in sys.modules and home.startswith(_OWN):
        try:
            return importlib.import_module(home)
        except ImportError:
            return None
    return sys.modules.get(home)


def _is_module_class(kind: type) -> bool:
    """Whether `kind` is `nn.Module` or made from it; without `nn` nothing is."""
    nn = sys.modules.get("pellucid.nn")
    return nn is not None and issubclass(kind, nn.Module)


def _belongs_to_program(module: ModuleType, kind: type) -> bool:
    """Whether `kind` is defined in the main file, or in a file beside or below it."""
    main = sys.modules.get("__main__")
    if kind.__module__ != module.__name__:
        return False
    if module is main:
        return True
    files = getattr(main, "__file__", None), getattr(module, "__file__", None)
    if files[0] is None or files[1] is None:
        return False
    folder, file = Path(files[0]).resolve().parent, Path(files[1]).resolve()
    return folder in file.parents and "site-packages" not in file.parts
