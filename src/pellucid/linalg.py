"""`torch.linalg`: matrices factored, solved, measured and multiplied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.ops.linalg.support import LinAlgError as LinAlgError
from pellucid.ops.spec import namespace as _namespace

if TYPE_CHECKING:
    from pellucid.ops.linalg_functions import *  # noqa: F403

_functions = _namespace("linalg")
globals().update(_functions)
__all__ = ["LinAlgError", *_functions]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise AttributeError(f"module 'pellucid.linalg' has no attribute {name!r}")
