"""Attention in bf16 against float64 of the same rounded queries, keys and values."""

import numpy as np
import pytest

from pellucid.kernels.attention_low import attention_low
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from tests.kernels.helpers import close, numbers, rounded, run
from tests.kernels.test_low import HALF_ULP, widened


def exact(q, k, v, mask, causal, scale):
    scores = q @ k.swapaxes(-1, -2) * scale
    if mask is not None:
        scores = scores + mask
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def steps(array):
    return [s // array.itemsize for s in array.strides[:3]]


@pytest.mark.parametrize(
    "sizes",
    [(1, 1, 1, 1, 2, 1), (2, 3, 5, 7, 6, 5), (1, 2, 16, 16, 32, 32), (1, 2, 50, 77, 64, 40)],
)
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("out", ["f32", "bf16", "both"])
def test_attention(sizes, mask, causal, out):
    batch, heads, queries, keys, depth, depth_v = sizes
    q, k, v = (
        rounded(numbers(i, batch, n, heads, d)).transpose(0, 2, 1, 3)
        for i, n, d in ((1, queries, depth), (2, keys, depth), (3, keys, depth_v))
    )
    added = numbers(4, batch, heads, queries, keys)
    if mask and keys > 2:
        added[..., 1] = -np.inf
    found = np.full((batch, heads, queries, depth_v), np.nan, np.float32)
    low = np.full(found.shape, 0xFFFF, np.uint16)
    nr, block = width(current()), min(queries, 20)
    row, scale = -(-keys // nr) * nr, depth**-0.5
    room = row * depth // 2 + -(-depth_v // nr) * nr * -(-keys // 2) + block * row
    scratch = np.full(room * 8, np.nan, np.float32)
    made = attention_low(mask=mask, causal=causal, out=out)
    run(made, q, k, v, found, low, added, scratch, batch, heads, queries, keys, depth, depth_v,
        *steps(q), *steps(k), *steps(v), *steps(found), *steps(low), *steps(added), block, row,
        room, scale)  # fmt: skip
    wanted = exact(widened(q), widened(k), widened(v), added if mask else None, causal, scale)
    if out != "bf16":
        close(found, wanted, HALF_ULP)  # the weights are rounded
    if out == "both":
        assert (low == rounded(found)).all()
    elif out == "bf16":
        close(widened(low), wanted, 2 * HALF_ULP)
