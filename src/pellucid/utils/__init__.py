"""`torch.utils`: names only. `data` is Pellucid's room `data`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid import data as data
    from pellucid.utils import benchmark as benchmark
    from pellucid.utils import checkpoint as checkpoint
    from pellucid.utils import dlpack as dlpack
    from pellucid.utils import hooks as hooks

_MODULES = frozenset({"_pytree", "benchmark", "checkpoint", "dlpack", "hooks"})


def __getattr__(name: str) -> Any:
    if name == "data":
        return importlib.import_module("pellucid.data")
    if name in _MODULES:
        return importlib.import_module(f"pellucid.utils.{name}")
    raise AttributeError(f"module 'pellucid.utils' has no attribute {name!r}")
