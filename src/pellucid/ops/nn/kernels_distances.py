"""Distances between all pairs of rows, on arrays: one row against those after it at a time.

The distances of n rows stand in the order (0, 1), (0, 2), …, (1, 2), …: n (n - 1) / 2 of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def _pairs(count: int) -> Iterator[tuple[int, slice]]:
    """Each row, and where its distances to the rows after it stand."""
    start = 0
    for row in range(count - 1):
        yield row, slice(start, start + count - 1 - row)
        start += count - 1 - row


def _norms(apart: np.ndarray, p: float) -> np.ndarray:
    size = np.abs(apart)
    if p == 0:
        return (size != 0).sum(axis=1)
    if p == 1:
        return size.sum(axis=1)
    if p == 2:
        return np.sqrt(np.einsum("nd,nd->n", apart, apart))
    if p == np.inf:
        return size.max(axis=1, initial=0)
    return (size**p).sum(axis=1) ** (1 / p)


def pair_distances(x: np.ndarray, p: float, out: np.ndarray) -> None:
    """The p-norms of the differences of the rows of (N, D)."""
    with np.errstate(all="ignore"):
        for row, at in _pairs(len(x)):
            out[at] = _norms(x[row] - x[row + 1 :], p)


def _slopes(apart: np.ndarray, distances: np.ndarray, p: float) -> np.ndarray:
    """d distance / d difference, 0 for rows that are equal."""
    far = distances[:, None]
    if p == 0:
        return np.zeros_like(apart)
    if p == 1:
        return np.sign(apart)
    if p == np.inf:
        return np.sign(apart) * (np.abs(apart) == far)
    if p == 2:
        found = apart / far
    else:
        size = np.abs(apart)
        found = np.sign(apart) * size ** (p - 1) / far ** (p - 1)
        found[apart == 0] = 0
    found[distances == 0] = 0
    return found


def pair_gradient(
    grad: np.ndarray, x: np.ndarray, distances: np.ndarray, p: float, out: np.ndarray
) -> None:
    """The distances' gradients, added up for each row of `x`."""
    out.fill(0)
    with np.errstate(all="ignore"):
        for row, at in _pairs(len(x)):
            pull = _slopes(x[row] - x[row + 1 :], distances[at], p) * grad[at, None]
            out[row] += pull.sum(axis=0)
            out[row + 1 :] -= pull
