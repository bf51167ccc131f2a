"""Embeddings on arrays: checking indices, adding rows of gradients into a table."""

from __future__ import annotations

import numpy as np


def check_indices(indices: np.ndarray, count: int) -> None:
    """IndexError for an index outside the table."""
    if indices.size and not (indices.min() >= 0 and indices.max() < count):
        wrong = indices[(indices < 0) | (indices >= count)].flat[0]
        raise IndexError(
            "index out of range in self\n"
            f"  Index {wrong} was asked for, the table has rows 0 to {count - 1}."
        )


def row_factors(
    indices: np.ndarray, padding_idx: int, by_frequency: bool, d: np.dtype
) -> np.ndarray:
    """What each looked-up row's gradient is multiplied by: 0 for padding, 1 / uses if asked."""
    factors = np.ones(indices.shape, d)
    if by_frequency and indices.size:
        _, inverse, uses = np.unique(indices, return_inverse=True, return_counts=True)
        factors /= uses[inverse].astype(d)
    factors[indices == padding_idx] = 0
    return factors


def add_rows(
    grads: np.ndarray, indices: np.ndarray, count: int, factors: np.ndarray | None
) -> np.ndarray:
    """Rows (M, D) added into a table (V, D) at `indices` (M,).

    The rows are brought into the order of their indices, then runs of equal ones are summed: no
    addition meets another in memory.
    """
    out = np.zeros((count, grads.shape[1]), grads.dtype)
    if not grads.size:
        return out
    order = np.argsort(indices, kind="stable")
    sorted_indices = indices[order]
    sorted_grads = grads[order]
    if factors is not None:
        sorted_grads *= factors[order][:, None]
    starts = np.flatnonzero(np.diff(sorted_indices, prepend=sorted_indices[0] - 1))
    if starts.size == indices.size:
        out[sorted_indices] = sorted_grads
    else:
        out[sorted_indices[starts]] = np.add.reduceat(sorted_grads, starts, axis=0)
    return out
