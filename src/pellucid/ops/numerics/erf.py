"""The error function and its relatives: erf, erfc, erfcx, ndtr, log_ndtr, and the inverses erfinv
and ndtri.

In double precision after W. J. Cody, "Rational Chebyshev approximations for the error function",
Math. Comp. 23 (1969): one rational function up to 0.46875, one to 4, one beyond. `erf` in single
precision is one odd rational function, as in Eigen; it is what `gelu` spends its time in.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.ops.numerics.polynomials import horner, in_double, pieces, ratio

_SMALL = 0.46875
_SQRT_PI = math.sqrt(math.pi)
_A = (
    1.85777706184603153e-1,
    3.16112374387056560,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
_B = (
    1.0,
    2.36012909523441209e1,
    2.44024637934444173e2,
    1.28261652607737228e3,
    2.84423683343917062e3,
)
_C = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
_D = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)
_P = (
    1.63153871373020978e-2,
    3.05326634961232344e-1,
    3.60344899949804439e-1,
    1.25781726111229246e-1,
    1.60837851487422766e-2,
    6.58749161529837803e-4,
)
_Q = (
    1.0,
    2.56852019228982242,
    1.87295284992346725,
    5.27905102951428412e-1,
    6.05183413124413191e-2,
    2.33520497626869185e-3,
)
_NARROW = (
    1.5672070461496191e-9,
    -1.2525479678742424e-7,
    3.8730329001961825e-6,
    -5.4781590384258004e-5,
    -3.39115959366391e-5,
    3.633434848811066e-2,
    7.978846365248929e-1,
)
_NARROW_END = 5.6


def _erf_near(x: np.ndarray) -> np.ndarray:
    return x * ratio(x * x, _A, _B)


def _scaled(y: np.ndarray) -> np.ndarray:
    """exp(y²) · erfc(y) for y > 0.46875."""

    def far(y: np.ndarray) -> np.ndarray:
        inverse = 1 / (y * y)
        return (1 / _SQRT_PI - inverse * ratio(inverse, _P, _Q)) / y

    return pieces(y, (y <= 4, lambda y: ratio(y, _C, _D)), (y > 4, far))


def _gauss(y: np.ndarray) -> np.ndarray:
    """exp(−y²), with the rounding error of the square taken back."""
    head = np.trunc(y * 16) / 16
    return np.exp(-head * head) * np.exp(-(y - head) * (y + head))


def _tail(y: np.ndarray) -> np.ndarray:
    """erfc(y) for y > 0.46875."""
    capped = np.minimum(y, 28.0)
    return _gauss(capped) * _scaled(capped)


@in_double
def erf_wide(x: np.ndarray) -> np.ndarray:
    """erf in double precision."""
    y = np.abs(x)
    return pieces(
        x, (y <= _SMALL, _erf_near), (y > _SMALL, lambda x: np.copysign(1 - _tail(np.abs(x)), x))
    )


def erf_into(x: np.ndarray, out: np.ndarray) -> None:
    """erf, written to `out` (which may be `x`)."""
    if out.dtype != np.float32:
        np.copyto(out, erf_wide(np.atleast_1d(x)).reshape(out.shape))
        return
    np.copyto(out, _narrow(x * np.float32(math.sqrt(2))))


def _narrow(x: np.ndarray) -> np.ndarray:
    """erf(x/√2) in single precision, to 2.5e-7 relative.

    atanh(erf(x/√2)) is nearly a line. Divided by x it is a smooth function of x², here a polynomial
    fitted so that the largest relative error of the result is least. Beyond 5.6 it is kept and the
    line goes on, until the hyperbolic tangent is ±1 (NumPy's is 1 - 6e-8 up to 9.7, so that a line
    that ended there would leave 6e-8 of `1 + erf`).
    """
    square = np.multiply(x, x)
    np.minimum(square, _NARROW_END * _NARROW_END, out=square)
    result = horner(square, _NARROW)
    result *= x
    return np.tanh(result, result)


@in_double
def erfc(x: np.ndarray) -> np.ndarray:
    """1 − erf, accurate in the tail."""
    return pieces(
        x,
        (np.abs(x) <= _SMALL, lambda x: 1 - _erf_near(x)),
        (x > 0, _tail),
        (x < 0, lambda x: 2 - _tail(-x)),
    )


@in_double
def erfcx(x: np.ndarray) -> np.ndarray:
    """exp(x²) · erfc(x): what is left of erfc when its decay is taken out."""
    return pieces(
        x,
        (np.abs(x) <= _SMALL, lambda x: np.exp(x * x) * (1 - _erf_near(x))),
        (x > 0, _scaled),
        (x < -26.7, lambda x: np.full_like(x, np.inf)),
        (x < 0, lambda x: 2 / _gauss(-x) - _scaled(-x)),
    )


def normal_cdf(x: np.ndarray) -> np.ndarray:
    """Φ(x) = (1 + erf(x/√2)) / 2 in a new array."""
    if x.dtype == np.float32:
        result = _narrow(x)
    else:
        result = np.multiply(x, x.dtype.type(math.sqrt(0.5)))
        erf_into(result, result)
    result += 1
    result *= 0.5
    return result


_ERFINV_NEAR = (
    (-0.140543331, 0.914624893, -1.645349621, 0.886226899),
    (0.012229801, -0.329097515, 1.442710462, -2.118377725, 1.0),
)
_ERFINV_FAR = (
    (1.641345311, 3.429567803, -1.624906493, -1.970840454),
    (1.637067800, 3.543889200, 1.0),
)


@in_double
def erfinv(x: np.ndarray) -> np.ndarray:
    """The inverse of erf: a rational start, then two steps of Newton's method."""
    y = np.abs(x)

    def far(x: np.ndarray) -> np.ndarray:
        z = np.sqrt(-np.log((1 - np.abs(x)) / 2))
        return np.copysign(ratio(z, *_ERFINV_FAR), x)

    guess = pieces(x, (y <= 0.7, lambda x: x * ratio(x * x, *_ERFINV_NEAR)), (y < 1, far))
    for _ in range(2):
        inside = np.nan_to_num(guess)
        guess = guess - (erf_wide(inside) - x) / (2 / _SQRT_PI * np.exp(-inside * inside))
    return np.where(y == 1, np.copysign(np.inf, x), guess)
