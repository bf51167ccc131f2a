"""The register tile of matrix products, which convolution and attention use too.

`rows` x `vectors` accumulators stay in vector registers over the whole sum over k. Each step loads
one row of B's panel (`vectors` vectors) and, for every row of the tile, one number of A, which is
broadcast: rows * vectors multiply-adds for rows + vectors loads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pellucid.kernels.language.builder import Builder, Operand
from pellucid.kernels.language.nodes import Register, Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.target import Target

Grid = list[list[Value]]
"""A tile's values by row and vector."""


def width(target: Target) -> int:
    """Columns of a panel of B, NR."""
    return target.vectors * target.lanes


def heights(target: Target) -> list[int]:
    """Row counts of tiles: the full height, then powers of two for what is left."""
    found, power = [target.rows], 1 << (target.rows.bit_length() - 1)
    while power:
        if power < target.rows:
            found.append(power)
        power >>= 1
    return found


@dataclass
class Panel:
    """Columns of B: where they start and elements from one k to the next. `masks` is None for a
    packed panel, which has all its columns; for columns in place it holds the masks of the vectors.
    """

    pointer: Value
    stride: Operand
    masks: Sequence[Value] | None = None


def multiply(
    b: Builder, rows: int, vectors: int, a: Callable[[int, Value], Value], panel: Panel, k: Operand
) -> Grid:
    """The sums over k of a tile. `a(row, k)` gives the broadcast number of A."""
    zero = b.broadcast(b.constant(0.0, F32), b.lanes)
    sums = [[b.register(zero, f"acc{i}_{j}_") for j in range(vectors)] for i in range(rows)]
    with b.loop("k", 0, k) as step:
        at = step * panel.stride
        columns = [
            b.load(panel.pointer, at + j * b.lanes, b.f32, panel.masks[j] if panel.masks else None)
            for j in range(vectors)
        ]
        for i in range(rows):
            number = a(i, step)
            for j in range(vectors):
                b.set(sums[i][j], b.fma(number, columns[j], b.get(sums[i][j])))
    return [[b.get(r) for r in row] for row in sums]


def row_tiles(
    b: Builder, start: Operand, stop: Operand, rows: Sequence[int] | None = None
) -> Iterator[tuple[int, Value]]:
    """Cover [start, stop) by tiles: yields each height with the first row of a tile, inside the
    loop that runs over such tiles.
    """
    begin, end = b.i64(start), b.i64(stop)
    for height in rows or heights(b.target):
        count = (end - begin) // height
        with b.loop(f"m{height}_", 0, count) as tile:
            yield height, begin + tile * height
        begin = begin + count * height


def column_masks(b: Builder, left: Value, vectors: int) -> list[Value]:
    """Masks of the vectors of a panel of which `left` columns exist."""
    return [b.tail_mask(left - j * b.lanes, b.f32) for j in range(vectors)]


def store_tile(
    b: Builder, values: Grid, pointer: Value, stride: Operand, masks: Sequence[Value] | None
) -> None:
    """Write a tile; rows are `stride` elements apart."""
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            at = b.i64(stride) * i + j * b.lanes
            b.store(value, pointer, at, masks[j] if masks else None)


def keep(b: Builder, values: Grid, name: str = "kept") -> list[list[Register]]:
    """Registers that hold a tile, so that branches can change it."""
    return [[b.register(v, f"{name}{i}_{j}_") for j, v in enumerate(row)]
            for i, row in enumerate(values)]  # fmt: skip


def values_of(b: Builder, registers: list[list[Register]]) -> Grid:
    """What the registers of a tile hold."""
    return [[b.get(r) for r in row] for row in registers]


def put(b: Builder, registers: list[list[Register]], values: Grid) -> None:
    """Set the registers of a tile."""
    for row, line in zip(registers, values, strict=True):
        for register, value in zip(row, line, strict=True):
            b.set(register, value)
