"""Contractions of two arrays on kernels, one call at a time: what eager operators use."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.choose import plan_product, spread_rows
from pellucid.kernels.contraction import dot_rows, pack_scattered
from pellucid.kernels.gemm import gemm
from pellucid.kernels.scratch import scratch
from pellucid.kernels.target import current
from pellucid.kernels.tile import width

Ints = tuple[int, ...]
Group = tuple[Ints, Ints]
"""The sizes of some letters and their strides in elements."""

"""Rows of a panel of B that are used at a time: 16 KiB, half an L1 cache."""
_ROWS = 168
_PANELS = 16
_STARTS = 32
"""Calls of `gemm` above which a copy of the left operand costs less."""


class Offsets(NamedTuple):
    """Where the elements of a group lie (int64), and for each whole vector of them how many come
    before the second run of neighbours: all, if it is one run; 0, if there are more than two.
    """

    at: np.ndarray
    runs: np.ndarray


@lru_cache(maxsize=32)
def offsets(group: Group) -> Offsets:
    """The offsets of all places of a group of letters, the last letter fastest."""
    at = np.zeros(1, np.int64)
    for size, stride in zip(*group, strict=True):
        at = (at[:, None] + np.arange(size, dtype=np.int64) * stride).reshape(-1)
    lanes = current().lanes
    whole = at[: len(at) // lanes * lanes].reshape(-1, lanes)
    breaks = np.diff(whole, axis=1) != 1
    number, place = breaks.sum(axis=1), breaks.argmax(axis=1) + 1 if lanes > 1 else 1
    runs = np.where(number == 0, lanes, np.where(number == 1, place, 0))
    return Offsets(at, runs.astype(np.int64))


def merged(group: Group) -> int | None:
    """The one stride that a group has if its letters lie like one; None if they do not."""
    parts = [(size, stride) for size, stride in zip(*group, strict=True) if size != 1]
    if not parts:
        return 0
    regular = all(a[1] == b[1] * b[0] for a, b in pairwise(parts))
    return parts[-1][1] if regular else None


def count(group: Group) -> int:
    """How many places a group of letters has."""
    return int(np.prod(group[0], dtype=np.int64))


def _at(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def _pack(
    name: str, source: np.ndarray, batch: Group, rows: Group, columns: Group, wide: int
) -> np.ndarray:  # fmt: skip
    """Panels [batch][columns / wide][rows][wide] of an operand."""
    step = -(-count(columns) // wide) * wide * count(rows)
    out = scratch(name, count(batch) * step)
    first, down, right = offsets(batch), offsets(rows), offsets(columns)
    pool.run(pack_scattered(), _at(source), _at(out), _at(first.at), _at(down.at), _at(right.at),
             _at(down.runs), _at(right.runs), count(batch), count(rows), count(columns), wide,
             step)  # fmt: skip
    return out


class Operand(NamedTuple):
    """An array with its letters in groups: the batch, its own letters, the summed ones."""

    array: np.ndarray
    batch: Group
    own: Group
    summed: Group


def multiply(left: Operand, right: Operand, out: np.ndarray) -> None:
    """Sum over the summed letters into contiguous `out` (batch, left's own, right's own)."""
    batch, m, n, k = count(left.batch), count(left.own), count(right.own), count(left.summed)
    nr, lanes = width(current()), current().lanes
    source, loop = left.array, _loop(left)
    if loop is None:
        row = spread_rows(-(-k // lanes) * lanes)
        source = _pack("left", left.array, left.batch, left.own, left.summed, row)
        loop = _Loop(np.zeros(1, np.int64), batch, m * row, row, 1)
    packed = _pack("right", right.array, right.batch, right.summed, right.own, nr)
    panels = -(-n // nr)
    mc = min(m, _ROWS // current().rows * current().rows or 1)
    units = loop.matrices * -(-m // mc)
    nc = max(min(panels, _PANELS), 1) if units >= 2 * pool.num_threads() else 1
    kc = plan_product(m, panels, k, pool.num_threads()).kc
    kernel = gemm(packed=True, unit=loop.next_k == 1, cut=kc < k)
    for number, start in enumerate(loop.starts.tolist()):
        first = number * loop.matrices
        pool.run(kernel, _at(source) + 4 * start, _at(packed) + 4 * first * panels * k * nr,
                 _at(out) + 4 * first * m * n, 0, 0, m, n, k, loop.next_row, loop.next_k, 0, n, 0,
                 loop.matrices, loop.step, panels * k * nr, m * n, mc, nc, kc)  # fmt: skip


class _Loop(NamedTuple):
    """How `gemm` walks over the left operand: from each of `starts` over `matrices`."""

    starts: np.ndarray
    matrices: int
    step: int
    next_row: int
    next_k: int


def _loop(left: Operand) -> _Loop | None:
    """The way over the left operand as it lies, or None if it must be packed."""
    next_row, next_k = merged(left.own), merged(left.summed)
    if next_row is None or next_k is None or 1 not in (next_row, next_k):
        return None
    sizes, strides = left.batch
    for outer in range(len(sizes) + 1):
        step = merged((sizes[outer:], strides[outer:]))
        if step is not None:
            starts = offsets((sizes[:outer], strides[:outer])).at
            inner = count((sizes[outer:], strides[outer:]))
            return _Loop(starts, inner, step, next_row, next_k) if len(starts) <= _STARTS else None
    return None


def dots(left: Operand, right: Operand, out: np.ndarray) -> None:
    """`multiply` of operands without letters of their own, whose summed letters have stride 1."""
    first, second = offsets(left.batch), offsets(right.batch)
    pool.run(dot_rows(), _at(left.array), _at(right.array), _at(out), _at(first.at),
             _at(second.at), count(left.batch), count(left.summed))  # fmt: skip
