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


def rounded(x: np.ndarray) -> np.ndarray:
    """float32 numbers as the 16 bits of the nearest bf16 (ties to even, NaN stays)."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    found = ((bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16).astype(np.uint16)
    nan = np.isnan(x)
    if nan.any():
        found[nan] = (bits[nan] >> 16).astype(np.uint16) | 0x40
    return found


def packed_words(b: np.ndarray, per: int) -> np.ndarray:
    """Matrices (..., k, n) of short numbers as panels (..., n / NR, k / per, NR, per): `per` of
    them along k are one word of 32 bits. What is missing is zero.
    """
    *batch, k, n = b.shape
    nr = width(current())
    panels, steps = -(-n // nr), -(-k // per)
    count = int(np.prod(batch, dtype=int)) * panels * steps * nr
    out = aligned(count).view(b.dtype).reshape(*batch, panels, steps, nr, per)
    if (n, k) == (panels * nr, steps * per):
        full = b
    else:
        full = np.zeros((*batch, steps * per, panels * nr), b.dtype)
        full[..., :k, :n] = b
    parts = full.reshape(*batch, steps, per, panels, nr)
    out[...] = np.moveaxis(parts, (-2, -4, -1, -3), (-4, -3, -2, -1))
    return out


def quantised(w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices (..., k, n) as bytes -127 … 127 with a scale for each column: those, the scales, and
    the sums of each column's bytes.
    """
    largest = np.abs(w).max(axis=-2, keepdims=True)
    scale = np.where(largest > 0, largest / np.float32(127), np.float32(1))
    q = np.clip(np.rint(w / scale), -127, 127).astype(np.int8)
    sums = q.sum(axis=-2, dtype=np.int32)
    return q, np.ascontiguousarray(scale[..., 0, :], np.float32), np.ascontiguousarray(sums)
