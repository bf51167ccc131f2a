"""The import alias with which PyTorch programs run on Pellucid.

`install()` makes `import torch` and `import torchvision` find Pellucid in this process and in the
workers that `multiprocessing` starts from it, and nowhere else: no environment variable is set and
other child processes see nothing of it. It must run before anything has imported PyTorch. The
command `pellucid run` installs it; a process of your own may ask for it too:

    import pellucid.compat
    pellucid.compat.install()
    import torch            # torch is pellucid
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from pellucid.compat.aliases import ALIASES as ALIASES
from pellucid.compat.aliases import ROOTS
from pellucid.compat.finder import AliasFinder, explain_missing
from pellucid.compat.ledger import LEDGER as LEDGER
from pellucid.compat.stubs import MissingName as MissingName
from pellucid.compat.version import __version__ as torch_version


def install() -> AliasFinder:
    """Install the alias in this process; a second call changes nothing.

    Raises RuntimeError where PyTorch itself has already been imported: a process has one `torch`.
    """
    for finder in sys.meta_path:
        if isinstance(finder, AliasFinder):
            return finder
    already = sorted(ROOTS & sys.modules.keys())
    if already:
        raise RuntimeError(
            f"cannot install the alias: {already[0]} is already imported in this process, "
            "and a process has one of it.\n"
            "hint: call pellucid.compat.install() before anything imports it, or `pellucid run`"
        )
    finder = AliasFinder()
    sys.meta_path.insert(0, finder)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == ALIASES["torch"]:
            explain_missing(module)
    finder.after_import(ALIASES["torch"], _name_the_version)
    finder.after_import("multiprocessing.spawn", _bring_to_workers)
    return finder


def _name_the_version(pellucid: ModuleType) -> None:
    pellucid.__version__ = torch_version  # type: ignore[attr-defined]
    explain_missing(pellucid)


def _bring_to_workers(spawn: Any) -> None:
    """Have the workers that `spawn` and `forkserver` start install the alias before they begin.

    A worker unpickles its preparation data before it imports the program; unpickling the entry
    added here installs the alias.
    """
    prepare = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {**prepare(name), "pellucid": _InstalledOnArrival()}

    spawn.get_preparation_data = get_preparation_data


class _InstalledOnArrival:
    """Something that installs the alias in the process that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, ()


def _arrive() -> None:
    install()
