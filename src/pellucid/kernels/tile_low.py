"""The register tile of products in low precision, and what is done with its sums.

Numbers come in words of 32 bits: a pair of bf16, or four bytes. Along k a row of A is words next to
each other; a panel of B holds, for every word of k, NR words. One `dot` multiplies the pairs (or
fours) of a whole vector and adds them to f32 (or i32) sums.

The rows of a block are divided into tiles of nearly equal heights, so that none is too low to keep
the multipliers busy; there is a function for each height. It leaves its sums in a small scratch,
from which `finish` takes them row by row, whatever the height.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pellucid.kernels.activations import ACTIVATIONS
from pellucid.kernels.kernel import KernelBuilder
from pellucid.kernels.language.builder import Builder, Operand
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, I8, I32, Type
from pellucid.kernels.tile import column_masks, width

PER_WORD = {"bf16": 2, "i8": 4}
"""How many numbers of a kind are in a word."""
_ELEMENTS = {"bf16": BF16, "i8": I8}
_SUMS = {"bf16": F32, "i8": I32}


@dataclass
class Output:
    """Where rows of a result go and what is added to them; rows are so many elements apart. `f32`
    and `bf16` are the results (either may be None), `scales` those of int8: see `gemm_low`.
    """

    f32: Value | None
    f32_row: Operand
    bf16: Value | None
    bf16_row: Operand
    bias: Value | None = None
    residual: Value | None = None
    residual_row: Operand = 0
    residual_kind: str = "f32"
    activation: str = ""
    scales: Scales | None = None


@dataclass
class Scales:
    """x = (u - zero) * scale for rows of A, w = q * scale for columns of B, with the sums of each
    column's q. `step` is 1 if rows have their own, 0 if all share one.
    """

    rows: Value
    zeros: Value
    columns: Value
    sums: Value
    step: Operand


def write_tiles(b: KernelBuilder, kind: str) -> None:
    """Write the functions `tile1` … before the kernel begins."""
    for rows in range(1, b.target.rows + 1):
        a, a_row, panel, steps, out, out_row = b.function(
            f"tile{rows}", "a: ptr, a_row: i64, panel: ptr, steps: i64, out: ptr, out_row: i64"
        )
        _tile(b, kind, rows, (a, a_row, panel, steps, out, out_row))


def _tile(b: Builder, kind: str, rows: int, arguments: tuple[Value, ...]) -> None:
    a, a_row, panel, steps, out, out_row = arguments
    nr, per, sums_type = width(b.target), PER_WORD[kind], _SUMS[kind].of(b.lanes)
    numbers = _ELEMENTS[kind].of(per * b.lanes)
    zero = b.constant(0, sums_type)
    sums = [
        [b.register(zero, f"acc{i}_{j}_") for j in range(b.target.vectors)] for i in range(rows)
    ]
    with b.loop("k", 0, steps) as k:
        columns = [
            b.load(panel, (k * nr + j * b.lanes) * per, numbers) for j in range(b.target.vectors)
        ]
        for i, line in enumerate(sums):
            word = b.broadcast(b.load(a, k + a_row * i, I32), b.lanes)
            word = b.bitcast(word, numbers)
            for total, column in zip(line, columns, strict=True):
                b.set(total, b.dot(word, column, b.get(total)))
    for i, line in enumerate(sums):
        for j, total in enumerate(line):
            b.store(b.get(total), out, out_row * i + j * b.lanes)


def row_tiles(b: Builder, rows: Operand) -> Iterator[tuple[Value, Value]]:
    """Divide rows into tiles of nearly equal heights: the first row and the height of each, inside
    the loop over them.
    """
    count, most = b.i64(rows), b.target.rows
    tiles = b.ceil_div(count, most)
    least, more = count // tiles, count % tiles
    with b.loop("tile", 0, tiles) as tile:
        height = least + b.select(tile < more, b.i64(1), b.i64(0))
        yield tile * least + b.minimum(tile, more), height


def tile_sums(
    b: Builder, height: Value, a: Value, a_row: Operand, panel: Value, steps: Operand, out: Value,
    out_row: Operand,
) -> None:  # fmt: skip
    """Write the sums of one tile of this height, for whole panels of columns."""
    for h in range(b.target.rows, 0, -1):
        with b.when(b.binary("eq", height, h)):
            b.call(f"tile{h}", a, b.i64(a_row), panel, steps, out, b.i64(out_row))


def panel_rows(
    b: KernelBuilder, kind: str, a: Value, a_row: Operand, panel: Value, steps: Operand,
    rows: Operand, out: Output, column: Operand, left: Value, scratch: Value,
) -> None:  # fmt: skip
    """All rows of one panel, whose first column is `column` and of which `left` columns exist.

    `a` and `out` begin at the block's first row; `a_row` and `steps` count words. `scratch` is that
    of `tile_scratch`.
    """
    masks = column_masks(b, left, b.target.vectors)
    for row, height in row_tiles(b, rows):
        start = b.offset(a, row * a_row, I32)
        tile_sums(b, height, start, a_row, panel, steps, scratch, width(b.target))
        _finish(b, kind, out, row, height, column, masks, scratch)


def tile_scratch(b: KernelBuilder) -> Value:
    """Memory for the sums of one tile."""
    return b.stack(4 * b.target.rows * width(b.target))


def _finish(
    b: KernelBuilder, kind: str, out: Output, row: Value, height: Value, column: Operand,
    masks: list[Value], scratch: Value,
) -> None:  # fmt: skip
    change = ACTIVATIONS[out.activation]
    with b.loop("i", 0, height) as i:
        line = row + i
        for j, mask in enumerate(masks):
            at = b.i64(column) + j * b.lanes
            value = b.load(scratch, i * width(b.target) + j * b.lanes, _SUMS[kind].of(b.lanes))
            if out.scales is not None:
                value = _scaled(b, out.scales, value, line, at, mask)
            if out.bias is not None:
                value = value + b.load(out.bias, at, b.f32, mask)
            if out.residual is not None:
                place = line * out.residual_row + at
                element = BF16 if out.residual_kind == "bf16" else F32
                more = b.load(out.residual, place, element.of(b.lanes), mask)
                value = value + b.convert(more, F32)
            value = change(b, value)
            if out.f32 is not None:
                b.store(value, out.f32, line * out.f32_row + at, mask)
            if out.bf16 is not None:
                b.store(b.convert(value, BF16), out.bf16, line * out.bf16_row + at, mask)


def _scaled(
    b: KernelBuilder, scales: Scales, sums: Value, row: Value, at: Value, mask: Value
) -> Value:
    """Sums of (u * q) as the number they stand for: (sum - zero * sum of q) * scales."""
    zero = b.broadcast(b.load(scales.zeros, row * scales.step, I32), b.lanes)
    factor = b.load(scales.columns, at, b.f32, mask) * b.load(scales.rows, row * scales.step, F32)
    centred = sums - zero * b.load(scales.sums, at, b.i32, mask)
    return b.convert(centred, F32) * factor


def element(kind: str) -> Type:
    """The scalar type of numbers of a kind."""
    return _ELEMENTS[kind]
