"""Orthogonal polynomials of degree n at x, for arrays of both, each by its recurrence of three
terms (Abramowitz and Stegun, table 22.7), in the array's own precision.

Chebyshev polynomials of higher degree inside their interval by their cosines (22.3.15, 22.3.16),
where the recurrence would lose digits; at the ends the exact values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Step = Callable[[Array, int, Array, Array], Array]
"""`step(x, k, here, before)`: the polynomial of degree k + 1 from those of degrees k and k - 1."""

_HERMITE_LIMIT = {4: 128, 8: 512}
"""The degree, by bytes of an element, beyond which PyTorch's Hermite polynomials are NaN."""


def degrees(n: Array) -> Array:
    """Degrees as integers: the fraction dropped, NaN and what is too large negative."""
    whole = np.trunc(n)
    return np.where(np.abs(whole) < 2.0**62, whole, -1).astype(np.int64)


def recurrence(x: Array, n: Array, first: Array, step: Step) -> Array:
    """1 for degree 0, `first` for 1, then step by step; 0 for negative degrees."""
    out = np.where(n < 0, 0, np.where(n == 0, 1, first)).astype(x.dtype)
    before, here = np.ones_like(x), first
    top = int(n.max()) if n.size else 0
    for k in range(1, top):
        here, before = step(x, k, here, before), here
        out[n == k + 1] = here[n == k + 1]
        waiting = n > k + 1
        if not np.isfinite(here[waiting]).any():
            out[waiting] = here[waiting]  # beyond the largest number they stay
            break
    return out


def _alternating(n: Array) -> Array:
    return np.where(n % 2, -1, 1)


def _chebyshev_step(x: Array, k: int, here: Array, before: Array) -> Array:
    return (x + x) * here - before


def _chebyshev(
    x: Array,
    n: Array,
    first: Array,
    ends: tuple[Any, Any],
    cosines: Callable[[Array, Array], Array],
    least: int,
) -> Array:
    """The four kinds: `ends` are the values at 1 and −1, `cosines` of the angle and the degree."""
    right, left = ends
    inside = (np.abs(x) < 1) & (n > least)
    slow = np.where(inside | (np.abs(x) == 1), np.minimum(n, 0), n)
    out = recurrence(x, slow, first, _chebyshev_step)
    if inside.any():
        out[inside] = cosines(np.arccos(x[inside]), n[inside]).astype(x.dtype)
    at_end = (np.abs(x) == 1) & (n >= 0)
    return np.where(at_end, np.where(x > 0, right, left), out).astype(x.dtype)


def chebyshev_t(x: Array, n: Array) -> Array:
    """Tₙ(x) = cos(n arccos x)."""
    n = degrees(n)
    ends = (1, _alternating(n))
    return _chebyshev(x, n, x, ends, lambda a, n: np.cos(n.astype(a.dtype) * a), 6)


def chebyshev_u(x: Array, n: Array) -> Array:
    """Uₙ(x) = sin((n + 1) arccos x) / sin(arccos x)."""
    n = degrees(n)
    ends = (n + 1, _alternating(n) * (n + 1))
    return _chebyshev(
        x, n, x + x, ends, lambda a, n: np.sin((n + 1).astype(a.dtype) * a) / np.sin(a), 8
    )


def chebyshev_v(x: Array, n: Array) -> Array:
    """Vₙ(x) = cos((n + 1/2) arccos x) / cos(arccos x / 2)."""
    n = degrees(n)
    ends = (1, _alternating(n) * (2 * n + 1))
    return _chebyshev(
        x,
        n,
        x + x - 1,
        ends,
        lambda a, n: np.cos((n + 0.5).astype(a.dtype) * a) / np.cos(a / 2),
        8,
    )


def chebyshev_w(x: Array, n: Array) -> Array:
    """Wₙ(x) = sin((n + 1/2) arccos x) / sin(arccos x / 2)."""
    n = degrees(n)
    ends = (2 * n + 1, _alternating(n))
    return _chebyshev(
        x,
        n,
        x + x + 1,
        ends,
        lambda a, n: np.sin((n + 0.5).astype(a.dtype) * a) / np.sin(a / 2),
        8,
    )


def shifted(polynomial: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """A polynomial on [0, 1] instead of [−1, 1]."""

    def moved(x: Array, n: Array) -> Array:
        return polynomial(x + x - 1, n)

    moved.__doc__ = f"{polynomial.__doc__} With 2x − 1 for x."
    return moved


def _bounded(x: Array, n: Array, out: Array) -> Array:
    return np.where(n > _HERMITE_LIMIT[x.dtype.itemsize], np.nan, out).astype(x.dtype)


def hermite_h(x: Array, n: Array) -> Array:
    """Hₙ(x), orthogonal with the weight exp(−x²)."""
    n = degrees(n)
    limit = _HERMITE_LIMIT[x.dtype.itemsize]
    out = recurrence(x, np.minimum(n, limit), x + x, lambda x, k, q, p: (x + x) * q - (k + k) * p)
    return _bounded(x, n, out)


def hermite_he(x: Array, n: Array) -> Array:
    """Heₙ(x), orthogonal with the weight exp(−x²/2)."""
    n = degrees(n)
    limit = _HERMITE_LIMIT[x.dtype.itemsize]
    return _bounded(x, n, recurrence(x, np.minimum(n, limit), x, lambda x, k, q, p: x * q - k * p))


def laguerre_l(x: Array, n: Array) -> Array:
    """Lₙ(x), orthogonal with the weight exp(−x)."""
    n = degrees(n)
    out = recurrence(
        x,
        np.where(x == 0, np.minimum(n, 0), n),
        1 - x,
        lambda x, k, q, p: ((k + k + 1 - x) * q - k * p) / (k + 1),
    )
    return np.where((x == 0) & (n >= 0), 1, out).astype(x.dtype)


def legendre_p(x: Array, n: Array) -> Array:
    """Pₙ(x), orthogonal on [−1, 1] with the weight 1."""
    n = degrees(n)
    ends = np.abs(x) == 1
    out = recurrence(
        x,
        np.where(ends, np.minimum(n, 0), n),
        x,
        lambda x, k, q, p: ((k + k + 1) * x * q - k * p) / (k + 1),
    )
    at_end = ends & (n >= 0)
    return np.where(at_end, np.where(x > 0, 1, _alternating(n)), out).astype(x.dtype)
