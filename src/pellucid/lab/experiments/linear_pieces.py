"""Linear pieces: two to the depth, against the width."""

from __future__ import annotations

import numpy as np

from pellucid.lab import constructions
from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.measures import linear_pieces
from pellucid.lab.networks import Ensemble


def measure(settings: Settings) -> Outcome:
    """Pieces counted exactly: of Telgarsky's networks, of wide ones, and of random ones."""
    depths = list(range(1, settings.of(13, 9)))
    built = [linear_pieces(constructions.sawtooth(d), (0, 1)) for d in depths]
    wide = [constructions.sawtooth_wide(d).hidden[0] for d in depths]
    seeds = settings.seeds(24, 8)
    typical = []
    width = 8
    for depth in depths:
        ensemble = Ensemble(1, (width,) * depth, "relu", seeds)
        counts = [linear_pieces(ensemble.member(i), (-1, 1)) for i in range(len(seeds))]
        typical.append(float(np.median(counts)))
    shallow = []
    for units in (4, 8, 16, 32, 64):
        ensemble = Ensemble(1, (units,), "relu", seeds)
        counts = [linear_pieces(ensemble.member(i), (-1, 1)) for i in range(len(seeds))]
        shallow.append(max(counts))
    figure = Figure("linear pieces over depth", "hidden layers", "pieces", log_y=True)
    figure.line("Telgarsky's, 2 units a layer", depths, built)
    figure.line("2^L", depths, [2.0**d for d in depths], marked=False, dashed=True)
    figure.line(f"random, {width} units a layer, median", depths, typical)
    figure.line(f"one layer with as many units ({width}L)", depths, [width * d + 1 for d in depths])
    numbers = {
        "depths": depths, "built": built, "units of one layer": wide, "random": typical,
        "one layer, most": dict(zip((4, 8, 16, 32, 64), shallow, strict=True)),
    }  # fmt: skip
    exact = all(b == 2**d for b, d in zip(built, depths, strict=True))
    bounded = all(most <= units + 1 for units, most in numbers["one layer, most"].items())  # type: ignore[attr-defined]
    if not (exact and bounded):
        return Outcome("does not hold", "the counts differ from 2^L", numbers, [figure])
    why = (
        f"Two units in each of L layers make exactly 2^L pieces (counted up to {built[-1]}), and "
        "one "
        "layer never makes more than its units and one. But this is the most that depth can do, "
        "not "
        f"what it does: networks of {width} units a layer as they are initialised have "
        f"{typical[-1]:.0f} "
        f"pieces with {depths[-1]} layers, not more than one layer of as many units could have "
        "(Hanin and Rolnick 2019 prove this on average)."
    )
    return Outcome("holds with conditions", why, numbers, [figure])


EXPERIMENT = Experiment(
    "linear_pieces",
    "Linear pieces: 2^L",
    "A ReLU network of depth L can have O(2^L) linear pieces, for which one layer needs O(2^L) "
    "neurons (Telgarsky 2016).",
    "Pieces along a line, counted exactly from the weights: Telgarsky's construction, the same "
    "function in one layer, and networks at their random start.",
    measure,
    own="it counts pieces of networks and approximates nothing",
)
