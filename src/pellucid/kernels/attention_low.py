"""Attention with products in bf16: see `attention`. Scores and softmax are computed in float32, the
weights of the values are rounded.
"""

from __future__ import annotations

from pellucid.kernels.attention import pack_keys
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, I16, I32
from pellucid.kernels.rows import exp_row, row_max
from pellucid.kernels.tile import width
from pellucid.kernels.tile_low import (
    Output,
    panel_rows,
    row_tiles,
    tile_scratch,
    tile_sums,
    write_tiles,
)
from pellucid.kernels.vectors import over_vectors


@kernel(
    "q: ptr, k: ptr, v: ptr, out: ptr, low: ptr, mask: ptr, scratch: ptr, batch: i64, heads: i64, "
    "queries: i64, keys: i64, depth: i64, depth_v: i64, q_batch: i64, q_head: i64, q_row: i64, "
    "k_batch: i64, k_head: i64, k_row: i64, v_batch: i64, v_head: i64, v_row: i64, "
    "o_batch: i64, o_head: i64, o_row: i64, l_batch: i64, l_head: i64, l_row: i64, m_batch: i64, "
    "m_head: i64, m_row: i64, block: i64, row: i64, room: i64, scale: f32"
)
def attention_low(b: KernelBuilder, *, mask: bool, causal: bool, out: str) -> None:
    """Queries, keys and values in bf16, strides in elements; depth and the strides of queries and
    keys are even. `out` is "f32", "bf16" (in `low`) or "both".

    A thread has `room` words of scratch: packed keys, packed values, then `block` rows of scores,
    `row` apart, which become weights.
    """
    write_tiles(b, "bf16")
    b.begin()
    arg, nr = b.arg, width(b.target)
    sums = tile_scratch(b)
    panels, across = b.ceil_div(arg.keys, nr), b.ceil_div(arg.depth_v, nr)
    words, steps = arg.depth // 2, b.ceil_div(arg.keys, 2)
    packed = b.offset(arg.scratch, b.thread * arg.room)
    values = b.offset(packed, panels * nr * words)
    scores = b.offset(values, across * nr * steps)
    blocks = b.ceil_div(arg.queries, arg.block)
    known = b.register(b.i64(-1), "known")
    with b.units(arg.batch * arg.heads * blocks) as unit:
        head, part = unit // blocks, unit % blocks
        entry, number = head // arg.heads, head % arg.heads
        with b.when(b.binary("ne", head, b.get(known))):
            keys = b.offset(arg.k, entry * arg.k_batch + number * arg.k_head, BF16)
            pack_keys(b, keys, packed, arg.keys, words, arg.k_row // 2)
            _pack_values(
                b, b.offset(arg.v, entry * arg.v_batch + number * arg.v_head, BF16), values
            )
        b.set(known, head)
        top = part * arg.block
        count = b.minimum(arg.block, arg.queries - top)
        start = entry * arg.q_batch + number * arg.q_head + top * arg.q_row
        queries, q_row = b.offset(arg.q, start, BF16), arg.q_row // 2
        with b.loop("panel", 0, panels) as panel:
            source = b.offset(packed, panel * words * nr)
            for first, height in row_tiles(b, count):
                tile_sums(b, height, b.offset(queries, first * q_row, I32), q_row, source, words,
                          b.offset(scores, first * arg.row + panel * nr), arg.row)  # fmt: skip
        added = b.offset(arg.mask, entry * arg.m_batch + number * arg.m_head)
        with b.loop("row", 0, count) as row:
            seen = b.minimum(top + row + 1, arg.keys) if causal else arg.keys
            _weights(b, b.offset(scores, row * arg.row), seen, steps * 2,
                     b.offset(added, (top + row) * arg.m_row), mask)  # fmt: skip
        at = entry * arg.o_batch + number * arg.o_head + top * arg.o_row
        at_low = entry * arg.l_batch + number * arg.l_head + top * arg.l_row
        target = Output(
            b.offset(arg.out, at) if out != "bf16" else None, arg.o_row,
            b.offset(arg.low, at_low, BF16) if out != "f32" else None, arg.l_row,
        )  # fmt: skip
        with b.loop("panel", 0, across) as panel:
            source = b.offset(values, panel * steps * nr)
            panel_rows(b, "bf16", scores, arg.row, source, steps, count, target, panel * nr,
                       arg.depth_v - panel * nr, sums)  # fmt: skip


def _pack_values(b: KernelBuilder, values: Value, packed: Value) -> None:
    """V (keys, depth_v) as panels of pairs of keys: [panel][keys / 2][NR], missing ones zero."""
    arg, nr = b.arg, width(b.target)
    steps = b.ceil_div(arg.keys, 2)
    nothing = b.constant(0, b.i32)
    with b.loop("panel", 0, b.ceil_div(arg.depth_v, nr)) as panel:
        target = b.offset(packed, panel * steps * nr)
        for j in range(b.target.vectors):
            column = panel * nr + j * b.lanes
            mask = b.tail_mask(arg.depth_v - column, b.f32)

            def bits(key: Value, column: Value = column, mask: Value = mask) -> Value:
                row = b.load(values, key * arg.v_row + column, I16.of(b.lanes), mask)
                return b.zero_extend(row, I32)

            with b.loop("step", 0, steps) as step:
                second = step * 2 + 1
                inside = second < arg.keys
                upper = bits(b.select(inside, second, step * 2))
                upper = b.select(inside, b.binary("shift_left", upper, 16), nothing)
                b.store(b.binary("or", bits(step * 2), upper), target, step * nr + j * b.lanes)


def _weights(
    b: KernelBuilder, scores: Value, seen: Value, length: Value, added: Value, mask: bool
) -> None:
    """Turn a row of scores into the weights of a softmax over the first `seen` keys, in bf16 from
    the row's beginning: what is written lies before what is still to be read.
    """
    scale = b.arg.scale

    def score(at: Value, lanes: Value | None) -> Value:
        value = b.load(scores, at, b.f32, lanes) * scale
        return value + b.load(added, at, b.f32, lanes) if mask else value

    total = exp_row(b, seen, score, row_max(b, seen, score), scores)
    factor = b.constant(1.0, F32) / total

    def narrow(at: Value, lanes: Value | None) -> None:
        value = b.load(scores, at, b.f32, lanes) * factor
        b.store(b.convert(value, BF16), scores, at, lanes)

    over_vectors(b, seen, narrow)
    nothing = b.constant(0.0, BF16)
    with b.loop("rest", seen, length) as at:
        b.store(nothing, scores, at)
