"""Softmax and layer normalisation of contiguous float32 rows (R, n), what eager operators use."""

from __future__ import annotations

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.row_gradients import (
    BAND,
    logsumexp_rows,
    normalise_rows,
    normalise_rows_slope,
    softmax_scaled,
    softmax_slope,
)
from pellucid.kernels.rows import RUN, softmax, sum_runs


def _at(x: np.ndarray | None) -> int:
    return 0 if x is None else int(x.ctypes.data)


def softmax_rows(x: np.ndarray, out: np.ndarray, *, logarithm: bool) -> None:
    """Softmax, or its logarithm, of each row."""
    rows, n = x.shape
    pool.run(softmax(logarithm=logarithm), _at(x), _at(out), rows, n, n, n)


def softmax_rows_slope(
    grad: np.ndarray, output: np.ndarray, out: np.ndarray, *, logarithm: bool
) -> None:
    """The gradient of `softmax_rows` from its result."""
    rows, n = grad.shape
    kernel = softmax_slope(logarithm=logarithm)
    pool.run(kernel, _at(grad), _at(output), _at(out), rows, n)


def sums(x: np.ndarray) -> np.ndarray:
    """The sum of each row, (R,), pairwise from runs on."""
    rows, n = x.shape
    found = np.empty((rows, -(-n // RUN)), np.float32)
    pool.run(sum_runs(), _at(x), _at(found), rows, n)
    total: np.ndarray = np.add.reduce(found, -1)
    return total


def logsumexp(x: np.ndarray, top: np.ndarray, rest: np.ndarray) -> None:
    """The logarithm of the sum of e^x of each row in two parts (R,): the largest, what is above."""
    pool.run(logsumexp_rows(), _at(x), _at(top), _at(rest), *x.shape)


def scaled_softmax(x: np.ndarray, lse: np.ndarray, factor: np.ndarray, out: np.ndarray) -> None:
    """e^(x - lse) times a factor, which belong to each row."""
    pool.run(softmax_scaled(), _at(x), _at(lse), _at(factor), _at(out), *x.shape)


def normalise(
    x: np.ndarray, eps: float, weight: np.ndarray | None, bias: np.ndarray | None,
    out: np.ndarray, centre: bool,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Each row normalised; its mean and factor, (R, 1)."""
    rows, n = x.shape
    means, factors = np.empty((rows, 1), np.float32), np.empty((rows, 1), np.float32)
    kernel = normalise_rows(weight=weight is not None, bias=bias is not None, centre=centre)
    pool.run(kernel, _at(x), _at(weight), _at(bias), _at(out), _at(means), _at(factors), rows, n,
             eps)  # fmt: skip
    return means, factors


def normalise_slope(
    grad: np.ndarray, x: np.ndarray, means: np.ndarray, factors: np.ndarray,
    weight: np.ndarray | None, out: np.ndarray, centre: bool,
) -> np.ndarray:  # fmt: skip
    """The gradient for x into `out`; that for the weights (n,) in float64."""
    rows, n = x.shape
    sums = np.empty((-(-rows // BAND), n), np.float32)
    kernel = normalise_rows_slope(weight=weight is not None, centre=centre)
    pool.run(kernel, _at(grad), _at(x), _at(means), _at(factors), _at(weight), _at(out),
             _at(sums), rows, n)  # fmt: skip
    total: np.ndarray = sums.sum(axis=0, dtype=np.float64)
    return total
