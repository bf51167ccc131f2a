"""More basis functions, better fit: for polynomials and for networks."""

from __future__ import annotations

import itertools

import numpy as np

from pellucid.lab.compare import fit_networks
from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.polynomials import chebyshev, monomials
from pellucid.lab.targets import TARGETS

SMOOTH = ("sine", "runge")


def measure(settings: Settings) -> Outcome:
    """Errors over the number of basis functions, for smooth targets and both families."""
    targets = [settings.target] if settings.target else [TARGETS[name] for name in SMOOTH]
    degrees = settings.of((3, 5, 8, 12, 17, 24, 34, 48, 68, 96), (3, 6, 12, 24, 48, 96))
    widths = settings.of((1, 2, 4, 8, 16), (1, 2, 4, 8))
    seeds = settings.seeds(16, 8)
    figures, numbers = [], {}
    best_falls, median_falls = True, True
    lost: list[int | None] = []
    worse = 0.0
    for target in targets:
        figure = Figure(
            f"{target.name}: error over basis functions", "basis functions", "sup error",
            log_x=True, log_y=True,
        )  # fmt: skip
        good = [chebyshev(target, d).sup for d in degrees]
        powers = [monomials(target, d) for d in degrees]
        plain = [fit.sup for fit in powers]
        undetermined = next((d for d, f in zip(degrees, powers, strict=True) if f.note), None)
        fits = [
            fit_networks(
                target, (w,), seeds=seeds, steps=settings.of(200, 80), points=settings.of(160, 80)
            )[0]
            for w in widths
        ]
        best = [fit.sup for fit in fits]
        median = [float(np.median(fit.spread)) for fit in fits]
        figure.line("Chebyshev, least squares", np.array(degrees) + 1, good)
        figure.line("monomials, least squares", np.array(degrees) + 1, plain)
        figure.line("tanh network, best seed", widths, best)
        figure.line("tanh network, median seed", widths, median)
        figures.append(figure)
        best_falls &= best[-1] < 0.2 * best[0]
        median_falls &= all(b <= 1.05 * a for a, b in itertools.pairwise(median))
        lost.append(undetermined)
        worse = max(worse, plain[-1] / max(good[-1], 1e-16))
        numbers[target.name] = {
            "Chebyshev": good, "monomials": plain, "best": best, "median": median,
        }  # fmt: skip
    fell = max(each["Chebyshev"][-1] / each["Chebyshev"][0] for each in numbers.values())
    if fell > 0.5 or not best_falls:
        family = "polynomials" if fell > 0.5 else "networks"
        why = f"the errors of {family} did not fall with their size"
        return Outcome("does not hold", why, numbers, figures)
    conditions = []
    if fell > 1e-3:
        conditions.append(
            f"Polynomials gained a factor of {1 / fell:.0f} only between degree {degrees[0]} and "
            f"{degrees[-1]}: the target is not smooth"
        )
    if any(degree is not None for degree in lost):
        first = min(degree for degree in lost if degree is not None)
        conditions.append(
            f"In floating point monomials have too many coefficients from degree {first} on: the "
            f"data no longer determine them all. At degree {degrees[-1]} their error is up to "
            f"{worse:.1g} times that of Chebyshev polynomials of the same degree: it is the basis "
            "that matters, not their number alone"
        )
    if not median_falls:
        conditions.append(
            "For networks it is the best of several seeds that improves with every size; the "
            "median seed does not: training, not the space, decides"
        )
    if not conditions:
        return Outcome("holds", "errors fell with size for both families", numbers, figures)
    return Outcome("holds with conditions", ". ".join(conditions) + ".", numbers, figures)


EXPERIMENT = Experiment(
    "basis_functions",
    "More basis functions, better fit",
    "Polynomials by a higher degree and networks by more neurons: both get closer by adding basis "
    "functions (两者都通过增加基函数的数量来提升拟合精度).",
    "sin(2πx) and Runge's function on [-1, 1]; least squares in Chebyshev polynomials and in "
    "monomials up to degree 96; tanh networks of one hidden layer, several seeds each, trained by "
    "Levenberg-Marquardt.",
    measure,
)
