"""Running kernels on arrays, for tests."""

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.pack import aligned, packed_rows
from pellucid.kernels.target import current
from pellucid.kernels.tile import width


def run(kernel, *values):
    """Run a kernel; arrays become addresses."""
    pool.run(kernel, *[v.ctypes.data if isinstance(v, np.ndarray) else v for v in values])


def numbers(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def packed(b):
    return packed_rows(np.ascontiguousarray(b))


def close(got, want, tolerance=3e-6):
    """Within `tolerance` of the scale of the exact result."""
    want = np.asarray(want, np.float64)
    scale = max(float(np.abs(want).max(initial=0.0)), 1e-30)
    assert np.abs(got - want).max(initial=0.0) <= tolerance * scale


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
