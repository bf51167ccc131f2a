"""Weights of plans in the order in which kernels read them: packed once, by the threads."""

from __future__ import annotations

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.filters import pack_filters, transform_filters
from pellucid.kernels.pack import aligned, packed_rows
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from pellucid.kernels.vectors import swap_axes


def linear_weights(w: np.ndarray) -> np.ndarray:
    """w (n, k), as linear layers keep it, as panels (n / NR, k, NR), missing columns zero."""
    n, k = w.shape
    nr = width(current())
    whole = n // nr
    if not w.flags.c_contiguous or not whole:
        return packed_rows(w.T)
    out = aligned(-(-n // nr) * k * nr)
    pool.run(swap_axes(), _at(w), _at(out), whole, nr, k, k, nr, nr * k, k * nr)
    if whole * nr < n:
        out[whole * k * nr :] = packed_rows(w[whole * nr :].T).ravel()
    return out


def window_weights(w: np.ndarray, groups: int) -> np.ndarray:
    """Filters w (K, C / groups, kh, kw) as panels (group, k / NR, (kh, kw, c), NR)."""
    (k, c, kh, kw), nr = w.shape, width(current())
    per = k // groups
    out = aligned(groups * -(-per // nr) * kh * kw * c * nr)
    steps = [step // 4 for step in w.strides]
    pool.run(pack_filters(), _at(w), _at(out), groups, per, c, kh, kw, per * steps[0], *steps)
    return out


def winograd_weights(w: np.ndarray, m: int) -> np.ndarray:
    """G g G^T of filters w (K, C, 3, 3) as panels (place, k / NR, C, NR): see `winograd`."""
    (k, c, _, _), nr = w.shape, width(current())
    out = aligned((m + 2) ** 2 * -(-k // nr) * c * nr)
    steps = [step // 4 for step in w.strides]
    pool.run(transform_filters(m=m), _at(w), _at(out), k, c, *steps)
    return out


def _at(array: np.ndarray) -> int:
    return int(array.ctypes.data)
