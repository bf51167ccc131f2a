"""Width against depth at about as many parameters."""

from __future__ import annotations

import numpy as np

from pellucid.lab import constructions
from pellucid.lab.compare import fit_networks
from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.targets import TARGETS, Target, sawtooth

SHAPES = ((24,), (8, 7), (6, 5, 5))
"""73, 87 and 78 weights and biases... of one input and one output, as near to each other as whole
units are."""


def measure(settings: Settings) -> Outcome:
    """Trained networks of one to three hidden layers on a smooth, a folded and a nested target."""
    seeds = settings.seeds(8, 4)
    targets: dict[str, tuple[Target, str]] = {
        "sin(2πx)": (TARGETS["sine"], "tanh"),
        "sawtooth, 8 pieces": (sawtooth(3), "relu"),
        "nested sines": (TARGETS["nested"], "tanh"),
    }
    if settings.target is not None:
        targets = {settings.target.name: (settings.target, "tanh")}
    figure = Figure("best sup error over depth", "hidden layers", "sup error", log_y=True)
    numbers: dict[str, object] = {}
    best: dict[str, list[float]] = {}
    for label, (target, activation) in targets.items():
        fits = [
            fit_networks(
                target,
                shape,
                activation,
                seeds=seeds,
                # Where slopes jump, second-order steps are misled.
                optimiser="adam" if activation == "relu" else "levenberg",
                steps=settings.of(6000, 1500) if activation == "relu" else settings.of(200, 60),
                points=100,
            )[0]
            for shape in SHAPES
        ]
        best[label] = [fit.sup for fit in fits]
        numbers[label] = {
            "parameters": [fit.parameters for fit in fits],
            "best": best[label],
            "median": [float(np.median(fit.spread)) for fit in fits],
        }
        figure.line(label, [len(shape) for shape in SHAPES], best[label])
    deep, wide = constructions.sawtooth(6), constructions.sawtooth_wide(6)
    numbers["built sawtooth of 64 pieces"] = {
        "deep parameters": deep.parameters, "wide parameters": wide.parameters,
    }  # fmt: skip
    exact = deep.parameters < 0.5 * wide.parameters
    if not exact:
        return Outcome("does not hold", "depth saved nothing", numbers, [figure])
    ratios = {label: errors[0] / max(min(errors[1:]), 1e-15) for label, errors in best.items()}
    helped = [label for label, ratio in ratios.items() if ratio > 2]
    not_helped = [label for label, ratio in ratios.items() if ratio <= 2]
    why = (
        f"As a matter of what can be represented it holds: {deep.parameters} parameters in 6 "
        "layers "
        f"are a sawtooth of 64 pieces, one layer takes {wide.parameters}. Trained with as many "
        "parameters, depth "
        + (f"gained on {_listed(helped)}" if helped else f"did not gain on {_listed(not_helped)}")
        + (f" and not on {_listed(not_helped)}" if helped and not_helped else "")
        + ": what is there is not always found, and a target without nested structure has no use "
        "for depth."
    )
    return Outcome("holds with conditions", why, numbers, [figure])


def _listed(labels: list[str]) -> str:
    return " and ".join(labels) if len(labels) < 3 else ", ".join(labels)


EXPERIMENT = Experiment(
    "width_against_depth",
    "Width against depth",
    "Composition needs exponentially fewer neurons than a linear combination of one layer "
    "(函数复合能够以指数级减少所需的神经元数量).",
    "Trained networks of one, two and three hidden layers with about 80 parameters each on three "
    "targets, several seeds; and the sawtooth of 64 pieces built both ways.",
    measure,
)
