"""Functions of one vector that epilogues and elementwise kernels apply.

Each is within 2 ulp of the exact value unless its docstring says otherwise, in float32 arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pellucid.kernels.language.builder import Builder
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import I32

_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
# Coefficients of exp(r) on [-ln2/2, ln2/2] after 1 + r: Cephes' expf (Moshier).
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
        5.0000001201e-1)  # fmt: skip


def horner(b: Builder, x: Value, coefficients: tuple[float, ...]) -> Value:
    """A polynomial, highest power first."""
    total = b.value(coefficients[0], x.type)
    for c in coefficients[1:]:
        total = b.fma(total, x, c)
    return total


def exp(b: Builder, x: Value) -> Value:
    """e^x = 2^n e^r with |r| <= ln2 / 2; 0 below -103.97, inf above 88.72, NaN for NaN."""
    bounded = b.minimum(b.maximum(x, -104.0), 89.0)
    n = b.unary("round", bounded * (1 / math.log(2)))
    r = b.fma(n, -_LN2_LOW, b.fma(n, -_LN2_HIGH, bounded))
    value = b.fma(horner(b, r, _EXP), r * r, r) + 1.0
    # 2^n in two factors, since n reaches from -150 to 128 and exponents only from -126 to 127.
    whole = b.convert(n, I32)
    half = b.binary("shift_right", whole, 1)
    value = value * _power_of_two(b, half) * _power_of_two(b, whole - half)
    return b.select(b.binary("ne", x, x), x, value)


def _power_of_two(b: Builder, n: Value) -> Value:
    return b.bitcast(b.binary("shift_left", n + 127, 23), b.f32.of(n.type.lanes))


def sigmoid(b: Builder, x: Value) -> Value:
    """1 / (1 + e^-x)."""
    return b.value(1.0, x.type) / (exp(b, -x) + 1.0)


def tanh(b: Builder, x: Value) -> Value:
    """(e^2|x| - 1) / (e^2|x| + 1) with x's sign; for small |x| an odd polynomial (Cephes)."""
    size = b.unary("abs", x)
    square = x * x
    small = horner(
        b, square,
        (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1,
         -3.33332819422e-1),
    )  # fmt: skip
    small = b.select(b.binary("eq", x, 0.0), x, b.fma(small * square, x, x))  # -0 stays
    large = b.value(1.0, x.type) - b.value(2.0, x.type) / (exp(b, size * 2.0) + 1.0)
    large = b.select(b.binary("lt", x, 0.0), -large, large)
    return b.select(b.binary("lt", size, 0.625), small, large)


# tanh(x) = x P(x^2) / Q(x^2) on |x| <= 7.905, the rational approximation of Eigen's generic tanh.
_TANH_P = (-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11,
           5.12229709037114e-08, 1.48572235717979e-05, 6.37261928875436e-04,
           4.89352455891786e-03)  # fmt: skip
_TANH_Q = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


def tanh_rational(b: Builder, x: Value) -> Value:
    """tanh in a third of the time, within 4.4 ulp (2.7e-7 of the value); NaN stays."""
    bounded = b.minimum(b.maximum(x, -7.90531110763549805), 7.90531110763549805)
    square = bounded * bounded
    value = bounded * horner(b, square, _TANH_P) / horner(b, square, _TANH_Q)
    return b.select(b.binary("ne", x, x), x, value)


# erf(x) = x P(x^2) / Q(x^2) on |x| <= 4, the rational approximation of Eigen's generic erf.
_ERF_P = (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06,
          -5.69250639462346e-05, -7.34990630326855e-04, -2.95459980854025e-03,
          -1.60960333262415e-02)  # fmt: skip
_ERF_Q = (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03,
          -7.37332916720468e-03, -1.42647390514189e-02)  # fmt: skip


def erf(b: Builder, x: Value) -> Value:
    """The error function; within 4 ulp."""
    bounded = b.minimum(b.maximum(x, -4.0), 4.0)
    square = bounded * bounded
    value = bounded * horner(b, square, _ERF_P) / horner(b, square, _ERF_Q)
    value = b.minimum(b.maximum(value, -1.0), 1.0)
    return b.select(b.binary("ne", x, x), x, value)


def relu(b: Builder, x: Value) -> Value:
    """max(x, 0); NaN stays."""
    return b.select(b.binary("lt", x, 0.0), 0.0, x)


def gelu(b: Builder, x: Value) -> Value:
    """x Phi(x) with the exact normal distribution."""
    return x * 0.5 * (erf(b, x * math.sqrt(0.5)) + 1.0)


def gelu_tanh(b: Builder, x: Value) -> Value:
    """gelu's approximation by tanh (Hendrycks and Gimpel, 2016)."""
    inner = b.fma(x * x * x, 0.044715, x) * math.sqrt(2 / math.pi)
    return x * 0.5 * (tanh(b, inner) + 1.0)


def silu(b: Builder, x: Value) -> Value:
    """x sigmoid(x)."""
    return x / (exp(b, -x) + 1.0)


ACTIVATIONS: dict[str, Callable[[Builder, Value], Value]] = {
    "": lambda b, x: x,
    "relu": relu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
    "sigmoid": sigmoid,
    "tanh": tanh,
}
"""What an epilogue can apply, by name."""
