"""Connectionist temporal classification (Graves et al. 2006) on arrays, in logarithms.

Labels l of length S are extended by blanks to l' = (blank, l1, blank, …, lS, blank), of length
L = 2 S + 1. `alpha[t, n, s]` is the log-probability of all beginnings of paths that are at l'[s] at
time t, `beta` that of all ends. The recursions run over time, a whole batch at a step.

Shapes: log-probabilities (T, N, C), labels (N, S), lengths (N,), alpha and beta (T, N, L).
"""

from __future__ import annotations

import numpy as np


def extended(labels: np.ndarray, blank: int) -> np.ndarray:
    """Labels with blanks around each: (N, 2 S + 1)."""
    found = np.full((labels.shape[0], 2 * labels.shape[1] + 1), blank, np.int64)
    found[:, 1::2] = labels
    return found


def _skips(path: np.ndarray) -> np.ndarray:
    """Which places may be entered from two before: labels that differ from the label before."""
    found = np.zeros(path.shape, bool)
    found[:, 2:] = path[:, 2:] != path[:, :-2]
    return found


def _log_sum(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """log(exp a + exp b + exp c), the largest taken out first."""
    top = np.maximum(np.maximum(a, b), c)
    top[np.isneginf(top)] = 0
    return np.log(np.exp(a - top) + np.exp(b - top) + np.exp(c - top)) + top


def _shifted(values: np.ndarray, by: int) -> np.ndarray:
    """Places moved right by `by` (left if negative), -inf where nothing comes from."""
    found = np.full_like(values, -np.inf)
    if by > 0:
        found[:, by:] = values[:, :-by]
    else:
        found[:, :by] = values[:, -by:]
    return found


def along_path(log_probs: np.ndarray, path: np.ndarray) -> np.ndarray:
    """The log-probabilities of the extended labels: (T, N, L)."""
    return np.take_along_axis(log_probs, path[None], axis=2)


def forward(
    emitted: np.ndarray, path: np.ndarray, frames: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """alpha, and the negative log-likelihood (N,) of labels of `lengths` in `frames` frames."""
    alpha = np.full_like(emitted, -np.inf)
    steps, batch, _ = emitted.shape
    skips = _skips(path)
    alpha[0, :, :2] = emitted[0, :, :2]
    for t in range(1, steps):
        last = alpha[t - 1]
        over = np.where(skips, _shifted(last, 2), -np.inf)
        np.add(_log_sum(last, _shifted(last, 1), over), emitted[t], out=alpha[t])
    each = np.arange(batch)
    final = alpha[np.maximum(frames - 1, 0), each]
    end = final[each, 2 * lengths]
    before = np.where(lengths > 0, final[each, np.maximum(2 * lengths - 1, 0)], -np.inf)
    loss = -np.logaddexp(end, before)
    loss[frames == 0] = np.where(lengths[frames == 0] == 0, 0, np.inf)
    return alpha, loss.astype(emitted.dtype, copy=False)


def _backward_paths(
    emitted: np.ndarray, path: np.ndarray, frames: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """beta."""
    beta = np.full_like(emitted, -np.inf)
    steps, _, places = emitted.shape
    skips = _skips(path)
    ends = np.where(np.arange(places) == 2 * lengths[:, None], 0, -np.inf)
    ends[(np.arange(places) == 2 * lengths[:, None] - 1)] = 0
    for t in range(steps - 1, -1, -1):
        if t + 1 < steps:
            after = beta[t + 1]
            over = _shifted(np.where(skips, after, -np.inf), -2)
            np.add(_log_sum(after, _shifted(after, -1), over), emitted[t], out=beta[t])
        starting = frames - 1 == t
        beta[t, starting] = ends[starting] + emitted[t, starting]
    return beta


def gradient(
    log_probs: np.ndarray,
    path: np.ndarray,
    frames: np.ndarray,
    lengths: np.ndarray,
    alpha: np.ndarray,
    loss: np.ndarray,
    zero_infinity: bool,
) -> np.ndarray:
    """d loss[n] / d log_probs[:, n]: (T, N, C), for log-probabilities that are normalised.

    exp(log_probs) minus how often the paths, weighted by their probability, are at each label.
    """
    steps, batch, classes = log_probs.shape
    emitted = along_path(log_probs, path)
    beta = _backward_paths(emitted, path, frames, lengths)
    visits = np.exp(alpha + beta + loss[:, None] - emitted)
    rows = np.arange(steps * batch).reshape(steps, batch, 1) * classes + path
    counted = np.isfinite(alpha) & np.isfinite(beta)
    total = np.bincount(rows[counted], visits[counted].astype(np.float64), log_probs.size)
    found = np.exp(log_probs) - total.reshape(log_probs.shape)
    found[:, np.isposinf(loss)] = 0 if zero_infinity else np.nan
    found[np.arange(steps)[:, None] >= frames] = 0
    return found.astype(log_probs.dtype, copy=False)
