"""How pixels between pixels are made."""

from __future__ import annotations

from enum import Enum
from typing import Any


class InterpolationMode(Enum):
    """torchvision's names of Pillow's and PyTorch's interpolations."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


PILLOW = {
    InterpolationMode.NEAREST: 0,
    InterpolationMode.NEAREST_EXACT: 0,
    InterpolationMode.LANCZOS: 1,
    InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3,
    InterpolationMode.BOX: 4,
    InterpolationMode.HAMMING: 5,
}
"""Pillow's numbers, `PIL.Image.Resampling`."""

_BY_NUMBER = {number: mode for mode, number in reversed(PILLOW.items())}


def mode_of(value: Any) -> InterpolationMode:
    """A mode from itself, its name or Pillow's number. TypeError or ValueError for others."""
    if isinstance(value, InterpolationMode):
        return value
    if isinstance(value, str):
        names = [mode.value for mode in InterpolationMode]
        if value not in names:
            raise ValueError(f"there is no interpolation {value!r}; there are {', '.join(names)}")
        return InterpolationMode(value)
    if isinstance(value, int) and not isinstance(value, bool):
        found = _BY_NUMBER.get(int(value))
        if found is None:
            raise ValueError(f"there is no interpolation {value}; Pillow's are 0 to 5")
        return found
    raise TypeError(
        "Argument interpolation should be a InterpolationMode or a corresponding Pillow integer "
        f"constant, got {type(value).__name__}"
    )
