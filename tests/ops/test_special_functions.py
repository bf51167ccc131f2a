"""The special functions of `ops/numerics` against PyTorch's in float64, over wide ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pellucid.ops.numerics import bessel, erf, gamma, normal

RNG = np.random.default_rng(0)
WIDE = np.concatenate([RNG.uniform(-30, 30, 2000), RNG.uniform(-3, 3, 2000), np.arange(-5.0, 6)])
EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-300, 1e-10])
PROBABILITIES = np.concatenate([RNG.uniform(0, 1, 2000), 10.0 ** -np.arange(1, 300, 7), [0, 1, 2]])
CASES: list[tuple[Any, Any, np.ndarray, float]] = [
    (erf.erf_wide, torch.erf, WIDE, 1e-15),
    (erf.erfc, torch.erfc, WIDE, 2e-15),
    (erf.erfcx, torch.special.erfcx, WIDE[WIDE > -20], 2e-13),
    (erf.erfinv, torch.erfinv, np.linspace(-0.999, 0.999, 2001), 1e-12),
    (gamma.lgamma, torch.lgamma, WIDE, 1e-13),
    (gamma.digamma, torch.digamma, WIDE, 1e-11),
    (bessel.i0, torch.special.i0, WIDE, 5e-15),
    (bessel.i0e, torch.special.i0e, WIDE, 5e-15),
    (bessel.i1, torch.special.i1, WIDE, 5e-15),
    (bessel.i1e, torch.special.i1e, WIDE, 5e-15),
    (normal.ndtri, torch.special.ndtri, PROBABILITIES, 5e-15),
    (normal.log_ndtr, torch.special.log_ndtr, WIDE, 5e-15),
]


@pytest.mark.parametrize(("ours", "theirs", "points", "tolerance"), CASES)
def test_as_accurate_as_double_precision_allows(
    ours: Any, theirs: Any, points: np.ndarray, tolerance: float
) -> None:
    x = np.concatenate([points, EDGES])
    want = theirs(torch.from_numpy(x)).numpy()
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(ours(x), want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_polygamma(n: int) -> None:
    want = torch.polygamma(n, torch.from_numpy(WIDE)).numpy()
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(gamma.polygamma(n, WIDE), want, rtol=1e-9)


def test_zeta() -> None:
    x, q = RNG.uniform(1.01, 20, 3000), RNG.uniform(0.01, 30, 3000)
    want = torch.special.zeta(torch.from_numpy(x), torch.from_numpy(q)).numpy()
    np.testing.assert_allclose(gamma.zeta(x, q), want, rtol=1e-14)


@pytest.mark.parametrize("upper", [False, True])
def test_incomplete_gamma_functions(upper: bool) -> None:
    a = np.concatenate([RNG.uniform(0, 20, 2000), [0, 0, 1, np.inf, np.inf, 2, -1]])
    x = np.concatenate([RNG.uniform(0, 40, 2000), [0, 1, 0, 1, np.inf, np.inf, 1]])
    theirs = torch.igammac if upper else torch.igamma
    want = theirs(torch.from_numpy(a), torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(gamma.incomplete_gamma(a, x, upper), want, rtol=1e-10, atol=1e-14)


def test_the_two_incomplete_gamma_functions_add_up_to_one_for_large_arguments() -> None:
    a = RNG.uniform(100, 5000, 300)
    x = a * RNG.uniform(0.8, 1.2, 300)
    lower, upper = (gamma.incomplete_gamma(a, x, upper) for upper in (False, True))
    np.testing.assert_allclose(lower + upper, 1, rtol=1e-12)


@pytest.mark.parametrize("ours", [erf.normal_cdf, lambda x: _written(erf.erf_into, x)])
def test_single_precision_is_within_a_few_units_in_the_last_place(ours: Any) -> None:
    x = np.linspace(-9, 9, 20001).astype(np.float32)
    wide = torch.from_numpy(x).double()
    want = (torch.special.ndtr(wide) if ours is erf.normal_cdf else torch.erf(wide)).numpy()
    np.testing.assert_allclose(ours(x), want, rtol=1e-3, atol=4e-7)


def _written(function: Any, x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    function(x, out)
    return out
