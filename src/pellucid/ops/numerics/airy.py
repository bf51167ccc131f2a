"""Airy's function Ai, in double precision.

Near 0 its power series (Abramowitz and Stegun 10.4.2); else the integral

    Ai(z) = exp(−ζ)/π ∫₀^∞ exp(−√z t²) cos(t³/3) dt,   ζ = 2/3 z^(3/2),

by the trapezoidal rule, which converges geometrically (Gil, Segura and Temme 2001); for negative
arguments at z = x exp(iπ/3), of whose value Ai(−x) is twice the real part, turned by exp(iπ/3)
(10.4.7).
"""

from __future__ import annotations

import cmath
import math

import numpy as np

from pellucid.ops.numerics.polynomials import in_double, pieces

_AT_ZERO = 3 ** (-2 / 3) / math.gamma(2 / 3)
_SLOPE = 3 ** (-1 / 3) / math.gamma(1 / 3)
_POINTS = 80


def _series(x: np.ndarray) -> np.ndarray:
    """The power series, for −3 ≤ x ≤ 2."""
    cube = x * x * x
    f, g = np.ones_like(x), x.copy()
    f_term, g_term = f, g
    for k in range(1, 24):
        f_term = f_term * cube / ((3 * k - 1) * (3 * k))
        g_term = g_term * cube / ((3 * k) * (3 * k + 1))
        f, g = f + f_term, g + g_term
    return _AT_ZERO * f - _SLOPE * g


def _integral(root: np.ndarray) -> np.ndarray:
    """∫₀^∞ exp(−root t²) cos(t³/3) dt, where the real part of `root` is positive."""
    step = np.sqrt(40 / root.real) / _POINTS
    total = np.full_like(root, 0.5)
    for i in range(1, _POINTS):
        t = i * step
        total = total + np.exp(-root * t * t) * np.cos(t**3 / 3)
    return total * step


def _decaying(x: np.ndarray) -> np.ndarray:
    root = np.sqrt(x)
    return np.exp(-2 / 3 * x * root) / math.pi * _integral(root)


def _oscillating(x: np.ndarray) -> np.ndarray:
    """Ai(−x) for x > 3."""
    turn = cmath.exp(1j * math.pi / 3)
    root = np.sqrt(x) * cmath.exp(1j * math.pi / 6)
    zeta = 2j / 3 * x * np.sqrt(x)
    return 2 / math.pi * (turn * np.exp(-zeta) * _integral(root)).real


@in_double
def airy_ai(x: np.ndarray) -> np.ndarray:
    """Ai(x), the solution of y″ = xy that decays at ∞."""
    return pieces(
        x,
        ((x >= -3) & (x <= 2), _series),
        ((x > 2) & (x < np.inf), _decaying),
        ((x < -3) & (x > -np.inf), lambda x: _oscillating(-x)),
    )
