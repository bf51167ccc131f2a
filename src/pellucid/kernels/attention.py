"""Scaled dot-product attention: softmax(Q K^T * scale + mask) V, one head after the other.

A thread takes a head and a block of its queries. K^T is packed into panels once per head and
thread, the scores of the block stay in a scratch, rows are turned into weights e^(s - max), and the
sums over V are divided at the end by the sum of the weights (Vaswani et al. 2017, equation 1).
"""

from __future__ import annotations

from pellucid.kernels.gemm import Product, product_rows
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.pointwise import OPERATIONS
from pellucid.kernels.rows import exp_row, row_max
from pellucid.kernels.tile import Panel, width
from pellucid.kernels.vectors import over_vectors, transpose


@kernel(
    "q: ptr, k: ptr, v: ptr, out: ptr, mask: ptr, scratch: ptr, batch: i64, heads: i64, "
    "queries: i64, keys: i64, depth: i64, depth_v: i64, q_batch: i64, q_head: i64, q_row: i64, "
    "k_batch: i64, k_head: i64, k_row: i64, v_batch: i64, v_head: i64, v_row: i64, "
    "o_batch: i64, o_head: i64, o_row: i64, m_batch: i64, m_head: i64, m_row: i64, block: i64, "
    "room: i64, logs: ptr, scale: f32"
)
def attention(b: KernelBuilder, *, mask: bool, causal: bool, logs: bool = False) -> None:
    """Queries (batch, heads, queries, depth), keys and values of `keys` rows, strides in elements.

    `mask` is added to the scores. With `causal` query i sees keys up to i. A thread has `room`
    floats of scratch: packed keys, then `block` rows of scores. With `logs` the logarithms of the
    sums of e^score go to `logs` (batch, heads, queries), and a query that sees no key gives zeros.
    """
    b.begin()
    arg, nr = b.arg, width(b.target)
    panels = b.ceil_div(arg.keys, nr)
    packed = b.offset(arg.scratch, b.thread * arg.room)
    scores = b.offset(packed, panels * nr * arg.depth)
    row_length = panels * nr
    blocks = b.ceil_div(arg.queries, arg.block)
    known = b.register(b.i64(-1), "known")
    with b.units(arg.batch * arg.heads * blocks) as unit:
        head, part = unit // blocks, unit % blocks
        entry, number = head // arg.heads, head % arg.heads
        keys = b.offset(arg.k, entry * arg.k_batch + number * arg.k_head)
        values = b.offset(arg.v, entry * arg.v_batch + number * arg.v_head)
        with b.when(b.binary("ne", head, b.get(known))):
            pack_keys(b, keys, packed, arg.keys, arg.depth, arg.k_row)
        b.set(known, head)
        top = part * arg.block
        count = b.minimum(arg.block, arg.queries - top)
        queries = b.offset(arg.q, entry * arg.q_batch + number * arg.q_head + top * arg.q_row)
        product = Product(queries, arg.q_row, 1, scores, row_length)
        with b.loop("panel", 0, panels) as panel:
            source = Panel(b.offset(packed, panel * arg.depth * nr), nr)
            product_rows(b, product, source, (0, count), panel * nr, None, arg.depth)
        added = b.offset(arg.mask, entry * arg.m_batch + number * arg.m_head)
        with b.loop("row", 0, count) as row:
            seen = b.minimum(top + row + 1, arg.keys) if causal else arg.keys
            _weights(
                b,
                b.offset(scores, row * row_length),
                seen,
                row_length,
                b.offset(added, (top + row) * arg.m_row),
                mask,
                b.offset(arg.logs, head * arg.queries + top + row) if logs else None,
            )
        out = b.offset(arg.out, entry * arg.o_batch + number * arg.o_head + top * arg.o_row)
        product = Product(scores, row_length, 1, out, arg.o_row)
        across = b.ceil_div(arg.depth_v, nr)
        with b.loop("panel", 0, across) as panel:
            source = Panel(b.offset(values, panel * nr), arg.v_row, [])
            left = arg.depth_v - panel * nr
            product_rows(b, product, source, (0, count), panel * nr, left, arg.keys)


def pack_keys(
    b: KernelBuilder, keys: Value, packed: Value, count: Value, depth: Value, row: Value
) -> None:
    """K (count, depth), rows `row` apart, as panels of K^T: [panel][depth][NR], keys that do not
    exist are zero. Floats, or other words of 32 bits.
    """
    nr = width(b.target)
    with b.loop("panel", 0, b.ceil_div(count, nr)) as panel:
        target = b.offset(packed, panel * depth * nr)
        for j in range(b.target.vectors):
            first = panel * nr + j * b.lanes
            whole = b.register(b.i64(0), "whole")
            with b.when(b.binary("le", first + b.lanes, count)):
                b.set(whole, depth // b.lanes * b.lanes)
                with b.loop("d", 0, b.get(whole), b.lanes) as d:
                    rows = [b.load(keys, (first + r) * row + d, b.f32) for r in range(b.lanes)]
                    for r, column in enumerate(transpose(b, rows)):
                        b.store(column, target, (d + r) * nr + j * b.lanes)
            with b.loop("d", b.get(whole), depth) as d:
                for lane in range(b.lanes):
                    inside = b.binary("lt", first + lane, count)
                    at = b.select(inside, (first + lane) * row + d, d)
                    number = b.select(inside, b.load(keys, at, F32), 0.0)
                    b.store(number, target, d * nr + j * b.lanes + lane)


def _weights(
    b: KernelBuilder, scores: Value, seen: Value, length: Value, added: Value, mask: bool,
    log: Value | None,
) -> None:  # fmt: skip
    """Turn a row of scores into the weights of a softmax over the first `seen` keys."""
    arg = b.arg

    def score(at: Value, lanes: Value | None) -> Value:
        value = b.load(scores, at, b.f32, lanes) * arg.scale
        return value + b.load(added, at, b.f32, lanes) if mask else value

    top = row_max(b, seen, score)
    # A row that sees no key at all has weights 0 / 0, as in PyTorch; e^(-inf + inf) gives NaN too.
    blind = b.binary("eq", top, float("-inf"))
    if log is not None:
        top = b.select(blind, 0.0, top)
    total = exp_row(b, seen, score, top, scores)
    if log is not None:
        sums = OPERATIONS["log"](b, total) + top
        b.store(b.select(blind, float("inf"), sums), log, 0)
        total = b.select(blind, 1.0, total)
    factor = b.constant(1.0, F32) / total
    over_vectors(
        b, seen,
        lambda at, lanes: b.store(b.load(scores, at, b.f32, lanes) * factor, scores, at, lanes),
    )  # fmt: skip
    zero = b.constant(0.0, F32)
    with b.loop("rest", seen, length) as at:
        b.store(zero, scores, at)
