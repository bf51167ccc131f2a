"""sin(2 sin(2 sin x)): shallow against deep."""

from __future__ import annotations

import numpy as np

from pellucid.lab.compare import fit_networks
from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.networks import Network
from pellucid.lab.targets import TARGETS

CLOSE = 0.02


def built() -> Network:
    """Three hidden layers of one sine each: the target itself."""
    one, two, none = np.ones((1, 1)), np.full((1, 1), 2.0), np.zeros(1)
    return Network(((one, none), (two, none), (two, none), (one, none)), "sin")


def measure(settings: Settings) -> Outcome:
    """How many units one hidden layer needs, and what three layers do, built and trained."""
    target = TARGETS["nested"]
    exact = built()
    x = np.linspace(*target.interval, 2001)
    by_theory = float(np.abs(exact(x) - target.values(x)).max())
    widths = settings.of((4, 6, 8, 12, 16, 24), (4, 8, 12, 16))
    seeds, steps = settings.seeds(8, 4), settings.of(250, 120)
    shallow = [fit_networks(target, (w,), seeds=seeds, steps=steps, points=120)[0] for w in widths]
    deep, _, _ = fit_networks(target, (5, 5, 5), seeds=seeds, steps=steps, points=120)
    errors = [fit.sup for fit in shallow]
    enough = next((w for w, e in zip(widths, errors, strict=True) if e < CLOSE), None)
    figure = Figure("sup error over parameters", "parameters", "sup error", log_x=True, log_y=True)
    figure.line("one hidden layer, tanh", [fit.parameters for fit in shallow], errors)
    figure.line("three hidden layers of 5, tanh", [deep.parameters], [deep.sup])
    figure.line("built of three sines", [exact.parameters], [max(by_theory, 1e-16)])
    curve = Figure("the target and a shallow network", "x", "f(x)")
    shown = x[::8]
    curve.line("target", shown, target.values(shown), marked=False)
    curve.line(f"{widths[-1]} units", shown, shallow[-1].evaluate(shown), marked=False, dashed=True)
    numbers = {
        "widths": list(widths), "shallow": errors, "enough": enough,
        "deep trained": deep.sup, "built": by_theory,
    }  # fmt: skip
    if by_theory > 1e-12:
        return Outcome("does not hold", "three sines are not the target", numbers, [figure, curve])
    if enough is None:
        why = f"one layer of up to {widths[-1]} units did not come within {CLOSE}"
        return Outcome("holds", why, numbers, [figure, curve])
    why = (
        f"Three layers of one sine each are the target exactly ({exact.parameters} parameters). "
        "But "
        f"one layer does not need hundreds of units: {enough} of tanh come within {CLOSE} "
        f"({shallow[widths.index(enough)].parameters} parameters); three nested sines oscillate "
        "only "
        f"a little. Three trained layers of 5 tanh reach {deep.sup:.2g} with {deep.parameters}."
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
