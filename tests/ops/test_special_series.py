"""Bessel and Airy functions and orthogonal polynomials against SciPy's, where PyTorch's are less
exact than these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special as reference

import pellucid as torch

NEAR = np.concatenate([np.linspace(0.01, 60, 3000), np.geomspace(1e-9, 1e-2, 200)])
FUNCTIONS = {
    "bessel_j0": reference.j0,
    "bessel_j1": reference.j1,
    "bessel_y0": reference.y0,
    "bessel_y1": reference.y1,
    "modified_bessel_k0": reference.k0,
    "modified_bessel_k1": reference.k1,
    "scaled_modified_bessel_k0": reference.k0e,
    "scaled_modified_bessel_k1": reference.k1e,
    "airy_ai": lambda x: reference.airy(x)[0],
}


def ours(name: str, *args: Any) -> np.ndarray:
    return getattr(torch.special, name)(*(torch.from_numpy(a) for a in args)).numpy()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_values_equal_scipys(name: str) -> None:
    """To 13 digits of the value, or of 1 where an oscillation goes through zero."""
    points = np.concatenate([NEAR, -NEAR]) if name in ("airy_ai", "bessel_j1") else NEAR
    np.testing.assert_allclose(ours(name, points), FUNCTIONS[name](points), rtol=2e-13, atol=2e-14)


@pytest.mark.parametrize(
    ("name", "zero"),
    [
        ("bessel_y0", -np.inf),
        ("bessel_y1", -np.inf),
        ("modified_bessel_k0", np.inf),
        ("scaled_modified_bessel_k1", np.inf),
    ],
)
def test_poles(name: str, zero: float) -> None:
    """Infinite at 0, NaN below it."""
    found = ours(name, np.array([0.0, -1.0, np.nan]))
    np.testing.assert_array_equal(found, [zero, np.nan, np.nan])


POLYNOMIALS = {
    "chebyshev_polynomial_t": reference.eval_chebyt,
    "chebyshev_polynomial_u": reference.eval_chebyu,
    "hermite_polynomial_h": reference.eval_hermite,
    "hermite_polynomial_he": reference.eval_hermitenorm,
    "laguerre_polynomial_l": reference.eval_laguerre,
    "legendre_polynomial_p": reference.eval_legendre,
    "shifted_chebyshev_polynomial_t": reference.eval_sh_chebyt,
    "shifted_chebyshev_polynomial_u": reference.eval_sh_chebyu,
}


@pytest.mark.parametrize("name", sorted(POLYNOMIALS))
def test_polynomials_equal_scipys(name: str) -> None:
    """Degrees 0 to 15, inside and outside the interval and at its ends."""
    x = np.array([-1.5, -1.0, -0.3, 0.0, 0.2, 0.5, 0.9, 1.0, 1.7])[:, None]
    degree = np.arange(16)[None, :]
    expected = POLYNOMIALS[name](degree, x)
    np.testing.assert_allclose(ours(name, x, degree), expected, rtol=1e-10, atol=1e-10)


def test_degrees_are_numbers_too() -> None:
    """A Python number as degree or as point; a fraction is dropped; 0 below degree 0."""
    x = torch.tensor([0.5, 2.0])
    assert torch.special.legendre_polynomial_p(x, 2.7).tolist() == [-0.125, 5.5]
    assert torch.special.legendre_polynomial_p(2.0, torch.tensor([0, 1, -1])).tolist() == [1, 2, 0]
