"""Images: torchvision's operators, transforms, data sets, files and drawing.

`pellucid run` resolves `import torchvision` to this package. Its parts load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.vision import datasets as datasets
    from pellucid.vision import io as io
    from pellucid.vision import ops as ops
    from pellucid.vision import transforms as transforms
    from pellucid.vision import tv_tensors as tv_tensors
    from pellucid.vision import utils as utils

__version__ = "0.28.0+pellucid"
"""The release of torchvision that goes with PyTorch 2.13."""

_PARTS = {
    part: f"pellucid.vision.{part}"
    for part in ("datasets", "io", "ops", "transforms", "tv_tensors", "utils")
}
# torchvision has its models inside; here they are a room above this one.
_PARTS["models"] = "pellucid.models"


def set_image_backend(backend: str) -> None:
    """Which library opens images: "PIL" is the only one here. Raises ValueError for others."""
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}'. Options are 'PIL'")


def get_image_backend() -> str:
    """Which library opens images."""
    return "PIL"


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _PARTS:
            raise AttributeError(f"module 'pellucid.vision' has no attribute {name!r}")
        value = importlib.import_module(_PARTS[name])
        globals()[name] = value
        return value
