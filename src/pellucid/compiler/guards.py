"""What a plan depends on outside of its inputs: members, settings and hooks of modules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.tensor.events import settings
from pellucid.tensor.tensor import Tensor

_PLAIN = (int, float, bool, complex, str, bytes, tuple, type(None))
"""Attributes of modules that a plan depends on beside tensors: numbers, names, sizes."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


class ModuleState:
    """Modules as they were when a plan was made, which took `captured` tensors from somewhere."""

    def __init__(self, modules: Sequence[Any], captured: Iterable[Tensor]) -> None:
        taken = {id(tensor) for tensor in captured}
        self.members = [
            (table, name, held)
            for module in modules
            for table in (module._parameters, module._buffers, module._modules)
            for name, held in table.items()
        ]
        self.settings = [
            (vars(module), name, value)
            for module in modules
            for name, value in vars(module).items()
            if name != "training" and (type(value) in _PLAIN or id(value) in taken)
        ]
        self.version = settings.version
        tables = (vars(module).get(name) for module in modules for name in _HOOKS)
        self.hooks = [table for table in tables if table is not None]
        self.hooked = sum(map(len, self.hooks))

    def holds(self) -> bool:
        """Whether the modules are as they were. Settings are looked at where some module was given
        one since.
        """
        if not all([table.get(name) is held for table, name, held in self.members]):
            return False
        if sum(map(len, self.hooks)) != self.hooked:
            return False
        if self.version != settings.version:
            if not all([_same(table.get(name, table), value)
                        for table, name, value in self.settings]):  # fmt: skip
                return False
            self.version = settings.version
        return True


def _same(now: Any, before: Any) -> bool:
    if now is before:
        return True
    return not isinstance(before, Tensor) and type(now) is type(before) and bool(now == before)


def aliasing(tensors: Sequence[Tensor]) -> Any:
    """Which inputs share memory, and where in it they lie: part of what kind of call it is."""
    if len(tensors) < 2:
        return ()
    storages = [id(t._storage) for t in tensors]
    if len(set(storages)) == len(storages):
        return ()
    return tuple([(storages.index(s), t._layout.offset)
                  for s, t in zip(storages, tensors, strict=True)])  # fmt: skip
