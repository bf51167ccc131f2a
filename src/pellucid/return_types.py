"""`torch.return_types`: the named tuples that operators return."""

from __future__ import annotations

from typing import Any

from pellucid.ops.returns import types as _types

globals().update(_types)
__all__ = sorted(_types)


def __getattr__(name: str) -> Any:
    if name in _types:
        return _types[name]
    raise AttributeError(f"module 'pellucid.return_types' has no attribute {name!r}")
