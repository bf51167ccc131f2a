"""Window functions, `hann_window`, `kaiser_window`, …, and the Vandermonde matrix.

A periodic window of n points is the symmetric one of n + 1 points without its last: it repeats
without a doubled point. Each is computed as PyTorch does (ATen/native/TensorFactories.cpp): step by
step in the window's own dtype.
"""

from __future__ import annotations

import math
from typing import Any, Unpack

from pellucid.ops.api import F
from pellucid.ops.arguments import integer
from pellucid.ops.creation.factory import Options, check_options, finish, read_dtype
from pellucid.ops.creation.ranges import arange
from pellucid.ops.dispatch import composite
from pellucid.ops.inplace import scalar_type
from pellucid.tensor.dtype import REDUCED, default, dtype, float32, int64
from pellucid.tensor.promotion import promote_types
from pellucid.tensor.tensor import Tensor


def _points(name: str, length: Any, periodic: bool, options: Options) -> tuple[int, dtype]:
    """The number of points to compute, one more if periodic, and the dtype."""
    count = integer(name, "window_length", 1, length)
    check_options(name, options)
    kind = read_dtype(name, options.get("dtype"), None, default.floating)
    if kind.category < 2:
        raise RuntimeError(
            f"{name} expects floating point dtypes, got: {kind}\n  A window has values between 0 "
            "and 1."
        )
    if kind.is_complex:
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{scalar_type(kind)}'")
    if count < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={count}")
    return (count + 1 if periodic and count > 1 else count), kind


def _finished(name: str, window: Tensor, length: int, options: Options) -> Tensor:
    """The first `length` points: all but the last of a periodic window."""
    if window._layout.shape[0] > length:
        window = window.narrow(0, 0, length)
        window._base = None  # a tensor of its own: nobody else knows the longer one
    return finish(name, window, options)


def _trivial(name: str, count: int, kind: dtype, options: Options) -> Tensor:
    """The window without points, or of the only point 1."""
    return finish(name, F.ones(count, dtype=kind), options)


def _cosines(
    name: str, length: Any, periodic: bool, alpha: float, beta: float, options: Options
) -> Tensor:
    """`alpha - beta * cos(2 pi i / (n - 1))`."""
    count, kind = _points(name, length, periodic, options)
    if count <= 1:
        return _trivial(name, count, kind, options)
    window = arange(count, dtype=kind).mul_(math.pi * 2.0 / (count - 1)).cos_()
    return _finished(name, window.mul_(-beta).add_(alpha), int(length), options)


@composite(where="torch")
def hann_window(window_length: int, periodic: bool = True, **options: Unpack[Options]) -> Tensor:
    """Half a period of a raised cosine, from 0 to 1 and back: `(window_length,)`."""
    return _cosines("hann_window", window_length, periodic, 0.5, 0.5, options)


@composite(where="torch")
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    **options: Unpack[Options],
) -> Tensor:
    """`alpha - beta * cos`: a raised cosine that does not reach 0: `(window_length,)`."""
    return _cosines("hamming_window", window_length, periodic, alpha, beta, options)


@composite(where="torch")
def blackman_window(
    window_length: int, periodic: bool = True, **options: Unpack[Options]
) -> Tensor:
    """`0.42 - 0.5 cos(2x) + 0.08 cos(4x)`, x from 0 to pi: `(window_length,)`."""
    name = "blackman_window"
    count, kind = _points(name, window_length, periodic, options)
    if count <= 1:
        return _trivial(name, count, kind, options)
    x = arange(count, dtype=kind).mul_(math.pi / (count - 1))
    window = x.mul(4).cos_().mul_(0.08) - x.mul(2).cos_().mul_(0.5) + 0.42
    return _finished(name, window, window_length, options)


@composite(where="torch")
def bartlett_window(
    window_length: int, periodic: bool = True, **options: Unpack[Options]
) -> Tensor:
    """A triangle from 0 to 1 and back: `(window_length,)`."""
    name = "bartlett_window"
    count, kind = _points(name, window_length, periodic, options)
    if count <= 1:
        return _trivial(name, count, kind, options)
    window = arange(count, dtype=kind).mul_(2.0 / (count - 1))
    half = ((count - 1) >> 1) + 1
    window.narrow(0, half, count - half).mul_(-1).add_(2)
    return _finished(name, window, window_length, options)


@composite(where="torch")
def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, **options: Unpack[Options]
) -> Tensor:
    """`I0(beta sqrt(1 - x^2)) / I0(beta)`, x from -1 to 1; larger `beta`, narrower:
    `(window_length,)`.
    """
    name = "kaiser_window"
    count, kind = _points(name, window_length, periodic, options)
    if count <= 1:
        return _trivial(name, count, kind, options)
    half = (count - 1) / 2.0
    x = arange(count, dtype=float32 if kind in REDUCED else kind).sub_(half).div_(half)
    window = F.i0((1 - x * x).sqrt_().mul_(beta)) / F.i0(F.full((), beta, dtype=x.dtype))
    window = window.to(kind)
    return _finished(name, window, window_length, options)


@composite(where="torch")
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of `x`, one column each: `(len(x), N)`, falling from N - 1 to 0 unless
    `increasing`.
    """
    if x.dim() != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x._layout.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    kind = promote_types(x.dtype, int64)
    columns = [F.ones(x._layout.shape[0], 1, dtype=kind)][:count]
    if count > 1:
        columns.append(F.cumprod(x.to(kind).unsqueeze(1).expand(-1, count - 1), 1))
    powers = F.cat(columns, 1) if columns else F.ones(x._layout.shape[0], 0, dtype=kind)
    return powers if increasing else F.flip(powers, (1,))
