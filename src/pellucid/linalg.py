"""`torch.linalg`: matrices factored, solved, measured and multiplied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.ops.linalg.support import LinAlgError as LinAlgError
from pellucid.ops.spec import registry, show

if TYPE_CHECKING:
    from pellucid.ops.linalg_functions import *  # noqa: F403

_late = show("linalg", globals())
__all__ = ["LinAlgError", *registry.names("linalg")]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        found = _late(name)
        if found is None:
            raise AttributeError(f"module 'pellucid.linalg' has no attribute {name!r}")
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
