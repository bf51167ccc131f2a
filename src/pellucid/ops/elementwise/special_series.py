"""Bessel and Airy functions and orthogonal polynomials as operators; the arithmetic is `numerics/`.

PyTorch gives none of them a gradient: their results never require one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.elementwise.pointwise import floating, pointwise
from pellucid.ops.elementwise.refusals import COMPLEX, HALF, kernel
from pellucid.ops.numerics import airy, bessel, cylinder, orthogonal
from pellucid.ops.spec import NoGradient

_NONE = NoGradient("PyTorch has no derivative of it")


def _at_infinity(function: Any) -> Any:
    """`function`, NaN at ±∞ as PyTorch's own kernel of it gives."""

    def finite(x: np.ndarray) -> np.ndarray:
        return np.where(np.isinf(x), np.nan, function(x)).astype(x.dtype)

    finite.__doc__ = function.__doc__
    return finite


def _function(name: str, function: Any) -> Any:
    return pointwise(
        name,
        lambda input: function(input),
        rule=floating,
        where="special",
        inplace=False,
        refuse=kernel(f"{name}_cpu", COMPLEX, HALF),
        gradient=_NONE,
        doc=function.__doc__,
    )


def _polynomial(name: str, function: Any) -> Any:
    return pointwise(
        name,
        lambda input, n: function(*np.broadcast_arrays(input, n)),
        "input n",
        rule=floating,
        where="special",
        tensors="any",
        inplace=False,
        refuse=kernel(f"{name}_cpu", COMPLEX, HALF),
        gradient=_NONE,
        doc=f"{function.__doc__} 0 for n below 0.",
    )


airy_ai = _function("airy_ai", airy.airy_ai)
bessel_j0 = _function("bessel_j0", cylinder.j0)
bessel_j1 = _function("bessel_j1", cylinder.j1)
bessel_y0 = _function("bessel_y0", cylinder.y0)
bessel_y1 = _function("bessel_y1", cylinder.y1)
modified_bessel_i0 = _function("modified_bessel_i0", _at_infinity(bessel.i0))
modified_bessel_i1 = _function("modified_bessel_i1", _at_infinity(bessel.i1))
modified_bessel_k0 = _function("modified_bessel_k0", cylinder.k0)
modified_bessel_k1 = _function("modified_bessel_k1", cylinder.k1)
scaled_modified_bessel_k0 = _function("scaled_modified_bessel_k0", cylinder.k0e)
scaled_modified_bessel_k1 = _function("scaled_modified_bessel_k1", cylinder.k1e)
spherical_bessel_j0 = _function("spherical_bessel_j0", cylinder.spherical_j0)

for _kind, _chebyshev in (
    ("t", orthogonal.chebyshev_t),
    ("u", orthogonal.chebyshev_u),
    ("v", orthogonal.chebyshev_v),
    ("w", orthogonal.chebyshev_w),
):
    _polynomial(f"chebyshev_polynomial_{_kind}", _chebyshev)
    _polynomial(f"shifted_chebyshev_polynomial_{_kind}", orthogonal.shifted(_chebyshev))

hermite_polynomial_h = _polynomial("hermite_polynomial_h", orthogonal.hermite_h)
hermite_polynomial_he = _polynomial("hermite_polynomial_he", orthogonal.hermite_he)
laguerre_polynomial_l = _polynomial("laguerre_polynomial_l", orthogonal.laguerre_l)
legendre_polynomial_p = _polynomial("legendre_polynomial_p", orthogonal.legendre_p)
