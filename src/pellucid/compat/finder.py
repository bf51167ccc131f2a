"""The import alias: `import torch` finds Pellucid.

`AliasFinder` stands first in `sys.meta_path`. For a name of PyTorch's tree it answers with a
real `ModuleSpec` whose loader hands out the very module object of Pellucid: `torch.nn` is
`pellucid.nn`. A module only PyTorch has becomes a `StubModule`; a module neither has is not found,
as ever.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pellucid.compat import aliases, names
from pellucid.compat.ledger import LEDGER, caller
from pellucid.compat.stubs import StubModule, missing_attribute


class AliasLoader(Loader):
    """Hands out a module of Pellucid under PyTorch's name, without changing whose it is."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = aliases.load(self.target)
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own_spec  # the import system has just put the alias's spec there
        if not hasattr(module, "__path__"):  # PyTorch's may have submodules where ours is a file
            module.__path__ = []
        explain_missing(module)


class StubLoader(Loader):
    """Makes the stand-in for a module that only PyTorch has."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        _, place = caller()
        LEDGER.note(spec.name, "module", "taken", place)
        return StubModule(spec.name, f"PyTorch's {spec.name}, which Pellucid does not have.")

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: its names are made when they are asked for."""


class AliasFinder(MetaPathFinder):
    """Finds PyTorch's modules and distributions in Pellucid."""

    def __init__(self) -> None:
        self._after: dict[str, Callable[[ModuleType], None]] = {}

    def after_import(self, name: str, action: Callable[[ModuleType], None]) -> None:
        """Run `action(module)` when module `name` has been imported, at once if it has been."""
        if name in sys.modules:
            action(sys.modules[name])
        else:
            self._after[name] = action

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if aliases.is_alias(name):
            return self._alias_spec(name)
        action = self._after.get(name)
        if action is None and name.partition(".")[0] == aliases.ALIASES["torch"]:
            action = explain_missing
        return None if action is None else self._watched_spec(name, path, target, action)

    def _alias_spec(self, name: str) -> ModuleSpec | None:
        ours = aliases.target_of(name)
        if not names.is_module(name):
            if aliases.exists(ours):  # a room of Pellucid that PyTorch has no module for
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return None
        loader: Loader = AliasLoader(ours) if aliases.exists(ours) else StubLoader()
        return ModuleSpec(name, loader, origin=ours, is_package=True)

    def _watched_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None,
        action: Callable[[ModuleType], None],
    ) -> ModuleSpec | None:
        """The spec another finder has for `name`, with `action` to follow once it is loaded."""
        finders = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in finders)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is None or spec.loader is None:
            return spec
        loader, run = spec.loader, spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module  # the class's own method is back
            run(module)
            action(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def find_distributions(self, context: Any = None) -> Iterable[Any]:
        """Answer `importlib.metadata`, which is loaded only in programs that ask it."""
        room = importlib.import_module("pellucid.compat.distributions")
        found: Iterable[Any] = room.distributions(None if context is None else context.name)
        return found


def explain_missing(module: ModuleType) -> None:
    """Give a module of Pellucid a last resort: names PyTorch has and it lacks become stubs."""
    space = vars(module)
    torch_name = aliases.torch_name_of(module.__name__)
    if torch_name is None or not names.is_module(torch_name) or "_missing_names" in space:
        return
    own: Callable[[str], Any] | None = space.get("__getattr__")

    def __getattr__(name: str) -> Any:  # PEP 562
        if own is not None:
            try:
                return own(name)
            except AttributeError:
                pass
            except ModuleNotFoundError as error:
                if not aliases.is_own(error.name):
                    raise  # a library is missing, not a room of ours
        if name.startswith("__"):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return missing_attribute(torch_name, name)

    space["__getattr__"] = __getattr__
    space["_missing_names"] = torch_name
