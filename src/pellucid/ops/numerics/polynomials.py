"""Polynomials and Chebyshev series, evaluated for whole arrays, and the helper that sends each
element to the formula of its interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]


def horner(x: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """c[0]·xⁿ + c[1]·xⁿ⁻¹ + … + c[n]."""
    result = x * coefficients[0]
    result += coefficients[1]
    for c in coefficients[2:]:
        result *= x
        result += c
    return result


def ratio(x: np.ndarray, top: Sequence[float], bottom: Sequence[float]) -> np.ndarray:
    """A rational function: both polynomials by `horner`."""
    return horner(x, top) / horner(x, bottom)


def chebyshev(x: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """The Chebyshev series with the coefficients of Cephes.

    Highest degree first, `x` doubled, the last one halved.
    """
    b0, b1, b2 = np.full_like(x, coefficients[0]), np.zeros_like(x), np.zeros_like(x)
    for c in coefficients[1:]:
        b0, b1, b2 = x * b0 - b1 + c, b0, b1
    return 0.5 * (b0 - b2)


def pieces(x: np.ndarray, *cases: tuple[np.ndarray, Function]) -> np.ndarray:
    """Each element by the function of the first condition that it meets; NaN where none is met.

    A function is only called with the elements that are its own, so none is evaluated outside its
    interval.
    """
    out = np.full_like(x, np.nan)
    left = np.ones(x.shape, bool)
    for condition, function in cases:
        mine = left & condition
        if mine.any():
            out[mine] = function(x[mine])
            left &= ~mine
    return out


def in_double(function: Function) -> Function:
    """A function of float64 arrays for arrays of any floating dtype."""

    def wide(x: np.ndarray) -> np.ndarray:
        return function(x.astype(np.float64, copy=False)).astype(x.dtype, copy=False)

    wide.__name__, wide.__doc__ = function.__name__, function.__doc__
    return wide
