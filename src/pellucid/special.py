"""`torch.special`: special functions, by their own names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.ops.spec import namespace as _namespace

if TYPE_CHECKING:
    from pellucid.ops.special_functions import *  # noqa: F403

_functions = _namespace("special")
globals().update(_functions)
__all__ = sorted(_functions)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise AttributeError(f"module 'pellucid.special' has no attribute {name!r}")
