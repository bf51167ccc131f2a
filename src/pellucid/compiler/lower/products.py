"""Linear layers, batched products and attention."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from pellucid.compiler.graph import Node, Value
from pellucid.compiler.lower.moves import walk
from pellucid.compiler.lower.rules import row_major_place, rule
from pellucid.compiler.plan import Physical, Planner, Ref
from pellucid.kernels.attention import attention
from pellucid.kernels.choose import plan_product, spread_rows
from pellucid.kernels.gemm import gemm, pack_b
from pellucid.kernels.pack import packed_rows
from pellucid.kernels.prepack import linear_weights
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from pellucid.tensor.dtype import float32
from pellucid.tensor.layout import Layout, contiguous


def flat_rows(planner: Planner, physical: Physical) -> tuple[Physical, int, int]:
    """A value as a matrix of its last dimension: where it lies, rows, elements between rows."""
    shape = physical.layout.shape
    rows = physical.layout.numel // shape[-1]
    step = row_step(physical.layout)
    if step is not None:
        return physical, rows, step
    return row_major_place(planner, physical), rows, shape[-1]


def row_step(layout: Layout) -> int | None:
    """Elements from row to row of the last dimension, or None if they are not evenly apart."""
    shape, strides, _ = layout
    outer = [(s, t) for s, t in zip(shape[:-1], strides[:-1], strict=True) if s != 1]
    step = outer[-1][1] if outer else shape[-1]
    regular = all(a[1] == b[1] * b[0] for a, b in pairwise(outer))
    return step if regular and (strides[-1] == 1 or shape[-1] == 1) else None


def apart(planner: Planner, physical: Physical, rows: int, row: int) -> tuple[Physical, int]:
    """A matrix whose rows do not lie a multiple of a page apart: copied if they do."""
    step = spread_rows(row)
    if step == row or rows < current().rows:
        return physical, row
    columns = physical.layout.shape[-1]
    source = Layout((rows, columns), (row, 1), physical.layout.offset)
    out = planner.fresh(Layout((rows, columns), (spread_rows(columns), 1), 0))
    walk(planner, ("identity", ("in", 0)), [Physical(physical.buffer, source, float32)], out,
         "spread rows")  # fmt: skip
    return out, spread_rows(columns)


def product_layout(planner: Planner, node: Node) -> Layout:
    """Row-major; with room between rows if only linear layers read it and want it so."""
    layout = contiguous(node.out.shape)
    readers = planner.readers.get(node.out, [])
    *_, n = node.out.shape
    if spread_rows(n) == n or not readers or node.out in planner.kept_values:
        return layout
    for reader in readers:
        if reader.op != "linear" or [v for v in reader.inputs() if v is node.out] != [node.out]:
            return layout
        if reader.args[0] is not node.out:
            return layout
    strides = [1, spread_rows(n)]
    for size in node.out.shape[-2:0:-1]:
        strides.append(strides[-1] * size)
    return Layout(layout.shape, tuple(strides[::-1][-len(layout.shape) :]), 0)


def bias_ref(planner: Planner, value: Any) -> Any:
    return 0 if value is None else row_major_place(planner, planner.place(value)).ref()


@rule("linear")
def lower_linear(planner: Planner, node: Node) -> Physical | None:
    """x W^T + bias, + residual, activation. Weights are packed once, while the plan is made."""
    x, weight, *rest = node.args
    bias = rest[0] if rest else node.settings.get("bias")
    if not weight.constant or any(v.dtype is not float32 for v in (x, weight)):
        return None
    n, k = weight.shape if len(weight.shape) == 2 else (0, 0)
    if not n or not k or len(x.shape) < 1:
        return None
    a, m, lda = flat_rows(planner, planner.place(x))
    a, lda = apart(planner, a, m, lda)
    panels = -(-n // width(current()))
    packed = planner.packed(
        weight, ("linear",), lambda: linear_weights(weight.traced.detach()._array)
    )
    layout = product_layout(planner, node)
    out = planner.fresh(layout)
    ldc = layout.strides[-2] if len(layout.shape) > 1 else n
    residual, residual_row = node.extra.get("residual"), 0
    place: Any = 0
    if residual is not None:
        found, _, residual_row = flat_rows(planner, planner.place(residual))
        place = found.ref()
    mc, nc, kc = plan_product(m, panels, k, planner.threads)
    kernel = gemm(
        packed=True, unit=True, bias=bias is not None, residual=residual is not None,
        activation=node.extra.get("activation", ""), cut=kc < k,
    )  # fmt: skip
    planner.step(
        "linear" + suffix(node), kernel,
        [a.ref(), packed, out.ref(), bias_ref(planner, bias), place, m, n, k, lda, 1, 0,
         ldc, residual_row, 1, 0, 0, 0, mc, nc, kc],
        f"{m}x{n}x{k}", 2.0 * m * n * k, 4.0 * (m * k + n * k + m * n),
    )  # fmt: skip
    return out


def suffix(node: Node) -> str:
    parts = ["residual"] if "residual" in node.extra else []
    parts += [node.extra["activation"]] if node.extra.get("activation") else []
    return "".join(f" + {part}" for part in parts)


@rule("bmm", "mm")
def lower_bmm(planner: Planner, node: Node) -> Physical | None:
    """Batched products; B is packed first if it is used for many rows or its columns lie apart."""
    x, y = node.args
    if x.dtype is not float32 or y.dtype is not float32 or node.settings:
        return None
    places = [_three(planner.place(v)) for v in (x, y)]
    a, b = (p.layout for p in places)
    (batch, m, k), n = a.shape, b.shape[2]
    if not k:
        return None
    out = planner.fresh(contiguous(node.out.shape))
    unit = a.strides[2] == 1 or k == 1
    packs = m > 8 or (b.strides[2] != 1 and n > 1)
    panels = -(-n // width(current()))
    source: Any = places[1].ref()
    step = b.strides[0]
    if packs and y.constant:
        arrays = y.traced.detach()._array.reshape(b.shape)
        source, step = (
            planner.packed(y, ("rows", b.shape), lambda: packed_rows(arrays)),
            panels * k * width(current()),
        )
    elif packs:
        step = panels * k * width(current())
        buffer = planner.buffer(4 * batch * step)
        planner.step(
            "pack", pack_b(unit=b.strides[2] == 1),
            [source, Ref(buffer), k, n, b.strides[1], b.strides[2], batch, b.strides[0], step],
            f"{batch}x{k}x{n}", nbytes=8.0 * batch * k * n,
        )  # fmt: skip
        source = Ref(buffer)
    mc, nc, kc = plan_product(m, panels, k, planner.threads)
    nc = panels if batch >= planner.threads else nc
    planner.step(
        "matmul", gemm(packed=packs, unit=unit, cut=kc < k),
        [places[0].ref(), source, out.ref(), 0, 0, m, n, k, a.strides[1], a.strides[2],
         b.strides[1], n, 0, batch, a.strides[0], step, m * n, mc, nc, kc],
        f"{batch}x{m}x{n}x{k}", 2.0 * batch * m * n * k,
        4.0 * batch * (m * k + k * n + m * n),
    )  # fmt: skip
    return out


def _three(physical: Physical) -> Physical:
    """A matrix as a batch of one."""
    shape, strides, offset = physical.layout
    if len(shape) == 3:
        return physical
    return Physical(physical.buffer, Layout((1, *shape), (0, *strides), offset), physical.dtype)


@rule("attend")
def lower_attend(planner: Planner, node: Node) -> Physical | None:
    """Attention over views of whatever holds queries, keys and values; the result lies
    (batch, queries, heads, depth), as the next linear layer wants it.
    """
    q, k, v, mask, scale, causal = (*node.args, *[None] * 6)[:6]
    if not isinstance(scale, float) or node.settings or len(node.args) != 6:
        return None
    if any(len(t.shape) != 4 or t.dtype is not float32 for t in (q, k, v)):
        return None
    if mask is not None and (len(mask.shape) > 4 or mask.dtype is not float32):
        return None
    places = [_unit_rows(planner, planner.place(t)) for t in (q, k, v)]
    batch, heads, queries, depth = q.shape
    keys, depth_v = k.shape[2], v.shape[3]
    if k.shape[1] != heads or not keys:
        return None
    memory = contiguous((batch, queries, heads, depth_v))
    strides = (memory.strides[0], memory.strides[2], memory.strides[1], 1)
    out = planner.fresh(Layout((batch, heads, queries, depth_v), strides, 0))
    masked, mask_strides = attention_mask(planner, mask, (batch, heads, queries, keys))
    nr = width(current())
    block = min(queries, 32 * current().rows)
    room = -(-keys // nr) * nr * (depth + block)
    scratch = planner.buffer(4 * room * planner.threads)
    strided = [s for p in (*places, out) for s in p.layout.strides[:3]]
    planner.step(
        "attention", attention(mask=mask is not None, causal=bool(causal)),
        [*(p.ref() for p in places), out.ref(), masked, Ref(scratch), batch, heads, queries, keys,
         depth, depth_v, *strided, *mask_strides, block, room, 0, scale],
        f"{batch}x{heads}x{queries}x{keys}x{depth}",
        2.0 * batch * heads * queries * keys * (depth + depth_v),
        4.0 * (2 * q.numel + k.numel + v.numel),
    )  # fmt: skip
    return out


def _unit_rows(planner: Planner, physical: Physical) -> Physical:
    if physical.layout.strides[-1] == 1 or physical.layout.shape[-1] == 1:
        return physical
    return row_major_place(planner, physical)


def attention_mask(
    planner: Planner, mask: Value | None, shape: tuple[int, ...]
) -> tuple[Any, list[int]]:
    """A mask's address and its strides for batch, head and query; broadcast ones are 0."""
    if mask is None:
        return 0, [0, 0, 0]
    physical = planner.place(mask)
    sizes, strides, offset = physical.layout
    more = 4 - len(sizes)
    layout = Layout((1,) * more + sizes, (0,) * more + strides, offset)
    physical = Physical(physical.buffer, layout, physical.dtype)
    if physical.layout.shape[-1] != shape[-1] or physical.layout.strides[-1] != 1:
        full = planner.fresh(contiguous((*physical.layout.shape[:-1], shape[-1])))
        walk(planner, ("identity", ("in", 0)), [physical], full, "copy")
        physical = full
    pairs = zip(physical.layout.shape[:3], physical.layout.strides[:3], strict=True)
    return physical.ref(), [0 if size == 1 else stride for size, stride in pairs]
