"""Pieces that several kernels share: runs of elements as vectors, transposes, layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.builder import Builder, Operand
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32, I8, parse

Body = Callable[[Value, Value | None], None]


def over_vectors(b: Builder, count: Operand, body: Body, start: Operand = 0) -> None:
    """Call `body(at, mask)` for each whole vector of [start, count), then, masked, for the rest."""
    first, last = b.i64(start), b.i64(count)
    whole = first + (last - first) // b.lanes * b.lanes
    with b.loop("v", first, whole, b.lanes) as at:
        body(at, None)
    if b.lanes > 1:
        with b.when(b.binary("lt", whole, last)):
            body(whole, b.tail_mask(last - whole, b.f32))


@contextmanager
def chosen(b: Builder, condition: Value) -> Iterator[None]:
    """`when`, for conditions that are known while the program is written."""
    if condition.constant is not None:
        if condition.constant:
            yield
        return
    with b.when(condition):
        yield


def transpose(b: Builder, rows: list[Value]) -> list[Value]:
    """The lanes x lanes transpose of as many vectors: exchange halves, quarters, …"""
    lanes, rows = len(rows), list(rows)
    step = 1
    while step < lanes:
        low = [lane if not lane & step else lanes + lane - step for lane in range(lanes)]
        high = [lane + step if not lane & step else lanes + lane for lane in range(lanes)]
        for i in range(lanes):
            if not i & step:
                a, c = rows[i], rows[i + step]
                rows[i], rows[i + step] = b.shuffle(a, c, low), b.shuffle(a, c, high)
        step *= 2
    return rows


@kernel("x: ptr, out: ptr, n: i64")
def move_bytes(b: KernelBuilder) -> None:
    """Copy n bytes."""
    b.begin()
    chunk, kind = 4096, I8.of(b.lanes)
    start, stop = b.share(b.ceil_div(b.arg.n, chunk))
    over_vectors(
        b, b.minimum(stop * chunk, b.arg.n),
        lambda at, mask: b.store(b.load(b.arg.x, at, kind, mask), b.arg.out, at, mask),
        start * chunk,
    )  # fmt: skip


@kernel("x: ptr, out: ptr, n: i64")
def numbers_of(b: KernelBuilder, *, kind: str) -> None:
    """n integers of a kind, as float32."""
    b.begin()
    chunk, type = 1024, parse(kind).of(b.lanes)
    start, stop = b.share(b.ceil_div(b.arg.n, chunk))

    def body(at: Value, mask: Value | None) -> None:
        b.store(b.convert(b.load(b.arg.x, at, type, mask), F32), b.arg.out, at, mask)

    over_vectors(b, b.minimum(stop * chunk, b.arg.n), body, start * chunk)


@kernel("x: ptr, out: ptr, batch: i64, m: i64, n: i64, x_row: i64, out_row: i64, x_step: i64, "
        "out_step: i64")  # fmt: skip
def swap_axes(b: KernelBuilder) -> None:
    """Transpose `batch` matrices: x (m, n), rows x_row apart, into out (n, m), rows out_row apart.

    Blocks of lanes x lanes are transposed in registers; what is left over goes number by number.
    """
    b.begin()
    arg, lanes = b.arg, b.lanes
    blocks = b.ceil_div(arg.n, lanes)
    start, stop = b.share(arg.batch * blocks)
    with b.loop("item", start, stop) as item:
        entry, column = item // blocks, item % blocks * lanes
        x = b.offset(arg.x, entry * arg.x_step + column)
        out = b.offset(arg.out, entry * arg.out_step + column * arg.out_row)
        width = b.minimum(arg.n - column, lanes)
        whole = b.register(b.i64(0), "whole")
        with b.when(b.binary("eq", width, lanes)):
            b.set(whole, arg.m // lanes * lanes)
            with b.loop("i", 0, b.get(whole), lanes) as i:
                rows = [b.load(x, (i + r) * arg.x_row, b.f32) for r in range(lanes)]
                for r, row in enumerate(transpose(b, rows)):
                    b.store(row, out, i + arg.out_row * r)
        with b.loop("i", b.get(whole), arg.m) as i, b.loop("j", 0, width) as j:
            b.store(b.load(x, i * arg.x_row + j, b.f32.scalar), out, j * arg.out_row + i)
