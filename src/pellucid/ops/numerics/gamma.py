"""The gamma function's logarithm and its derivatives, Hurwitz's zeta function, and the incomplete
gamma functions.

Everything is computed in double precision. Small arguments are moved up by the recurrence until an
asymptotic series holds, negative ones are reflected. The series have Bernoulli numbers for
coefficients (Abramowitz and Stegun 6.1.40, 6.3.18, 23.2.3).
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.ops.numerics.polynomials import horner, in_double, pieces

_LARGE = 10.0
_BERNOULLI = (
    1 / 6,
    -1 / 30,
    1 / 42,
    -1 / 30,
    5 / 66,
    -691 / 2730,
    7 / 6,
    -3617 / 510,
    43867 / 798,
    -174611 / 330,
)
"""B₂, B₄, …, B₂₀."""
_LGAMMA = tuple(b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI, 1))[::-1]
_DIGAMMA = tuple(b / (2 * k) for k, b in enumerate(_BERNOULLI[:8], 1))[::-1]
_EPSILON = 2.0**-53


def _log_gamma(x: np.ndarray) -> np.ndarray:
    """log Γ(x) for x > 0.

    Stirling's series at x + n, less the logarithm of the n factors in between.
    """
    shifted, product = x.copy(), np.ones_like(x)
    while True:
        small = shifted < _LARGE
        if not small.any():
            break
        product[small] *= shifted[small]
        shifted[small] += 1
    inverse = 1 / shifted
    series = inverse * horner(inverse * inverse, _LGAMMA)
    return (
        (shifted - 0.5) * np.log(shifted)
        - shifted
        + (0.5 * math.log(2 * math.pi) + series)
        - np.log(product)
    )


@in_double
def lgamma(x: np.ndarray) -> np.ndarray:
    """log |Γ(x)|; ∞ at 0, −1, −2, … and at ±∞."""

    def reflected(x: np.ndarray) -> np.ndarray:
        turn = np.abs(np.sin(math.pi * (x - np.rint(x))))
        return math.log(math.pi) - np.log(turn) - _log_gamma(1 - x)

    pole = np.isinf(x) | ((x <= 0) & (x == np.floor(x)))
    return pieces(
        x,
        (pole, lambda x: np.full_like(x, np.inf)),
        ((x == 1) | (x == 2), np.zeros_like),
        (x < 0.5, reflected),
        (x >= 0.5, _log_gamma),
    )


def _digamma_above(x: np.ndarray) -> np.ndarray:
    shifted, total = x.copy(), np.zeros_like(x)
    while True:
        small = shifted < _LARGE
        if not small.any():
            break
        total[small] -= 1 / shifted[small]
        shifted[small] += 1
    square = 1 / (shifted * shifted)
    return total + np.log(shifted) - 0.5 / shifted - square * horner(square, _DIGAMMA)


@in_double
def digamma(x: np.ndarray) -> np.ndarray:
    """The derivative of log Γ: −∞ at 0, ∞ at −0, NaN at −1, −2, …"""

    def reflected(x: np.ndarray) -> np.ndarray:
        return _digamma_above(1 - x) - math.pi / np.tan(math.pi * np.fmod(x, 1.0))

    return pieces(
        x,
        (x == 0, lambda x: np.copysign(np.inf, -x)),
        ((x < 0) & (x == np.floor(x)), lambda x: np.full_like(x, np.nan)),
        (x < 0, reflected),
        (x > 0, _digamma_above),
    )


def zeta(x: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hurwitz's zeta function Σ (q + k)⁻ˣ.

    The first terms one by one, the rest by the formula of Euler and Maclaurin.
    """
    wide_x, wide_q = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(q, np.float64))
    whole = wide_q == np.floor(wide_q)
    result = np.full(wide_x.shape, np.nan)
    result[(wide_x == 1) | ((wide_x > 1) & (wide_q <= 0) & whole)] = np.inf
    regular = (wide_x > 1) & ((wide_q > 0) | (~whole & (wide_x == np.floor(wide_x))))
    if regular.any():
        result[regular] = _zeta(wide_x[regular], wide_q[regular])
    return result.astype(np.result_type(x, q), copy=False)


def _zeta(x: np.ndarray, q: np.ndarray) -> np.ndarray:
    total, a = np.power(q, -x), q.copy()
    count = 0
    while count < 9 or (a <= 9).any():
        step = (a <= 9) | (count < 9)
        a = np.where(step, a + 1, a)
        total += np.where(step, np.power(a, -x), 0)
        count += 1
    b = np.power(a, -x)
    total += b * a / (x - 1) - 0.5 * b
    rising = x.copy()
    for k, bernoulli in enumerate(_BERNOULLI, 1):
        b = b / a
        total += bernoulli / math.factorial(2 * k) * rising * b
        rising = rising * (x + 2 * k - 1) * (x + 2 * k)
        b = b / a
    return np.where(np.isinf(x), np.where(q == 1, 1.0, total), total)


def polygamma(n: int, x: np.ndarray) -> np.ndarray:
    """The n-th derivative of digamma."""
    if n == 0:
        return digamma(x)
    if n == 1:
        return _trigamma(x)
    return (-1.0 if n % 2 == 0 else 1.0) * math.gamma(n + 1) * zeta(np.asarray(n + 1.0, x.dtype), x)


def _trigamma(x: np.ndarray) -> np.ndarray:
    """The derivative of digamma, with PyTorch's steps in the dtype of `x`.

    Reflected below 1/2, moved up by 6, then three terms.
    """
    one, pi = x.dtype.type(1), x.dtype.type(math.pi)
    low = x < 0.5
    y = np.where(low, one - x, x)
    total = np.zeros_like(x)
    with np.errstate(all="ignore"):
        sine = np.sin(pi * x)
        total = np.where(low, -(pi * pi) / (sine * sine), total)
        for _ in range(6):
            total = total + one / (y * y)
            y = y + one
        square = one / (y * y)
        series = x.dtype.type(1 / 6) - square * (
            x.dtype.type(1 / 30) - square * x.dtype.type(1 / 42)
        )
        total = total + (one + one / (y + y) + square * series) / y
    return np.where(low, -total, total)


# -- incomplete gamma functions

_MOST_STEPS = 20000


def _prefactor(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """xᵃ · e⁻ˣ / Γ(a)."""
    return np.exp(a * np.log(x) - x - lgamma(a))


def _lower_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P(a, x) for x < a + 1: a power series of positive terms."""
    term = np.ones_like(a)
    total, r = term.copy(), a.copy()
    for _ in range(_MOST_STEPS):
        r += 1
        term *= x / r
        total += term
        if not (term > _EPSILON * total).any():
            break
    return total * _prefactor(a, x) / a


def _upper_fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Q(a, x) for x ≥ a + 1: a continued fraction, by the method of Lentz."""
    tiny = 1e-300
    b = x + 1 - a
    c = np.full_like(a, 1 / tiny)
    d = 1 / b
    h = d.copy()
    for i in range(1, _MOST_STEPS):
        an = -i * (i - a)
        b = b + 2
        d = an * d + b
        d = 1 / np.where(np.abs(d) < tiny, tiny, d)
        c = b + an / c
        c = np.where(np.abs(c) < tiny, tiny, c)
        change = c * d
        h *= change
        if not (np.abs(change - 1) > 2 * _EPSILON).any():
            break
    return h * _prefactor(a, x)


def incomplete_gamma(a: np.ndarray, x: np.ndarray, upper: bool) -> np.ndarray:
    """The regularised incomplete gamma function: Q(a, x) if `upper`, else P(a, x) = 1 − Q(a, x)."""
    wide_a, wide_x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    result = np.full(wide_a.shape, np.nan)
    defined = (
        (wide_a >= 0)
        & (wide_x >= 0)
        & ~((wide_a == 0) & (wide_x == 0))
        & ~(np.isinf(wide_a) & np.isinf(wide_x))
    )
    full = defined & ((wide_a == 0) | np.isinf(wide_x))
    none = defined & ((wide_x == 0) | np.isinf(wide_a)) & ~full
    result[full], result[none] = (0.0, 1.0) if upper else (1.0, 0.0)
    rest = defined & ~full & ~none
    series = rest & (wide_x < wide_a + 1)
    fraction = rest & ~series
    if series.any():
        lower = _lower_series(wide_a[series], wide_x[series])
        result[series] = 1 - lower if upper else lower
    if fraction.any():
        tail = _upper_fraction(wide_a[fraction], wide_x[fraction])
        result[fraction] = tail if upper else 1 - tail
    return result.astype(np.result_type(a, x), copy=False)
