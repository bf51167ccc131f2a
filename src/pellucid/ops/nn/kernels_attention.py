"""Scaled dot-product attention on arrays, a block of scores at a time.

Shapes: query (*, L, E), key (*, S, E), value (*, S, V) with equal leading dimensions, `bias`
broadcastable to (*, L, S) or None. Scores of a few heads, or of a few queries where sequences are
long, are made, used and forgotten while they are in cache; what is kept is the logarithm of each
query's sum of exponentials, from which the backward pass makes the same scores again (Dao et al.
2022, FlashAttention, without its tiling of keys).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pellucid.ops import native
from pellucid.ops.blas import multiply, sketch

_BLOCK_BYTES = 1 << 20


class Block(NamedTuple):
    """Some heads (an index into the leading dimensions), some queries, and the keys they see."""

    heads: tuple[Any, ...]
    queries: slice
    keys: slice


def blocks(
    lead: tuple[int, ...], length: int, keys: int, size: int, causal: bool
) -> Iterator[Block]:
    """Cuts the scores (*lead, length, keys) of `size` bytes each into blocks that fit in cache."""
    per_head = max(length * keys * size, 1)
    whole = slice(0, length)
    if per_head * math.prod(lead) <= _BLOCK_BYTES:
        yield Block((slice(None),) * len(lead), whole, slice(0, keys))
        return
    heads = max(1, _BLOCK_BYTES // per_head)
    rows = length if per_head <= _BLOCK_BYTES else max(16, _BLOCK_BYTES // (keys * size))
    for outer in np.ndindex(*lead[:-1]):
        for first in range(0, lead[-1] if lead else 1, heads):
            index = (*outer, slice(first, first + heads)) if lead else ()
            for start in range(0, length, rows):
                end = min(start + rows, length)
                seen = min(end, keys) if causal else keys
                yield Block(index, slice(start, end), slice(0, seen))


def _part(x: np.ndarray, block: Block, rows: slice) -> np.ndarray:
    return x[(*block.heads, rows)]


def _scores(
    query: np.ndarray,
    key: np.ndarray,
    bias: np.ndarray | None,
    scale: float,
    causal: bool,
    block: Block,
) -> np.ndarray:
    """scale * query @ key^T + bias; minus infinity where a key comes after its query."""
    q = _part(query, block, block.queries)
    scores = multiply(q * q.dtype.type(scale), _part(key, block, block.keys).swapaxes(-1, -2))
    if bias is not None:
        scores += bias[(*block.heads, block.queries, block.keys)]
    if causal:
        rows = np.arange(block.queries.start, block.queries.stop)[:, None]
        later = np.arange(block.keys.start, block.keys.stop) > rows
        np.copyto(scores, -np.inf, where=later)
    return scores


def forward(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    bias: np.ndarray | None,
    scale: float,
    causal: bool,
    out: np.ndarray,
    logsumexp: np.ndarray,
) -> None:
    """softmax(scores) @ value into `out` (*, L, V), and log(sum of exp) into (*, L).

    A query that sees no key gives zeros, and infinity as its logarithm.
    """
    if sketch.depth:
        sketch.skipped += 1
        out[...] = logsumexp[...] = 0
        return
    if native.attends(query, key, value, out):
        native.attention().attend(query, key, value, bias, scale, causal, out, logsumexp)
        return
    lead, length = query.shape[:-2], query.shape[-2]
    for block in blocks(lead, length, key.shape[-2], query.itemsize, causal):
        scores = _scores(query, key, bias, scale, causal, block)
        top = scores.max(axis=-1, keepdims=True)
        np.copyto(top, 0, where=np.isneginf(top))
        np.subtract(scores, top, out=scores)
        np.exp(scores, out=scores)
        total = scores.sum(axis=-1, keepdims=True)
        nothing = total == 0
        np.copyto(total, 1, where=nothing)
        found = multiply(scores, _part(value, block, block.keys))
        found /= total
        _part(out, block, block.queries)[...] = found
        logs = np.log(total) + top
        np.copyto(logs, np.inf, where=nothing)
        _part(logsumexp, block, block.queries)[...] = logs[..., 0]


def backward(
    grad: np.ndarray,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    bias: np.ndarray | None,
    scale: float,
    causal: bool,
    out: np.ndarray,
    logsumexp: np.ndarray,
    grads: tuple[np.ndarray, np.ndarray, np.ndarray],
    for_bias: np.ndarray | None,
) -> None:
    """Gradients of query, key and value into the three arrays of `grads`; that of the scores into
    `for_bias` (*, L, S) if it is wanted.
    """
    to_query, to_key, to_value = grads
    for array in (to_key, to_value):
        array.fill(0)
    if for_bias is not None:
        for_bias.fill(0)
    lead, length = query.shape[:-2], query.shape[-2]
    for block in blocks(lead, length, key.shape[-2], query.itemsize, causal):
        p = _scores(query, key, bias, scale, causal, block)
        p -= _part(logsumexp, block, block.queries)[..., None]
        np.exp(p, out=p)
        g = _part(grad, block, block.queries)
        q, k = _part(query, block, block.queries), _part(key, block, block.keys)
        v = _part(value, block, block.keys)
        _part(to_value, block, block.keys)[...] += multiply(p.swapaxes(-1, -2), g)
        along = np.einsum("...v,...v->...", g, _part(out, block, block.queries))
        slope = multiply(g, v.swapaxes(-1, -2))
        slope -= along[..., None]
        slope *= p
        if for_bias is not None:
            for_bias[(*block.heads, block.queries, block.keys)] = slope
        slope *= slope.dtype.type(scale)
        _part(to_query, block, block.queries)[...] = multiply(slope, k)
        _part(to_key, block, block.keys)[...] += multiply(slope.swapaxes(-1, -2), q)
