"""Cross-entropy on arrays: scores `x` (N, C, L), class indices (N, L).

Rows are taken a few at a time, so that the exponentials of a row are summed while they are in
cache; nothing of the size of `x` is made on the way forward.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.ops import native

_BLOCK_BYTES = 1 << 19


def _blocks(x: np.ndarray) -> Iterator[slice]:
    n = x.shape[0]
    step = max(1, _BLOCK_BYTES // max(x[:1].nbytes, 1))
    for start in range(0, n, step):
        yield slice(start, start + step)


def logsumexp(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log of the sum over C of exp(x) in two parts (N, L): the largest score, and what is above it;
    NaN where that is infinite, as the logarithm of softmax is. Their sum would lose digits of large
    scores.
    """
    tops = np.empty((x.shape[0], x.shape[2]), x.dtype)
    rest = np.empty_like(tops)
    if x.shape[2] == 1 and native.takes_rows(x[:, :, 0], tops):
        native.rows().logsumexp(x[:, :, 0], tops, rest)
        return tops, rest
    for block in _blocks(x):
        part = x[block]
        top = part.max(axis=1, keepdims=True) if part.shape[1] else part.sum(1, keepdims=True)
        scratch = np.subtract(part, top)
        np.exp(scratch, out=scratch)
        np.log(scratch.sum(axis=1), out=rest[block])
        tops[block] = top[:, 0]
    return tops, rest


def softmax_scaled(
    x: np.ndarray, logsumexp: np.ndarray, factors: np.ndarray, out: np.ndarray
) -> None:
    """softmax(x) times a factor per place (N, L), into `out`."""
    fast = x.shape[2] == 1 and native.takes_rows(x[:, :, 0], out[:, :, 0], logsumexp, factors)
    if fast:
        native.rows().scaled_softmax(x[:, :, 0], logsumexp, factors, out[:, :, 0])
    for block in () if fast else _blocks(x):
        part = out[block]
        np.subtract(x[block], logsumexp[block][:, None], out=part)
        np.exp(part, out=part)
        np.multiply(part, factors[block][:, None], out=part)
    ignored = factors == 0
    if ignored.any():  # scores of infinity count nothing there either
        np.copyto(out, 0, where=ignored[:, None])


def class_weights(
    classes: np.ndarray, weight: np.ndarray | None, count: int, ignore_index: int, d: np.dtype
) -> np.ndarray:
    """The weight of each place's class (N, L): 0 where it is ignored.

    Raises: IndexError for a class that there is not.
    """
    ignored = classes == ignore_index
    wrong = ((classes < 0) | (classes >= count)) & ~ignored
    if wrong.any():
        raise IndexError(
            f"Target {classes[wrong].flat[0]} is out of bounds.\n"
            f"  There are {count} classes: targets are 0 to {count - 1}, or {ignore_index} to be "
            "ignored."
        )
    if weight is None:
        return (~ignored).astype(d)
    found = np.zeros(classes.shape, d)
    np.copyto(found, weight[np.where(ignored, 0, classes)], where=~ignored)
    return found


def pick(x: np.ndarray, classes: np.ndarray, ignore_index: int) -> np.ndarray:
    """The score of each place's class (N, L); any number where it is ignored."""
    if not x.size:
        return np.zeros(classes.shape, x.dtype)
    safe = np.where(classes == ignore_index, 0, classes)
    return x[np.arange(x.shape[0])[:, None], safe, np.arange(x.shape[2])]


def add_at(out: np.ndarray, classes: np.ndarray, values: np.ndarray, ignore_index: int) -> None:
    """Add `values` (N, L) to `out` (N, C, L) at each place's class."""
    if not out.size:
        return
    safe = np.where(classes == ignore_index, 0, classes)
    rows = np.arange(out.shape[0])[:, None]
    places = np.arange(out.shape[2])[None]
    out[rows, safe, places] += np.where(classes == ignore_index, 0, values)
