"""One target, many approximations: `approximate(target, …)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.lab.diagnosis import Finding, diagnose
from pellucid.lab.fits import Fit, measuring_points
from pellucid.lab.networks import Ensemble, check_shape, parameters_of
from pellucid.lab.polynomials import FAMILIES, check_degree
from pellucid.lab.targets import Target, target_of
from pellucid.lab.training import Training, check_size, check_steps, chosen_optimiser, train

GOOD = 0.02
"""A sup error below this part of the target's range counts as a fit that succeeded."""


POINTS = (160, 600)
"""Where networks are fitted, on an interval and in more dimensions."""


@dataclass
class Comparison:
    """The approximations of a target, and what the laboratory has to say about them."""

    target: Target
    fits: list[Fit] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def networks(self) -> list[Fit]:
        """The fits by networks."""
        return [fit for fit in self.fits if fit.family == "network"]

    @property
    def families(self) -> dict[str, list[Fit]]:
        """The fits of each family."""
        found: dict[str, list[Fit]] = {}
        for fit in self.fits:
            found.setdefault(fit.family, []).append(fit)
        return found

    @property
    def best(self) -> list[Fit]:
        """The fit of each family that has the smallest sup error."""
        return [min(fits, key=lambda fit: fit.sup) for fits in self.families.values()]

    def as_json(self) -> dict[str, Any]:
        """Everything that is numbers or words."""
        return {
            "target": self.target.name,
            "interval": list(self.target.interval),
            "fits": [fit.as_json() for fit in self.fits],
            "findings": [finding.as_json() for finding in self.findings],
        }


def checked(
    target: Target,
    widths: Sequence[int],
    activation: str,
    seeds: int,
    optimiser: str | None = None,
    points: int = POINTS[0],
) -> str:
    """The optimiser that networks of this shape are trained by.

    Raises: ValueError for a shape, activation or optimiser that makes no sense, or more than fits.
    """
    check_shape(widths, activation)
    parameters = parameters_of(target.dimension, widths)
    chosen = chosen_optimiser(optimiser, parameters)
    check_size(chosen, parameters, sum(widths), seeds, points)
    return chosen


def fit_networks(
    target: Target,
    widths: Sequence[int],
    activation: str = "tanh",
    *,
    seeds: int | Sequence[int] = 16,
    optimiser: str | None = "levenberg",
    steps: int | None = None,
    learning_rate: float | None = None,
    points: int | None = None,
    gain: float = 1.0,
    spread: bool = True,
    scaled: bool = True,
    progress: Callable[[float], None] = lambda part: None,
) -> tuple[Fit, Ensemble, Training]:
    """Networks of one shape, one for each seed, trained together; the fit is the best one's, its
    `spread` the sup errors of all.
    """
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not chosen:
        raise ValueError("at least one seed is needed")
    points = points or POINTS[target.dimension > 1]
    optimiser = checked(target, widths, activation, len(chosen), optimiser, points)
    low, high = target.interval
    place = {"centre": (low + high) / 2, "scale": (high - low) / 2} if scaled else {}
    ensemble = Ensemble(
        target.dimension, widths, activation, chosen, gain=gain, spread=spread, **place
    )
    x = target.grid(points)
    training = train(
        ensemble, x, target.values(x), optimiser=optimiser, steps=steps,
        learning_rate=learning_rate, progress=progress,
    )  # fmt: skip
    places = measuring_points(target)
    wanted = target.values(places)
    members = [ensemble.member(number) for number in range(len(chosen))]
    with np.errstate(all="ignore"):
        errors = [float(np.abs(member(places) - wanted).max()) for member in members]
    errors = [error if np.isfinite(error) else float("inf") for error in errors]
    best = int(np.argmin(errors))
    shape = "-".join(map(str, widths))
    fit = Fit(
        "network", f"{shape} {activation}", members[best].parameters, training.seconds,
        members[best], spread=tuple(errors), seeds=chosen, losses=training.losses,
        steps=training.steps, model=members[best],
    ).measured(target)  # fmt: skip
    return fit, ensemble, training


def approximate(
    what: Any,
    interval: tuple[float, float] | None = None,
    *,
    units: int | Sequence[int] = 4,
    activation: str = "tanh",
    degrees: Sequence[int] = tuple(range(3, 16, 2)),
    families: Sequence[str] = ("Taylor", "Chebyshev", "interpolation, equispaced"),
    seeds: int | Sequence[int] = 16,
    optimiser: str | None = None,
    steps: int | None = None,
    progress: Callable[[str, float], None] = lambda what, part: None,
) -> Comparison:
    """Approximate a target (a name, an expression, a function) by polynomials of `degrees` and by
    `seeds` networks with hidden layers `units`; where no network fits, say why.

    Without `optimiser`, small networks are trained by Levenberg-Marquardt and large ones by Adam.
    """
    target = target_of(what, interval)
    if target.dimension != 1:
        raise ValueError("approximate compares functions of one variable")
    unknown = [family for family in families if family not in FAMILIES]
    if unknown:
        raise ValueError(f"there is no family {unknown[0]!r}; there are {', '.join(FAMILIES)}")
    target.values(measuring_points(target))  # refuses what is not finite before anything is fitted
    widths = (units,) if isinstance(units, int) else tuple(units)
    count = seeds if isinstance(seeds, int) else len(seeds)
    optimiser = checked(target, widths, activation, count, optimiser)
    check_steps(steps)
    for degree in degrees:
        check_degree(degree)
    comparison = Comparison(target)
    total = len(families) * len(degrees)
    for number, (family, degree) in enumerate((f, d) for f in families for d in degrees):
        progress(f"{family}, degree {degree}", number / max(total, 1))
        comparison.fits.append(FAMILIES[family](target, degree))
    fit, ensemble, training = fit_networks(
        target, widths, activation, seeds=seeds, optimiser=optimiser, steps=steps,
        progress=lambda part: progress("networks", part),
    )  # fmt: skip
    comparison.fits.append(fit)
    low, high = _range(target)
    if fit.sup > GOOD * max(high - low, 1e-12):
        comparison.findings = diagnose(target, fit, ensemble, training, fit_networks)
    return comparison


def _range(target: Target) -> tuple[float, float]:
    values = target.values(target.grid(401))
    return float(values.min()), float(values.max())
