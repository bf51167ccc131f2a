"""sin(2 sin(2 sin x)): shallow against deep."""

from __future__ import annotations

import numpy as np

from pellucid.lab.compare import fit_networks
from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.fits import Fit
from pellucid.lab.networks import Network
from pellucid.lab.targets import TARGETS

CLOSE = 0.01
"""A sup error that counts as close, as a part of the target's range."""
FEW = 32
"""Units of one layer that are far from hundreds."""
MOST = 96
"""Units of one layer that are tried before more are said to be needed."""


def built() -> Network:
    """Three hidden layers of one sine each: the target itself."""
    one, two, none = np.ones((1, 1)), np.full((1, 1), 2.0), np.zeros(1)
    return Network(((one, none), (two, none), (two, none), (one, none)), "sin")


def measure(settings: Settings) -> Outcome:
    """How many units one hidden layer needs, and what three layers do, built and trained."""
    target = settings.target or TARGETS["nested"]
    x = np.linspace(*target.interval, 2001)
    close = CLOSE * float(np.ptp(target.values(x)))
    seeds, steps = settings.seeds(8, 4), settings.of(250, 120)
    widths: list[int] = []
    shallow: list[Fit] = []
    for width in settings.of((4, 6, 8, 12, 16, 24, 32, 48, MOST), (4, 8, 12, 16, 32, MOST)):
        # Until it is close, but some sizes for the figure in any case.
        if len(widths) > 3 and min(fit.sup for fit in shallow) < close:
            break
        widths.append(width)
        shallow.append(fit_networks(target, (width,), seeds=seeds, steps=steps, points=160)[0])
    deep, _, _ = fit_networks(target, (5, 5, 5), seeds=seeds, steps=steps, points=160)
    errors = [fit.sup for fit in shallow]
    enough = next((w for w, e in zip(widths, errors, strict=True) if e < close), None)
    figure = Figure("sup error over parameters", "parameters", "sup error", log_x=True, log_y=True)
    figure.line("one hidden layer, tanh", [fit.parameters for fit in shallow], errors)
    figure.line("three hidden layers of 5, tanh", [deep.parameters], [deep.sup])
    by_theory = None
    if settings.target is None:
        by_theory = float(np.abs(built()(x) - target.values(x)).max())
        figure.line("built of three sines", [built().parameters], [max(by_theory, 1e-16)])
    curve = Figure("the target and a shallow network", "x", "f(x)")
    shown = x[::8]
    curve.line("target", shown, target.values(shown), marked=False)
    curve.line(f"{widths[-1]} units", shown, shallow[-1].evaluate(shown), marked=False, dashed=True)
    numbers = {
        "widths": list(widths), "shallow": errors, "enough": enough,
        "deep trained": deep.sup, "built": by_theory,
    }  # fmt: skip
    trained = f"Three trained layers of 5 tanh reach {deep.sup:.2g} with {deep.parameters}."
    exactly = ""
    if by_theory is not None:
        exactly = (
            f"Three layers of one sine each are the target (up to {by_theory:.1g}, "
            f"{built().parameters} parameters). But "
        )
    if enough is None:
        why = (
            f"{exactly}one layer of up to {widths[-1]} units did not come within {close:.2g} of "
            f"{target.name}, the best {min(errors):.2g}; whether hundreds are needed was not "
            "tried. " + trained
        )
        return Outcome("holds with conditions", why, numbers, [figure, curve])
    if enough > FEW:
        why = (
            f"{exactly}one layer needs {enough} units of tanh to come within {close:.2g}: not "
            f"hundreds, but many. {trained}"
        )
        return Outcome("holds with conditions", why, numbers, [figure, curve])
    why = (
        f"{exactly}one layer does not need hundreds of units: {enough} of tanh come within "
        f"{close:.2g} ({shallow[widths.index(enough)].parameters} parameters); the function "
        f"oscillates only a little. {trained}"
    )
    return Outcome("does not hold", why, numbers, [figure, curve])


EXPERIMENT = Experiment(
    "nested_sines",
    "Nested sines",
    "For sin(2 sin(2 sin(x))) one layer needs hundreds of neurons, a deep network three layers "
    "(单层网络: 需数百个神经元；深层网络: 3层即可).",
    "One hidden layer of growing width and three layers, tanh, several seeds, on [-π, π]; and "
    "three "
    "layers of one sine with the weights written down.",
    measure,
)
