"""`torch.special`: special functions, by their own names."""

from __future__ import annotations

from typing import Any

from pellucid.ops.spec import namespace as _namespace

_functions = _namespace("special")
globals().update(_functions)
__all__ = sorted(_functions)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'pellucid.special' has no attribute {name!r}")
