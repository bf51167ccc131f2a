"""Region operators on compiled kernels: the rule which calls run on them, and the ways there.

A call runs on kernels if its numbers are float32, `PELLUCID_KERNELS` is not "off", and it has at
least `NUMBERS` numbers in its bins: the first call loads LLVM (a quarter of a second) and compiles
the kernel (once per machine). Everything else runs on NumPy, which is also the reference.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np

from pellucid.ops.detection.kernels_align import Geometry, axes, ranges
from pellucid.ops.native import enabled

NUMBERS = 1 << 18
"""Numbers in the bins (about 20 regions of 256 channels and 7 x 7 bins: 2 ms on NumPy)."""
_MOST_POINTS = 1 << 24
"""Sampling points above which NumPy's way says what is wrong, or takes its time."""


@cache
def kernels() -> Any:
    """The kernels, which are loaded by the first call that is large enough."""
    return importlib.import_module("pellucid.kernels.eager_regions")


def suits(bins: np.ndarray, maps: np.ndarray) -> bool:
    """Whether a call with these bins (K, C, P, Q) and features (N, C, H, W) runs on kernels."""
    if bins.dtype != np.float32 or maps.dtype != np.float32 or bins.size < NUMBERS:
        return False
    return maps.size > 0 and enabled()


def regions(boxes: np.ndarray, geometry: Geometry, cells: tuple[int, int]) -> Any:
    """Regions as RoI Align's kernels take them; None if there are too many points for them."""
    found = []
    for axis, bins, count in zip(axes(boxes, geometry), geometry.pooled, cells, strict=True):
        limits = np.ascontiguousarray(np.stack(ranges(axis, bins, count), axis=-1))
        if np.maximum(limits[..., 1] - limits[..., 0], 0).sum(dtype=np.float64) > _MOST_POINTS:
            return None
        found.append((np.ascontiguousarray(np.stack(axis, axis=-1)), limits))
    (y, y_ranges), (x, x_ranges) = found
    return kernels().Regions(images(boxes), y, x, y_ranges, x_ranges)


def images(boxes: np.ndarray) -> np.ndarray:
    """The image of each of (K, 5) boxes."""
    return boxes[:, 0].astype(np.int64)
