"""Samplers that try until they succeed: Poisson, gamma, binomial, Dirichlet.

How many words a sample takes depends on the words, so these run one element at a time in Python, in
float64, with the C library's functions. As in PyTorch, an element's parameters are what it is drawn
from, and the elements are drawn in order. The methods: transformed rejection (W. Hörmann, "The
transformed rejection method for generating Poisson random variables", 1993; "The generation of
binomial random variates", 1993), Marsaglia & Tsang's gamma method (2000), and sums of logarithms or
products for small means. Sources: ATen/native/Distributions.h and Distributions.cpp.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.tensor.dtype import dtype, float32, float64
from pellucid.tensor.random.box_muller import one_normal
from pellucid.tensor.random.checks import refuse_dtype
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.random.uniform import one_unit, round_to

_SMALL_MEAN = 10.0
"""Below this mean, Poisson and binomial samples are counted; from it on, they are drawn by
rejection.
"""

_TINY = {float32: float(np.finfo(np.float32).tiny), float64: float(np.finfo(np.float64).tiny)}
_BELOW_ONE = {
    float32: float(np.nextafter(np.float32(1), np.float32(0))),
    float64: math.nextafter(1.0, 0.0),
}


def poisson(generator: Generator, rate: np.ndarray, kind: dtype) -> np.ndarray:
    """A Poisson sample for each rate: `rate` is `(n,)` of floating `kind`, as is the result.

    RuntimeError for a negative rate.
    """
    if not kind.is_floating_point:
        if not rate.size:
            return np.empty(0, dtype=kind.numpy)
        refuse_dtype("poisson_cpu", kind)
    with generator.lock:
        samples = [_poisson(generator, value) for value in rate.astype(np.float64).tolist()]
    return round_to(np.array(samples, dtype=np.float64), kind)


def _poisson(generator: Generator, rate: float) -> int:
    if not rate >= 0:
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    if rate >= _SMALL_MEAN:
        return _poisson_by_rejection(generator, rate)
    if rate == 0:
        return 0
    least = math.exp(-rate)
    events, product = 0, one_unit(generator)
    while product > least:
        events += 1
        product *= one_unit(generator)
    return events


def _poisson_by_rejection(generator: Generator, rate: float) -> int:
    log_rate = math.log(rate)
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = one_unit(generator) - 0.5
        v = one_unit(generator)
        margin = 0.5 - abs(u)
        k = _floor((2 * a / margin + b) * u + rate + 0.43) if margin else -1
        if margin >= 0.07 and v <= squeeze:
            return k
        if k < 0 or (margin < 0.013 and v > margin):
            continue
        envelope = _log(v) + math.log(inverse_alpha) - math.log(a / (margin * margin) + b)
        if envelope <= -rate + k * log_rate - math.lgamma(k + 1.0):
            return k


def _floor(x: float) -> int:
    return math.floor(x) if math.isfinite(x) else -1


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


# -- gamma and Dirichlet


def standard_gamma(generator: Generator, alpha: np.ndarray, kind: dtype) -> np.ndarray:
    """A sample of density `x**(alpha - 1) exp(-x)` for each alpha: `alpha` is `(n,)`, float32 or
    float64 `kind`.
    """
    if kind not in _TINY:
        refuse_dtype("gamma_cpu", kind)
    with generator.lock:
        samples = [_gamma(generator, a, kind) for a in alpha.tolist()]
    return _at_least(np.array(samples, dtype=np.float64).astype(kind.numpy), _TINY[kind])


def dirichlet(generator: Generator, alpha: np.ndarray, kind: dtype) -> np.ndarray:
    """Points of the simplex: gamma samples for `alpha` `(…, k)`, divided by their sums.

    The sums run over the last axis; a different order of summation may change the last bits.
    """
    if kind not in _TINY:
        refuse_dtype("dirichlet", kind)
    with generator.lock:
        samples = [_gamma(generator, a, float64) for a in alpha.ravel().tolist()]
    gammas = _at_least(np.array(samples, dtype=np.float64), _TINY[float64]).reshape(alpha.shape)
    points = (gammas / gammas.sum(axis=-1, keepdims=True)).astype(kind.numpy)
    return np.minimum(_at_least(points, _TINY[kind]), kind.numpy.type(_BELOW_ONE[kind]))


def _at_least(x: np.ndarray, least: float) -> np.ndarray:
    """`x`, but `least` where it is smaller or NaN."""
    return np.where(x > least, x, x.dtype.type(least))


def _gamma(generator: Generator, alpha: float, kind: dtype) -> float:
    """One gamma sample; alpha is kept in `kind`, everything else in float64 (Marsaglia & Tsang
    2000).
    """
    keep = kind.numpy.type
    scale = 1.0
    if alpha < 1:
        if alpha == 0:
            return 0.0
        scale = _power(1 - one_unit(generator), float(keep(1) / keep(alpha)))
        alpha = float(keep(alpha) + keep(1))
    d = float(keep(alpha) - keep(_THIRD))
    c = 1.0 / math.sqrt(9.0 * d) if d > 0 else math.nan
    while True:
        y = 0.0
        while not y > 0:
            x = one_normal(generator)
            y = 1.0 + c * x
            if math.isnan(y):
                break
        v = y * y * y
        u = 1 - one_unit(generator)
        if u < 1.0 - _SQUEEZE * (x * x) * (x * x):
            return scale * d * v
        if _log(u) < 0.5 * (x * x) + d * (1.0 - v + _log(v)):
            return scale * d * v


_THIRD = np.float32(1) / np.float32(3)
_SQUEEZE = float(np.float32(0.0331))


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


# -- binomial


def binomial(
    generator: Generator, count: np.ndarray, probability: np.ndarray, kind: dtype
) -> np.ndarray:
    """Successes in `count[i]` trials of `probability[i]`: both `(n,)` of floating `kind`, as is the
    result.
    """
    if kind not in _TINY:
        refuse_dtype("binomial_cpu", kind)
    pairs = zip(count, probability, strict=True)
    with generator.lock:
        samples = [_binomial(generator, n, p, kind) for n, p in pairs]
    return np.array(samples, dtype=np.float64).astype(kind.numpy)


def _binomial(generator: Generator, count: np.floating, p: np.floating, kind: dtype) -> float:
    """One sample; count and p are scalars of `kind`, so that their products round as PyTorch's."""
    if count <= 0 or p <= 0:
        return 0.0
    if p >= 1:
        return float(count)
    if p <= 0.5:
        return _few_successes(generator, count, p)
    if p > 0.5:
        q = kind.numpy.type(1.0 - float(p))
        return float(count) - _few_successes(generator, count, q)
    return math.nan


def _few_successes(generator: Generator, count: np.floating, p: np.floating) -> float:
    if count * p >= _SMALL_MEAN:
        return _binomial_by_rejection(generator, count, p)
    log_failure = float(np.log1p(-p))
    trials, successes = 0.0, 0
    while True:
        trials += math.ceil(_log(one_unit(generator)) / log_failure)
        if trials > count:
            return float(successes)
        successes += 1


def _binomial_by_rejection(generator: Generator, count: np.floating, p: np.floating) -> float:
    one = count.dtype.type(1)
    deviation = float(np.sqrt(count * p * (one - p)))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * float(p)
    centre = float(count * p) + 0.5
    squeeze = 0.92 - 4.2 / b
    odds = float(p / (one - p))
    alpha = (2.83 + 5.1 / b) * deviation
    mode = float(np.floor((count + one) * p))
    n = float(count)
    while True:
        u = one_unit(generator) - 0.5
        v = one_unit(generator)
        margin = 0.5 - abs(u)
        k = float(_floor((2 * a / margin + b) * u + centre)) if margin else -1.0
        if k < 0 or k > n:
            continue
        if margin >= 0.07 and v <= squeeze:
            return k
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (n - mode + 1)))
            + (n + 1) * math.log((n - mode + 1) / (n - k + 1))
            + (k + 0.5) * math.log(odds * (n - k + 1) / (k + 1))
            + _stirling_tail(mode)
            + _stirling_tail(n - mode)
            - _stirling_tail(k)
            - _stirling_tail(n - k)
        )
        if _log(v * alpha / (a / (margin * margin) + b)) <= bound:
            return k


_STIRLING_TAILS = (
    0.0810614667953272,
    0.0413406959554092,
    0.0276779256849983,
    0.02079067210376509,
    0.0166446911898211,
    0.0138761288230707,
    0.0118967099458917,
    0.0104112652619720,
    0.00925546218271273,
    0.00833056343336287,
)


def _stirling_tail(k: float) -> float:
    """`log k!` less Stirling's approximation of it."""
    if k < len(_STIRLING_TAILS):
        return _STIRLING_TAILS[int(k)]
    square = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)
