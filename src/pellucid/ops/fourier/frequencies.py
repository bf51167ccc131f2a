"""The frequencies that stand at the places of a transform: `fft.fftfreq`, `fft.rfftfreq`."""

from __future__ import annotations

from typing import Any, Unpack

from pellucid.ops.api import F
from pellucid.ops.arguments import integer
from pellucid.ops.creation.factory import (
    Options,
    check_options,
    check_out,
    finish,
    read_dtype,
)
from pellucid.ops.creation.ranges import arange
from pellucid.ops.dispatch import composite
from pellucid.ops.inplace import copy_array, resize_output
from pellucid.tensor.dtype import FLOATING, default
from pellucid.tensor.tensor import Tensor


def _frequencies(
    name: str, n: Any, d: float, out: Tensor | None, options: Options, both: bool
) -> Tensor:
    count = integer(f"fft_{name}", "n", 1, n)
    check_options(f"fft_{name}", options)
    if out is not None:
        check_out(f"fft_{name}", out)
    kind = read_dtype(f"fft_{name}", options.get("dtype"), out, default.floating)
    if kind.category < FLOATING:
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    if both:
        above = arange((count + 1) // 2, dtype=kind)
        found = F.cat([above, arange(-(count // 2), 0, dtype=kind)]) if count > 1 else above
    else:
        found = arange(count // 2 + 1, dtype=kind)
    scale = count * d
    found = found.mul_(1.0 / scale if scale else float("inf"))
    if out is None:
        return finish(name, found, options)
    resize_output(out, found._layout)
    copy_array(out._array, found._array)
    out._storage.version += 1
    return finish(name, out, options)


@composite(where="fft")
def fftfreq(
    n: int, d: float = 1.0, *, out: Tensor | None = None, **options: Unpack[Options]
) -> Tensor:
    """The frequencies of `fft` of n points that lie `d` apart: 0, 1, …, −2, −1, over n · d.

    Shape: `(n,)`. Raises: RuntimeError for an integer dtype.
    """
    return _frequencies("fftfreq", n, d, out, options, True)


@composite(where="fft")
def rfftfreq(
    n: int, d: float = 1.0, *, out: Tensor | None = None, **options: Unpack[Options]
) -> Tensor:
    """The frequencies of `rfft` of n points that lie `d` apart: 0, 1, …, n/2, over n · d.

    Shape: `(n // 2 + 1,)`. Raises: RuntimeError for an integer dtype.
    """
    return _frequencies("rfftfreq", n, d, out, options, False)
