"""Images: torchvision's operators.

`pellucid run` resolves `import torchvision` to this package. Its parts load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.vision import ops as ops

_PARTS = {"ops": "pellucid.vision.ops"}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _PARTS:
            raise AttributeError(f"module 'pellucid.vision' has no attribute {name!r}")
        value = importlib.import_module(_PARTS[name])
        globals()[name] = value
        return value
