"""Attention on queries, keys and values in bf16, which the layers before it write so."""

from __future__ import annotations

from typing import Any

from pellucid.compiler.graph import Node, Value
from pellucid.compiler.lower.low import PAIR, attends_low, rounded, wanted
from pellucid.compiler.lower.products import attention_mask
from pellucid.compiler.lower.rules import low_rule
from pellucid.compiler.plan import Physical, Planner, Ref
from pellucid.kernels.attention_low import attention_low
from pellucid.kernels.choose_low import spread_words
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from pellucid.tensor.dtype import bfloat16
from pellucid.tensor.layout import Layout, contiguous


@low_rule("bfloat16", "attend")
def lower_attend(planner: Planner, node: Node) -> bool:
    """Attention whose result lies (batch, queries, heads, depth), as the next layer wants it."""
    if not attends_low(node):
        return False
    q, k, v, mask, scale, causal = node.args
    places = [_rows(planner, value) for value in (q, k, v)]
    batch, heads, queries, depth = q.shape
    keys, depth_v = k.shape[2], v.shape[3]
    masked, mask_strides = attention_mask(planner, mask, (batch, heads, queries, keys))
    result = wanted(planner, node.out, depth_v)
    refs: list[Any] = []
    strided: list[int] = []
    for kind, row in (("f32", heads * depth_v), ("bf16", _spread(heads * depth_v))):
        memory = contiguous((batch, queries, row)).strides
        strides = (memory[0], depth_v, memory[1], 1)
        layout = Layout((batch, heads, queries, depth_v), strides, 0)
        strided += strides[:3]
        if result not in (kind, "both"):
            refs.append(0)
            continue
        if kind == "f32":
            place = planner.places[node.out] = planner.fresh(layout)
        else:
            place = planner.low[node.out] = planner.fresh(layout, bfloat16)
        refs.append(place.ref())
    nr, block = width(current()), min(queries, 32 * current().rows)
    row = spread_words(-(-keys // nr) * nr)
    packed = -(-keys // nr) * nr * depth // PAIR + -(-depth_v // nr) * nr * -(-keys // PAIR)
    room = packed + block * row
    scratch = planner.buffer(4 * room * planner.threads)
    given = [s for p in places for s in p.layout.strides[:3]]
    planner.step(
        "attention bf16", attention_low(mask=mask is not None, causal=bool(causal), out=result),
        [*(p.ref() for p in places), *refs, masked, Ref(scratch), batch, heads, queries, keys,
         depth, depth_v, *given, *strided, *mask_strides, block, row, room, scale],
        f"{batch}x{heads}x{queries}x{keys}x{depth}",
        2.0 * batch * heads * queries * keys * (depth + depth_v),
        2.0 * (2 * q.numel + k.numel + v.numel),
    )  # fmt: skip
    return True


def _spread(row: int) -> int:
    return PAIR * spread_words(row // PAIR) if row % PAIR == 0 else row


def _rows(planner: Planner, value: Value) -> Physical:
    """Where a value lies in bf16, in rows of whole words, rounded if it does not."""
    low = planner.low.get(value)
    if low is not None:
        *steps, last = low.layout.strides
        if last == 1 and not any(s % PAIR for s in (low.layout.offset, *steps)):
            return low
    return rounded(planner, value)
