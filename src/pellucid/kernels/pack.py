"""Weights in the order in which kernels read them, made once with NumPy."""

from __future__ import annotations

import numpy as np

from pellucid.kernels.target import current
from pellucid.kernels.tile import width


def aligned(count: int) -> np.ndarray:
    """`count` float32 numbers that start at a cache line."""
    raw = np.empty(4 * count + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + 4 * count].view(np.float32)


def packed_rows(b: np.ndarray) -> np.ndarray:
    """Matrices (..., k, n) as panels (..., n / NR, k, NR), missing columns zero."""
    *batch, k, n = b.shape
    nr = width(current())
    panels = -(-n // nr)
    out = aligned(int(np.prod(batch, dtype=int)) * panels * k * nr).reshape(*batch, panels, k, nr)
    whole = n // nr
    parts = b[..., : whole * nr].reshape(*batch, k, whole, nr)
    out[..., :whole, :, :] = np.moveaxis(parts, -2, -3)
    if whole < panels:
        out[..., -1, :, :] = 0
        out[..., -1, :, : n - whole * nr] = b[..., whole * nr :]
    return out
