"""`blocked`: long chains of array operations, cut into blocks that stay in the processor's cache.

`gelu` takes a dozen passes over its input. Over 4 million numbers each pass reads from and writes
to main memory; over 16 thousand, the passes after the first find their numbers in the cache, and
temporaries are reused instead of mapped anew.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops import native

BLOCK = 16384
"""Elements in a block.

64 KiB of float32, so that a few arrays fit the second-level cache together.
"""


def blocked(compute: Callable[..., None], name: str = "") -> Callable[..., None]:
    """`compute(*operands, out, **settings)` for one block after another, or, where `native` says so
    of the operator `name`, on kernels.

    Arrays that do not lie one element after the other are computed at once, as are operands that
    broadcast. `compute` never sees 0-dim arrays: NumPy's results on those are numbers, which cannot
    be written to.
    """

    @functools.wraps(compute)
    def run(*arrays: Any, **settings: Any) -> None:
        arrays = tuple(
            [a.reshape(1) if isinstance(a, np.ndarray) and not a.shape else a for a in arrays]
        )
        out = arrays[-1]
        size = out.size
        if name and size >= native.HEAVY and native.maps(name, arrays[:-1], out, settings):
            return
        if size < 2 * BLOCK or not all(_in_order(array, out) for array in arrays):
            compute(*arrays, **settings)
            return
        flat = [
            a.reshape(-1, order="A") if isinstance(a, np.ndarray) and a.shape == out.shape else a
            for a in arrays
        ]
        for start in range(0, size, BLOCK):
            stop = start + BLOCK
            compute(
                *[
                    a[start:stop] if isinstance(a, np.ndarray) and a.size == size else a
                    for a in flat
                ],
                **settings,
            )

    return run


def threaded(compute: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`compute`, which goes over its operands once, or kernels where `native` says so of the
    operator `name`.
    """

    @functools.wraps(compute)
    def run(*arrays: Any, **settings: Any) -> Any:
        if arrays[-1].size >= native.LIGHT and native.maps(name, arrays[:-1], arrays[-1], settings):
            return None
        return compute(*arrays, **settings)

    return run


def one_pass(compute: Callable[..., None]) -> Callable[..., None]:
    """Mark a `compute` that goes over its operands once: cutting it up would gain nothing."""
    compute.one_pass = True  # type: ignore[attr-defined]
    return compute


@one_pass
def larger(x: Any, y: Any, out: np.ndarray) -> None:
    """The larger of each pair (`np.maximum`, whose output NumPy wants named)."""
    np.maximum(x, y, out=out)


@one_pass
def smaller(x: Any, y: Any, out: np.ndarray) -> None:
    """The smaller of each pair."""
    np.minimum(x, y, out=out)


def _in_order(array: Any, out: np.ndarray) -> bool:
    """Whether cutting `array` as it lies in memory gives the same elements as cutting `out`."""
    if not isinstance(array, np.ndarray) or array.size == 1:
        return True
    if array.shape != out.shape:
        return False
    both = array.flags.c_contiguous and out.flags.c_contiguous
    return both or (array.flags.f_contiguous and out.flags.f_contiguous)
