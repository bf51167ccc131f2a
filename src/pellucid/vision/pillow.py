"""Pillow, loaded when an image is first touched."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

from pellucid.tensor.tensor import Tensor, from_numpy


def pillow(part: str = "Image") -> Any:
    """A module of Pillow: `Image`, `ImageOps`, `ImageEnhance`, …

    Raises: ModuleNotFoundError, with what to install, where Pillow is missing.
    """
    try:
        return importlib.import_module(f"PIL.{part}")
    except ModuleNotFoundError as error:
        if error.name not in ("PIL", f"PIL.{part}"):
            raise
        raise ModuleNotFoundError(
            "images need Pillow, which is not installed\n  pip install 'pellucid[images]'",
            name="PIL",
        ) from None


def is_pillow(value: Any) -> bool:
    """Whether `value` is a Pillow image; Pillow is not loaded to find out."""
    loaded = sys.modules.get("PIL.Image")
    return loaded is not None and isinstance(value, loaded.Image)


def planes(array: np.ndarray) -> Tensor:
    """(H, W) or (H, W, C) as a tensor (C, H, W) of its own."""
    if array.ndim == 2:
        array = array[:, :, None]
    return from_numpy(np.array(array.transpose(2, 0, 1), order="C"))


def pixels(pic: Any) -> Tensor:
    """A Pillow image as a tensor (C, H, W) with the same numbers."""
    array = np.asarray(pic)
    return planes(array.astype(np.uint8) if array.dtype == np.bool_ else array)
