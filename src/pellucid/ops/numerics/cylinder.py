"""Bessel functions of orders 0 and 1 that `bessel.py` lacks: J, Y and K; in double precision.

Without tables of coefficients. J up to 25 by Miller's backward recurrence, normalised by
1 = J₀ + 2 Σ J₂ₖ, and Y from all the J by Neumann's series (Abramowitz and Stegun 9.1.46, 9.1.88,
9.1.89); beyond 25 Hankel's asymptotic series (9.2.5 to 9.2.10), whose smallest term is below the
precision there. K up to 2 by its power series (9.6.11, 9.6.13); beyond, the integral over
exp(−x (cosh t − 1)) cosh νt (9.6.24) by the trapezoidal rule, which converges geometrically since
the integrand decays doubly exponentially (Trefethen and Weideman 2014).
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.ops.numerics.bessel import i0, i1
from pellucid.ops.numerics.polynomials import in_double, pieces

_EULER = 0.5772156649015329
_FAR = 25.0
_ORDERS = 84
"""Where the recurrence starts: J₈₄(25) / J₀(25) is far below 2⁻⁵³."""
_TERMS = 28
_POINTS = 33


def _all_orders(x: np.ndarray) -> list[np.ndarray]:
    """J₀(x), J₁(x), … for 0 ≤ x ≤ 25."""
    safe = np.where(x < 1e-3, 1e-3, x)
    above, here = np.zeros_like(x), np.full_like(x, 1e-300)
    found, total = [here], np.zeros_like(x)
    for n in range(_ORDERS, 0, -1):
        above, here = here, 2 * n / safe * here - above
        big = np.abs(here) > 1e200
        if big.any():
            shrink = np.where(big, 1e-200, 1.0)
            above, here, total = above * shrink, here * shrink, total * shrink
            found = [each * shrink for each in found]
        found.append(here)
        if n % 2:
            total = total + here * (1 if n == 1 else 2)
    return [each / total for each in reversed(found)]


def _tiny(x: np.ndarray, order: int) -> np.ndarray:
    """The first terms of the power series, for x < 1e-3."""
    square = x * x / 4
    if order == 0:
        return 1 - square + square * square / 4
    return x / 2 * (1 - square / 2 + square * square / 12)


def _near_j(x: np.ndarray, order: int) -> np.ndarray:
    return np.where(x < 1e-3, _tiny(x, order), _all_orders(x)[order])


def _near_y(x: np.ndarray, order: int) -> np.ndarray:
    orders = _all_orders(x)
    safe = np.where(x == 0, 1, x)
    logarithm = np.log(safe / 2) + _EULER
    if order == 0:
        own = np.where(x < 1e-3, _tiny(x, 0), orders[0])
        series = sum((-1) ** k * orders[2 * k] / k for k in range(1, _ORDERS // 2))
        small = -x * x / 8  # the one term that counts below 1e-3: -J₂(x)
        found = 2 / math.pi * (logarithm * own - 2 * np.where(x < 1e-3, small, series))
    else:
        own = np.where(x < 1e-3, _tiny(x, 1), orders[1])
        series = sum(
            (-1) ** k * (2 * k + 1) / (k * k + k) * orders[2 * k + 1]
            for k in range(1, _ORDERS // 2 - 1)
        )
        series = np.where(x < 1e-3, -(x**3) / 32, series)
        zero = np.where(x < 1e-3, _tiny(x, 0), orders[0])
        found = 2 / math.pi * ((logarithm - 1) * own - series - zero / safe)
    return np.where(x == 0, -np.inf, found)


def _hankel(x: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """P and Q: J = √(2/πx) (P cos χ − Q sin χ), Y = √(2/πx) (P sin χ + Q cos χ)."""
    mu, term = 4.0 * order * order, np.ones_like(x)
    P, Q = np.ones_like(x), np.zeros_like(x)
    for k in range(1, _TERMS):
        term = term * (mu - (2 * k - 1) ** 2) / (k * 8 * x)
        sign = -1 if (k // 2) % 2 else 1
        if k % 2:
            Q = Q + sign * term
        else:
            P = P + sign * term
    return P, Q


def _far(x: np.ndarray, order: int, second: bool) -> np.ndarray:
    P, Q = _hankel(x, order)
    s, c = np.sin(x), np.cos(x)
    if order == 0:  # cos and sin of x − π/4, times √2
        cosine, sine = c + s, s - c
    else:  # of x − 3π/4
        cosine, sine = s - c, -(s + c)
    mixed = P * sine + Q * cosine if second else P * cosine - Q * sine
    return mixed / np.sqrt(math.pi * x)


def _first_kind(x: np.ndarray, order: int) -> np.ndarray:
    y = np.abs(x)
    found = pieces(
        y,
        (y <= _FAR, lambda y: _near_j(y, order)),
        ((y > _FAR) & (y < np.inf), lambda y: _far(y, order, False)),
    )
    return np.where(x < 0, -found, found) if order else found


@in_double
def j0(x: np.ndarray) -> np.ndarray:
    """J₀(x)."""
    return _first_kind(x, 0)


@in_double
def j1(x: np.ndarray) -> np.ndarray:
    """J₁(x)."""
    return _first_kind(x, 1)


def _second_kind(x: np.ndarray, order: int) -> np.ndarray:
    return pieces(
        x,
        ((x >= 0) & (x <= _FAR), lambda x: _near_y(x, order)),
        ((x > _FAR) & (x < np.inf), lambda x: _far(x, order, True)),
    )


@in_double
def y0(x: np.ndarray) -> np.ndarray:
    """Y₀(x): −∞ at 0, NaN below."""
    return _second_kind(x, 0)


@in_double
def y1(x: np.ndarray) -> np.ndarray:
    """Y₁(x): −∞ at 0, NaN below."""
    return _second_kind(x, 1)


def _k_series(x: np.ndarray, order: int) -> np.ndarray:
    """K₀ or K₁ for 0 < x ≤ 2 by power series."""
    square = x * x / 4
    logarithm = np.log(x / 2)
    term, total, harmonic = np.ones_like(x), np.zeros_like(x), -_EULER
    for k in range(22):
        if order == 0:
            total = total + term * harmonic
            term = term * square / (k + 1) ** 2
            harmonic += 1 / (k + 1)
        else:
            total = total + term * (2 * harmonic + 1 / (k + 1))
            term = term * square / ((k + 1) * (k + 2))
            harmonic += 1 / (k + 1)
    if order == 0:
        return total - logarithm * i0(x)
    return 1 / x + logarithm * i1(x) - x / 4 * total


def _k_integral(x: np.ndarray, order: int) -> np.ndarray:
    """exp(x) K(x) for x > 2."""
    step = np.arccosh(1 + 40 / x) / (_POINTS - 1)
    total = np.full_like(x, 0.5)
    for i in range(1, _POINTS):
        t = i * step
        half = np.sinh(t / 2)
        total = total + np.exp(-2 * x * half * half) * (np.cosh(t) if order else 1)
    return total * step


def _decaying(x: np.ndarray, order: int, scaled: bool) -> np.ndarray:
    return pieces(
        x,
        (x == 0, lambda x: np.full_like(x, np.inf)),
        (
            (x > 0) & (x <= 2),
            lambda x: _k_series(x, order) * (np.exp(x) if scaled else 1),
        ),
        (x == np.inf, np.zeros_like),
        (x > 2, lambda x: _k_integral(x, order) * (1 if scaled else np.exp(-x))),
    )


@in_double
def k0(x: np.ndarray) -> np.ndarray:
    """K₀(x): ∞ at 0, NaN below."""
    return _decaying(x, 0, False)


@in_double
def k1(x: np.ndarray) -> np.ndarray:
    """K₁(x): ∞ at 0, NaN below."""
    return _decaying(x, 1, False)


@in_double
def k0e(x: np.ndarray) -> np.ndarray:
    """exp(x) · K₀(x)."""
    return _decaying(x, 0, True)


@in_double
def k1e(x: np.ndarray) -> np.ndarray:
    """exp(x) · K₁(x)."""
    return _decaying(x, 1, True)


@in_double
def spherical_j0(x: np.ndarray) -> np.ndarray:
    """sin(x) / x."""
    safe = np.where(np.isinf(x) | (x == 0), 1, x)
    return np.where(np.isinf(x), 0, np.where(x == 0, 1, np.sin(safe) / safe))
