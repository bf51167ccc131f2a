"""Reducing runs of consecutive rows, on arrays."""

from __future__ import annotations

import numpy as np


def reduce_runs(
    ufunc: np.ufunc, rows: np.ndarray, starts: np.ndarray, out: np.ndarray, places: np.ndarray
) -> None:
    """Write `ufunc` over each run of `rows` (M, D) into the row of `out` that `places` names.

    Runs begin at `starts`, which ascend from 0, and are not empty. Runs of equal length are reduced
    together, along the middle of (runs, length, D): many times as fast as `reduceat`, which goes
    through each column of each run by itself.
    """
    lengths = np.diff(starts, append=len(rows))
    for length in np.unique(lengths):
        same = np.flatnonzero(lengths == length)
        if len(same) == len(starts):
            taken = rows.reshape(len(starts), length, rows.shape[1])
        else:
            taken = rows[starts[same][:, None] + np.arange(length)]
        out[places[same]] = ufunc.reduce(taken, axis=1)
