"""sin(2πx) on [-1, 1] with four units of tanh, against Taylor's series of growing order."""

from __future__ import annotations

import numpy as np

from pellucid.lab.compare import fit_networks
from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.polynomials import chebyshev, taylor
from pellucid.lab.targets import TARGETS

CLOSE = 0.015
"""A sup error that counts as a close fit, as a part of the target's range."""


def measure(settings: Settings) -> Outcome:
    """The network's errors over seeds and optimisers, Taylor's over degrees."""
    target = settings.target or TARGETS["sine"]
    x = np.linspace(*target.interval, 241)
    close = CLOSE * float(np.ptp(target.values(x)))
    # A few in a hundred seeds find some functions.
    seeds = settings.seeds(96, 48)
    fit, _, _ = fit_networks(target, (4,), seeds=seeds, steps=settings.of(300, 200), points=100)
    slow, _, _ = fit_networks(
        target, (4,), seeds=seeds[:16], optimiser="adam", steps=settings.of(5000, 1000), points=100
    )
    degrees = list(range(1, 24, 2))
    series = [taylor(target, degree).sup for degree in degrees]
    fair = [chebyshev(target, degree).sup for degree in degrees]
    needed = next((d for d, e in zip(degrees, series, strict=True) if e <= fit.sup), None)
    equal = chebyshev(target, fit.parameters - 1).sup
    figure = Figure("sup error over parameters", "parameters", "sup error", log_y=True)
    figure.line("Taylor", np.array(degrees) + 1, series)
    figure.line("Chebyshev", np.array(degrees) + 1, fair)
    figure.line("4 tanh units, each seed", [fit.parameters] * len(seeds), fit.spread)
    curve = Figure("the best network", "x", "f(x)")
    curve.line("target", x, target.values(x), marked=False)
    curve.line("network", x, fit.evaluate(x), marked=False, dashed=True)
    parts = Figure("its four units, whose sum it is", "x", "what a unit adds")
    for number, unit in enumerate(fit.model.units(x).T):
        parts.line(f"unit {number + 1}", x, unit - unit.mean(), marked=False)
    figures = [figure, curve, parts]
    good = float(np.mean(np.array(fit.spread) < close))
    by_adam = float(np.mean(np.array(slow.spread) < close))
    numbers = {
        "best": fit.sup, "close seeds": good, "close seeds with adam": by_adam,
        "Taylor degree needed": needed, "Chebyshev at as many parameters": equal,
    }  # fmt: skip
    if fit.sup >= close:
        why = (
            f"The best of {len(seeds)} seeds is {fit.sup:.3g} away; {close:.2g} would be close. "
            f"Four units are too few for this function, or were not found. Taylor's series reaches "
            f"{min(series):.2g} by degree {degrees[-1]}, Chebyshev polynomials {min(fair):.2g}."
        )
        return Outcome("does not hold", why, numbers, figures)
    if needed is None:
        taylors = f"no Taylor polynomial up to degree {degrees[-1]} is as close"
    else:
        taylors = f"Taylor's series needs degree {needed} to be as close"
    why = (
        f"Four units do: the best seed is {fit.sup:.2g} away, and {taylors}. But only {good:.0%} "
        f"of the seeds get below {close:.2g} by Levenberg-Marquardt, {by_adam:.0%} by Adam; "
        + (
            "Taylor's series does not oscillate here (its errors fall with the degree), it is "
            "merely good near its centre only; "
            if series[-1] < series[0]
            else "Taylor's series gets worse with the degree here, but for want of convergence; "
        )
        + f"and a Chebyshev polynomial with the network's {fit.parameters} parameters is "
        f"{equal:.2g} away."
    )
    return Outcome("holds with conditions", why, numbers, figures)


EXPERIMENT = Experiment(
    "four_units",
    "sin(2πx) by four tanh units",
    "Polynomials need a high order, and high powers tend to oscillate; four tanh neurons already "
    "fit with high accuracy (仅需4个Tanh神经元即可高精度拟合).",
    "13 parameters, many seeds, Levenberg-Marquardt and Adam; Taylor's series around 0 and "
    "Chebyshev least squares of growing degree; largest error on [-1, 1].",
    measure,
)
