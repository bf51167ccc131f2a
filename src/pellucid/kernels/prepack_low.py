"""Weights of plans in low precision: from panels of floats to panels of words, by the threads."""

from __future__ import annotations

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import BF16, F32, I16, I32
from pellucid.kernels.pack import aligned, packed_rows
from pellucid.kernels.prepack import linear_weights
from pellucid.kernels.target import current
from pellucid.kernels.tile import width

_MOST = 127.0


def _row(b: KernelBuilder, panel: Value, k: Value, j: int) -> Value:
    """Floats of row k of a panel of `arg.k` rows, zero after the last."""
    inside = k < b.arg.k
    at = b.select(inside, k, 0) * width(b.target) + j * b.lanes
    return b.select(inside, b.load(panel, at, b.f32), 0.0)


@kernel("x: ptr, out: ptr, panels: i64, k: i64")
def pair_panels(b: KernelBuilder) -> None:
    """Panels (panel, k, NR) of floats as panels (panel, k / 2, NR) of pairs of bf16."""
    b.begin()
    arg, nr = b.arg, width(b.target)
    steps = b.ceil_div(arg.k, 2)
    start, stop = b.share(arg.panels)
    with b.loop("panel", start, stop) as panel, b.loop("step", 0, steps) as step:
        x = b.offset(arg.x, panel * arg.k * nr)
        for j in range(b.target.vectors):
            low, high = (
                b.bitcast(b.convert(_row(b, x, step * 2 + i, j), BF16), I16.of(b.lanes))
                for i in range(2)
            )
            upper = b.binary("shift_left", b.zero_extend(high, I32), 16)
            word = b.binary("or", b.zero_extend(low, I32), upper)
            b.store(word, arg.out, (panel * steps + step) * nr + j * b.lanes)


@kernel("x: ptr, out: ptr, scale: ptr, sums: ptr, panels: i64, k: i64")
def quantise_panels(b: KernelBuilder) -> None:
    """Panels (panel, k, NR) of floats as panels (panel, k / 4, NR) of fours of bytes -127 … 127,
    with a scale for each column and the sum of its bytes.
    """
    b.begin()
    arg, nr = b.arg, width(b.target)
    steps = b.ceil_div(arg.k, 4)
    start, stop = b.share(arg.panels)
    with b.loop("panel", start, stop) as panel:
        x = b.offset(arg.x, panel * arg.k * nr)
        for j in range(b.target.vectors):
            largest = b.register(b.broadcast(b.constant(0.0, F32), b.lanes), "largest")
            with b.loop("k", 0, arg.k) as k:
                size = b.unary("abs", b.load(x, k * nr + j * b.lanes, b.f32))
                b.set(largest, b.maximum(b.get(largest), size))
            top = b.get(largest)
            top = b.select(b.binary("gt", top, 1e-36), top, _MOST)
            inverse = b.value(_MOST, b.f32) / top
            total = b.register(b.constant(0, b.i32), "total")
            with b.loop("step", 0, steps) as step:
                word = b.constant(0, b.i32)
                for i in range(4):
                    value = b.unary("round", _row(b, x, step * 4 + i, j) * inverse)
                    whole = b.convert(b.minimum(b.maximum(value, -_MOST), _MOST), I32)
                    b.set(total, b.get(total) + whole)
                    byte = b.binary("shift_left", b.binary("and", whole, 255), 8 * i)
                    word = b.binary("or", word, byte)
                b.store(word, arg.out, (panel * steps + step) * nr + j * b.lanes)
            b.store(top * (1 / _MOST), arg.scale, panel * nr + j * b.lanes)
            b.store(b.get(total), arg.sums, panel * nr + j * b.lanes)


def paired(panels: np.ndarray, k: int) -> np.ndarray:
    """Panels of k rows of floats, in any number, as pairs of bf16."""
    count = panels.size // (k * width(current()))
    out = aligned(count * -(-k // 2) * width(current()))
    pool.run(pair_panels(), panels.ctypes.data, out.ctypes.data, count, k)
    return out


def quantised(panels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Panels of k rows of floats as fours of bytes; the scales and sums of their columns."""
    nr = width(current())
    count = panels.size // (k * nr)
    out, scale, sums = aligned(count * -(-k // 4) * nr), aligned(count * nr), aligned(count * nr)
    pool.run(quantise_panels(), *[each.ctypes.data for each in (panels, out, scale, sums)], count,
             k)  # fmt: skip
    return out, scale, sums.view(np.int32)


def linear_panels(w: np.ndarray) -> np.ndarray:
    """W^T (k, n) of a linear layer as panels of floats."""
    return linear_weights(w.T) if w.flags.f_contiguous else packed_rows(w)
