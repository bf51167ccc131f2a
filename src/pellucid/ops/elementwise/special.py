"""Special functions as operators; the arithmetic is `numerics/`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.masks import keep
from pellucid.ops.elementwise.pointwise import elementwise, floating, pointwise
from pellucid.ops.elementwise.refusals import COMPLEX, EXACT, HALF, kernel
from pellucid.ops.numerics import bessel, gamma, normal
from pellucid.ops.numerics import erf as error_functions
from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import registry
from pellucid.ops.underivable import listed
from pellucid.tensor.dtype import finfo
from pellucid.tensor.tensor import Tensor

_EVERYWHERE = "torch Tensor special"


def _unary(
    name: str,
    function: Any,
    gradient: Any,
    where: str = _EVERYWHERE,
    stub: str = "",
    half: bool = True,
) -> Any:
    """A row for a function of one real array."""
    kinds = (COMPLEX,) if half else (COMPLEX, HALF)
    return pointwise(
        name,
        lambda input: function(input),
        rule=floating,
        where=where,
        inplace="Tensor" in where,
        refuse=kernel(stub or f"{name}_cpu", *kinds),
        gradient={"input": gradient},
        doc=function.__doc__,
    )


# -- error functions


@elementwise(
    rule=floating,
    where=_EVERYWHERE,
    refuse=kernel("erf_vml_cpu", COMPLEX),
    gradient={"input": lambda grad, input: grad * (2 / math.sqrt(math.pi)) * F.exp(-input.pow(2))},
)
def erf(input: Any, out: Any) -> None:
    """The error function: 2/√π · ∫₀ˣ exp(−t²) dt."""
    error_functions.erf_into(input, out)


erfc = _unary(
    "erfc",
    error_functions.erfc,
    lambda grad, input: grad * (-2 / math.sqrt(math.pi)) * F.exp(-input.pow(2)),
    stub="erfc_vml_cpu",
)
erfinv = _unary(
    "erfinv",
    error_functions.erfinv,
    lambda grad, out: grad * (0.5 * math.sqrt(math.pi)) * F.exp(out.pow(2)),
    stub="erfinv_vml_cpu",
)
erfcx = _unary(
    "erfcx",
    error_functions.erfcx,
    lambda grad, input, out: (2.0 * input * out - 2.0 / math.sqrt(math.pi)) * grad,
    where="special",
    half=False,
)


@composite(where="special", out=True)
def ndtr(input: Tensor) -> Tensor:
    """Φ(x), the distribution function of the normal distribution."""
    return (1 + erf(input * math.sqrt(0.5))) * 0.5


ndtri = _unary(
    "ndtri",
    normal.ndtri,
    lambda grad, out: grad * math.sqrt(2 * math.pi) * F.exp(F.square(out) / 2),
    where="special",
    half=False,
)
log_ndtr = _unary(
    "log_ndtr",
    normal.log_ndtr,
    lambda grad, input, out: grad / math.sqrt(2 * math.pi) * F.exp(-(out + input.pow(2) / 2)),
    where="special",
    half=False,
)

# -- gamma functions

lgamma = _unary(
    "lgamma",
    gamma.lgamma,
    lambda grad, input: grad * F.digamma(input),
    where="torch Tensor",
    stub="lgamma_vml_cpu",
)
digamma = _unary(
    "digamma", gamma.digamma, lambda grad, input: grad * polygamma(1, input), stub="digamma"
)


@operator(
    where="torch special",
    out=True,
    gradient={"input": lambda grad, n, input: grad * polygamma(n + 1, input)},
)
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of `digamma`."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return _polygamma(input, n=n)


@elementwise(
    rule=floating,
    where="internal",
    inplace=False,
    refuse=kernel("polygamma", COMPLEX),
    gradient={"input": lambda grad, n, input: grad * polygamma(n + 1, input)},
)
def _polygamma(input: Any, n: int) -> Any:
    """The n-th derivative of `digamma`."""
    return gamma.polygamma(n, input)


def _polygamma_method(input: Tensor, n: int) -> Tensor:
    """The n-th derivative of `digamma`."""
    return polygamma(n, input)


@composite(where="torch Tensor", inplace=True, out=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the gamma function of p dimensions."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    if input.dtype.is_complex:
        raise RuntimeError("mvlgamma: complex inputs are not supported")
    steps = F.arange(
        -p / 2 + 0.5, 0.5, 0.5, dtype=input.dtype if input.dtype.is_floating_point else None
    )
    total = F.lgamma(input.unsqueeze(-1) + steps).sum(-1)
    return total + p * (p - 1) / 4 * math.log(math.pi)


def _incomplete(name: str, upper: bool, sign: float) -> Any:
    def compute(input: Any, other: Any) -> Any:
        return gamma.incomplete_gamma(input, other, upper)

    return pointwise(
        name,
        compute,
        "input other",
        where="torch Tensor",
        tensors="input other",
        refuse=kernel(f"{name}_cpu", *EXACT, COMPLEX),
        gradient={
            "input": listed(f"{name}: input"),
            "other": lambda grad, input, other: (
                sign * grad * F.exp((input - 1) * F.log(other) - other - F.lgamma(input))
            ),
        },
        doc=f"The regularised {'upper' if upper else 'lower'} incomplete gamma function.",
    )


igamma = _incomplete("igamma", False, 1.0)
igammac = _incomplete("igammac", True, -1.0)


@elementwise(
    "input other",
    rule=floating,
    where="special",
    tensors="any",
    inplace=False,
    refuse=kernel("zeta_cpu", COMPLEX, HALF),
    gradient={
        "input": listed("zeta"),
        "other": lambda grad, input, other: grad * -input * F.special.zeta(input + 1.0, other),
    },
)
def zeta(input: Any, other: Any) -> Any:
    """Hurwitz's zeta function: the sum of (other + k)⁻ⁱⁿᵖᵘᵗ for k = 0, 1, 2, …"""
    return gamma.zeta(input, other)


# -- Bessel functions

i0 = _unary("i0", bessel.i0, lambda grad, input: grad * F.special.i1(input), stub="i0_vml_cpu")
i0e = _unary(
    "i0e",
    bessel.i0e,
    lambda grad, input, out: grad * (F.special.i1e(input) - F.sgn(input) * out),
    where="special",
)


def _i1_grad(grad: Any, input: Any, out: Any) -> Any:
    """I₀(x) − I₁(x)/x, which is 1/2 at 0."""
    tiny = F.abs(input) <= finfo(input.dtype).eps
    safe = input + tiny * (2 * finfo(input.dtype).eps)
    slope = keep(F.i0(safe) - out / safe, F.logical_not(tiny))
    return grad * (slope + 0.5 * tiny)


def _i1e_grad(grad: Any, input: Any, out: Any) -> Any:
    """I₀ₑ(x) − I₁ₑ(x) · (sgn(x) + 1/x), which is 1/2 at 0."""
    tiny = F.abs(input) <= finfo(input.dtype).eps
    safe = input + tiny * (2 * finfo(input.dtype).eps)
    slope = keep(i0e(safe) - out * (F.sgn(input) + F.reciprocal(safe)), F.logical_not(tiny))
    return grad * (slope + 0.5 * tiny)


i1 = _unary("i1", bessel.i1, _i1_grad, where="special")
i1e = _unary("i1e", bessel.i1e, _i1e_grad, where="special")

# -- logarithms with their limits


@elementwise(
    rule=floating,
    where="special",
    inplace=False,
    refuse=kernel("entr_cpu", COMPLEX),
    gradient={"input": lambda grad, input: grad * (-(1 + F.log(input)))},
)
def entr(input: Any) -> Any:
    """−x · log(x): 0 at 0, −∞ below."""
    return np.where(
        input > 0,
        -input * np.log(input),
        np.where(input == 0, 0, np.where(np.isnan(input), input, -np.inf)),
    )


def _logit_grad(grad: Any, input: Any, eps: float | None) -> Any:
    slope = grad / (input * (1 - input))
    if eps is None:
        outside = (input < 0) | (input > 1)
        return F.masked_fill(slope, outside, math.nan)
    return keep(slope, (input >= eps) & (input <= 1 - eps))


@elementwise(
    rule=floating,
    where=_EVERYWHERE,
    native=True,
    refuse=kernel("logit_cpu", COMPLEX),
    gradient={"input": _logit_grad},
)
def logit(input: Any, eps: float | None = None) -> Any:
    """log(x / (1 − x)), x limited to [eps, 1 − eps] if `eps` is given."""
    one = input.dtype.type(1)
    x = input
    if eps is not None:
        low = input.dtype.type(eps)
        x = np.minimum(np.maximum(input, low), one - low)
    return np.log(x / (one - x))


def _xlogy_grad(grad: Any, input: Any, other: Any) -> Any:
    return keep(F.xlogy(grad, other), F.logical_not((input == 0) & (other <= 0)))


@elementwise(
    "input other",
    rule=floating,
    where=_EVERYWHERE,
    tensors="any",
    refuse=kernel("xlogy_cpu", COMPLEX),
    gradient={"input": _xlogy_grad, "other": lambda grad, input, other: grad * input / other},
)
def xlogy(input: Any, other: Any) -> Any:
    """input · log(other), 0 where `input` is 0; NaN where `other` is."""
    return np.where(np.isnan(other), np.nan, np.where(input == 0, 0, input * np.log(other)))


def _xlog1py_grad(grad: Any, input: Any, other: Any) -> Any:
    return keep(F.special.xlog1py(grad, other), F.logical_not((input == 0) & (other <= -1)))


@elementwise(
    "input other",
    rule=floating,
    where="special",
    tensors="any",
    inplace=False,
    refuse=kernel("xlog1py_cpu", COMPLEX),
    gradient={
        "input": _xlog1py_grad,
        "other": lambda grad, input, other: grad * input / (other + 1),
    },
)
def xlog1py(input: Any, other: Any) -> Any:
    """input · log(1 + other), 0 where `input` is 0; NaN where `other` is."""
    return np.where(np.isnan(other), np.nan, np.where(input == 0, 0, input * np.log1p(other)))


def _name(place: str, **calls: Any) -> None:
    """Further names of operators in one place only."""
    for name, call in calls.items():
        registry.put(place, name, guarded_as(f"{place}.{name}", call))


_name(
    "Tensor", polygamma=_polygamma_method, polygamma_=lambda input, n: _polygamma.write(input, n=n)
)
_name(
    "special",
    gammaln=lgamma,
    psi=digamma,
    multigammaln=mvlgamma,
    gammainc=igamma,
    gammaincc=igammac,
    expit=F.sigmoid,
)
