"""Approximation by polynomials and splines: NumPy's and SciPy's, and Taylor's by derivatives of
functions.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.polynomial import chebyshev as chebyshev_series

from pellucid import func
from pellucid.lab.fits import Fit
from pellucid.lab.targets import Target
from pellucid.ops.api import F
from pellucid.tensor.dtype import float64

SLOWEST = 10.0
"""Seconds after which Taylor's series stops taking higher derivatives."""


def check_degree(degree: int) -> int:
    """A degree that makes sense. ValueError otherwise."""
    if isinstance(degree, bool) or not isinstance(degree, int) or not 0 <= degree <= 200:
        raise ValueError(f"a degree is a whole number from 0 to 200, not {degree!r}")
    return degree


def taylor(target: Target, degree: int, centre: float | None = None) -> Fit:
    """Taylor's polynomial around `centre` (the middle of the interval), its coefficients by nested
    `func.grad`.

    Where the function has no derivative, what autograd answers there is taken, and the note says
    when it is not finite. Derivatives that would take too long are left out, and the note says so.
    """
    check_degree(degree)
    low, high = target.interval
    middle = (low + high) / 2 if centre is None else centre
    start = perf_counter()
    point = F.tensor(middle, dtype=float64)
    derivative: Callable[..., object] = target.function
    coefficients, note = [], ""
    for order in range(degree + 1):
        began = perf_counter()
        value = float(derivative(point))  # type: ignore[arg-type]
        if not math.isfinite(value):
            note = f"the derivative of order {order} at {middle:g} is {value}"
            break
        coefficients.append(value / math.factorial(order))
        if (perf_counter() - began) * 3 + (began - start) > SLOWEST and order < degree:
            note = f"stopped at order {order}: the next derivative would take too long"
            break
        derivative = func.grad(derivative)
    found = Polynomial(coefficients or [0.0])
    return Fit(
        "Taylor", f"degree {degree}", degree + 1, perf_counter() - start,
        lambda x: found(x - middle), note=note,
    ).measured(target)  # fmt: skip


def _points(target: Target, degree: int) -> np.ndarray:
    return target.grid(max(400, 8 * (degree + 1)))


def monomials(target: Target, degree: int) -> Fit:
    """Least squares in 1, x, x², …: exact in theory, ill-conditioned in floating point."""
    check_degree(degree)
    start = perf_counter()
    x = _points(target, degree)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.RankWarning)
        coefficients, details = np.polynomial.polynomial.polyfit(
            x, target.values(x), degree, full=True
        )
    found = Polynomial(coefficients)
    rank = int(details[1])
    note = "" if rank == degree + 1 else f"only {rank} of {degree + 1} coefficients are determined"
    return Fit(
        "monomials", f"degree {degree}", degree + 1, perf_counter() - start, found, note=note
    ).measured(target)


def chebyshev(target: Target, degree: int) -> Fit:
    """Least squares in Chebyshev polynomials, sampled where they are nearly orthogonal."""
    check_degree(degree)
    start = perf_counter()
    low, high = target.interval
    nodes = chebyshev_series.chebpts1(max(400, 4 * (degree + 1)))
    x = low + (nodes + 1) / 2 * (high - low)
    found = Chebyshev.fit(x, target.values(x), degree, domain=[low, high])
    return Fit("Chebyshev", f"degree {degree}", degree + 1, perf_counter() - start, found).measured(
        target
    )


def interpolation(target: Target, degree: int, nodes: str = "chebyshev") -> Fit:
    """The polynomial through `degree + 1` points of the target, "equispaced" or "chebyshev"."""
    check_degree(degree)
    start = perf_counter()
    low, high = target.interval
    if nodes == "equispaced":
        x = np.linspace(low, high, degree + 1) if degree else np.array([(low + high) / 2])
    elif nodes == "chebyshev":
        x = low + (chebyshev_series.chebpts1(degree + 1) + 1) / 2 * (high - low)
    else:
        raise ValueError(f"nodes are 'equispaced' or 'chebyshev', not {nodes!r}")
    # Through all points exactly, in the basis that is best conditioned on the interval.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.RankWarning)
        found = Chebyshev.fit(x, target.values(x), degree, domain=[low, high])
    return Fit(
        f"interpolation, {nodes}", f"degree {degree}", degree + 1, perf_counter() - start, found
    ).measured(target)


def spline(target: Target, pieces: int, degree: int = 3) -> Fit:
    """SciPy's interpolating spline with about `pieces` polynomial pieces."""
    try:
        from scipy.interpolate import make_interp_spline
    except ImportError:
        raise ImportError("splines need SciPy: pip install 'pellucid[lab]'") from None
    if pieces < 1:
        raise ValueError(f"a spline has at least one piece, not {pieces}")
    start = perf_counter()
    x = target.grid(max(pieces + 1, degree + 1))
    found = make_interp_spline(x, target.values(x), degree)
    return Fit(
        "spline", f"{len(x)} knots", len(x), perf_counter() - start, lambda p: np.asarray(found(p))
    ).measured(target)


FAMILIES: dict[str, Callable[[Target, int], Fit]] = {
    "Taylor": taylor,
    "monomials": monomials,
    "Chebyshev": chebyshev,
    "interpolation, equispaced": lambda target, degree: interpolation(target, degree, "equispaced"),
    "interpolation, chebyshev": interpolation,
}
"""The polynomial families by name, as functions of target and degree."""


def tensor_product(target: Target, degree: int) -> Fit:
    """Least squares in all products of Chebyshev polynomials of at most `degree` in each of the
    target's dimensions: (degree + 1)**dimension terms.
    """
    check_degree(degree)
    start = perf_counter()
    terms = (degree + 1) ** target.dimension
    x = target.grid(3 * terms)
    low, high = target.interval

    def basis(points: np.ndarray) -> np.ndarray:
        scaled = 2 * (points.reshape(len(points), -1) - low) / (high - low) - 1
        table = np.ones((len(points), 1))
        for column in scaled.T:
            each = chebyshev_series.chebvander(column, degree)
            table = (table[:, :, None] * each[:, None, :]).reshape(len(points), -1)
        return table

    coefficients = np.linalg.lstsq(basis(x), target.values(x), rcond=None)[0]
    return Fit(
        "tensor product", f"degree {degree}", terms, perf_counter() - start,
        lambda points: basis(points) @ coefficients,
    ).measured(target)  # fmt: skip
