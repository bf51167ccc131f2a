"""Runge's phenomenon: interpolation at equispaced points."""

from __future__ import annotations

import numpy as np

from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.polynomials import chebyshev, interpolation
from pellucid.lab.targets import TARGETS


def measure(settings: Settings) -> Outcome:
    """Errors over the degree, at two sets of nodes, for two targets."""
    degrees = settings.of(list(range(2, 41, 2)), list(range(4, 41, 4)))
    figure = Figure("interpolation: sup error over degree", "degree", "sup error", log_y=True)
    numbers = {}
    bad = settings.target or TARGETS["runge"]
    for name, target in (("runge", bad), ("sine", TARGETS["sine"])):
        lines = {
            "equispaced": [interpolation(target, d, "equispaced").sup for d in degrees],
            "Chebyshev nodes": [interpolation(target, d, "chebyshev").sup for d in degrees],
            "least squares": [chebyshev(target, d).sup for d in degrees],
        }
        for what, errors in lines.items():
            figure.line(f"{target.name}, {what}", degrees, errors)
        numbers[name] = lines
    shape = Figure(f"{bad.name}, degree 16", "x", "f(x)")
    x = np.linspace(*bad.interval, 401)
    shape.line("target", x, bad.values(x), marked=False)
    for nodes in ("equispaced", "chebyshev"):
        shape.line(nodes, x, interpolation(bad, 16, nodes).evaluate(x), marked=False, dashed=True)
    wild = numbers["runge"]["equispaced"]
    tame = numbers["runge"]["Chebyshev nodes"]
    sine = numbers["sine"]["equispaced"]
    if wild[-1] < 10 * wild[0]:
        why = (
            f"For {bad.name} the equispaced interpolant does not get worse with the degree "
            f"({wild[0]:.2g} at degree {degrees[0]}, {wild[-1]:.2g} at {degrees[-1]}): a high "
            "degree alone does not oscillate. It did for 1/(1+25x²)."
        )
        return Outcome("does not hold", why, numbers, [figure, shape])
    why = (
        f"For {bad.name} the equispaced interpolant gets worse with the degree "
        f"({wild[0]:.2g} "
        f"at degree {degrees[0]}, {wild[-1]:.2g} at {degrees[-1]}). It is the nodes, not the "
        "degree: "
        f"at Chebyshev nodes the same degrees fall to {tame[-1]:.2g}, and least squares too. And "
        "it "
        f"is the function: for sin(2πx), which has no poles, equispaced nodes reach "
        f"{min(sine):.2g}."
    )
    return Outcome("holds with conditions", why, numbers, [figure, shape])


EXPERIMENT = Experiment(
    "runge",
    "Runge's phenomenon",
    "High powers easily lead to oscillations (高次项易导致震荡（龙格现象）).",
    "The polynomial through n + 1 points of 1/(1 + 25x²) and of sin(2πx), the points equispaced or "
    "Chebyshev's; and least squares of the same degree.",
    measure,
)
