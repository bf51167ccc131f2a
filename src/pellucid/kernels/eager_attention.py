"""Scaled dot-product attention of float32 arrays, one call at a time: what the operator uses."""

from __future__ import annotations

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.attention import attention
from pellucid.kernels.scratch import scratch
from pellucid.kernels.target import current
from pellucid.kernels.tile import width


def attend(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, bias: np.ndarray | None, scale: float,
    causal: bool, out: np.ndarray, logs: np.ndarray,
) -> None:  # fmt: skip
    """softmax(query @ key^T * scale + bias) @ value of arrays (N, H, L, D) into `out`, and the
    logarithms of the sums (N, H, L), contiguous, into `logs`. Rows are contiguous; `bias`
    (N, H, L, S) may be broadcast in any way.
    """
    batch, heads, queries, depth = query.shape
    keys, depth_v = value.shape[2:]
    if bias is not None and bias.strides[3] != 4 and keys > 1:
        bias = np.ascontiguousarray(bias)
    nr = width(current())
    block = min(queries, 32 * current().rows)
    room = -(-keys // nr) * nr * (depth + block)
    given = scratch("attention", room * pool.num_threads())
    strides = [step // 4 for x in (query, key, value, out) for step in x.strides[:3]]
    mask = [0, 0, 0] if bias is None else [step // 4 for step in bias.strides[:3]]
    pool.run(
        attention(mask=bias is not None, causal=causal, logs=True),
        *[x.ctypes.data for x in (query, key, value, out)],
        0 if bias is None else bias.ctypes.data, given.ctypes.data, batch, heads, queries, keys,
        depth, depth_v, *strides, *mask, block, room, logs.ctypes.data, scale,
    )  # fmt: skip
