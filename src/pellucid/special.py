"""`torch.special`: special functions, by their own names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.ops.spec import registry, show

if TYPE_CHECKING:
    from pellucid.ops.special_functions import *  # noqa: F403

_late = show("special", globals())
__all__ = registry.names("special")


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        found = _late(name)
        if found is None:
            raise AttributeError(f"module 'pellucid.special' has no attribute {name!r}")
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
