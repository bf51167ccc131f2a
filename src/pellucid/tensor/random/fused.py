"""Fused multiply-add in NumPy: `x * scale + shift` rounded once, as one FMA instruction gives it.

PyTorch's kernels for AVX2 and AVX-512 are compiled with FMA contraction: their `x * (to - from) +
from` rounds once. NumPy rounds twice, and about half of all samples then differ in the last bit.
Here the exact sum is kept as an unevaluated pair of floats, rounded to odd, and rounded once more
to the result; rounding to odd first keeps the second rounding honest (Boldo & Melquiond, "Emulation
of FMA and correctly rounded sums", IEEE TC 57(4), 2008). Finite values only, far from overflow and
underflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_SPLITTER = float(2**27 + 1)
"""Veltkamp's constant: splits 53 bits into two halves whose products are exact."""


def fused_multiply_add(x: np.ndarray, scale: float, shift: np.ndarray | float) -> np.ndarray:
    """`x * scale + shift` with one rounding to the dtype of `x`, float32 or float64; shape of `x`.

    `scale` and `shift` must be values of that dtype.
    """
    if x.dtype == np.float32:
        product = x.astype(np.float64)
        product *= scale  # 24 x 24 bits: exact
        return _round_to_odd(*_two_sum(product, shift)).astype(np.float32)
    high, low = _two_product(x, scale)
    carry_high, carry_low = _two_sum(low, shift)
    total_high, total_low = _two_sum(high, carry_high)
    return total_high + _round_to_odd(*_two_sum(carry_low, total_low))


def _two_sum(a: np.ndarray, b: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """`a + b` and its rounding error (Knuth)."""
    total = a + b
    b_seen = total - a
    return total, (a - (total - b_seen)) + (b - b_seen)


def _two_product(a: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """`a * b` and its rounding error (Dekker)."""
    product = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(np.float64(b))
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error


def _halves(a: Any) -> tuple[Any, Any]:
    big = a * _SPLITTER
    high = big - (big - a)
    return high, a - high


def _round_to_odd(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """`high + low` (|low| at most half an ulp of high): if inexact, the neighbour whose last bit is
    1.
    """
    is_even = (high.view(np.int64) & 1) == 0
    (places,) = np.nonzero((low != 0) & is_even)
    if places.size:
        high[places] = np.nextafter(high[places], np.copysign(np.inf, low[places]))
    return high
