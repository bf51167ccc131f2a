"""What depth costs: vanishing gradients, overfitting, time."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.networks import Ensemble
from pellucid.lab.targets import TARGETS, Target
from pellucid.lab.training import train
from pellucid.tensor.tensor import from_numpy

WIDTH = 16


def _first_layer(
    target: Target, activation: str, depth: int, seeds: tuple[int, ...], gain: float
) -> float:
    """The median size of the loss's gradient in the first layer."""
    low, high = target.interval
    ensemble = Ensemble(
        1, (WIDTH,) * depth, activation, seeds, gain=gain, spread=False,
        centre=(low + high) / 2, scale=(high - low) / 2,
    )  # fmt: skip
    x = target.grid(64)
    errors = ensemble(ensemble.inputs(x)) - from_numpy(target.values(x))
    errors.square().mean(-1).sum().backward()
    slope = ensemble.weights[0].grad
    assert slope is not None
    return float(slope.square().sum((1, 2)).sqrt().median())


def _overfitting(settings: Settings, dropout: float) -> tuple[float, float]:
    """Mean squared errors on 16 noisy points and on the function behind them."""
    target = settings.target or TARGETS["sine"]
    (low, high), spread = target.interval, float(np.ptp(target.values(target.grid(401))))
    centre, scale = (low + high) / 2, (high - low) / 2
    seeds = settings.seeds(8, 4)
    random = np.random.default_rng(settings.seed)
    x = np.sort(centre + scale * random.uniform(-1, 1, 16))
    y = target.values(x) + random.normal(0, 0.15 * spread, x.shape)
    ensemble = Ensemble(1, (64, 64), "tanh", seeds, centre=centre, scale=scale)
    train(
        ensemble, x, y, optimiser="adam", steps=settings.of(3000, 700), dropout=dropout,
        learning_rate=5e-3, seed=settings.seed,
    )  # fmt: skip
    grid = centre + scale * np.linspace(-0.95, 0.95, 400)
    members = [ensemble.member(number) for number in range(len(seeds))]
    seen = float(np.median([np.mean((m(x) - y) ** 2) for m in members]))
    true = float(np.median([np.mean((m(grid) - target.values(grid)) ** 2) for m in members]))
    return seen, true


def _seconds(depth: int) -> float:
    """The median of a training step's seconds."""
    ensemble = Ensemble(1, (WIDTH,) * depth, "relu", (0,))
    x = ensemble.inputs(np.linspace(-1, 1, 64))
    taken = []
    for _ in range(7):
        start = perf_counter()
        ensemble(x).square().mean().backward()
        taken.append(perf_counter() - start)
    return float(np.median(taken))


def measure(settings: Settings) -> Outcome:
    """Gradients over depth, errors with and without dropout, seconds over depth."""
    depths = settings.of((1, 2, 4, 8, 16, 32), (1, 2, 4, 8, 16))
    target = settings.target or TARGETS["sine"]
    seeds = settings.seeds(32, 16)
    kinds = {
        "sigmoid": ("sigmoid", 1.0), "tanh, Glorot": ("tanh", 1.0), "relu, He": ("relu", 1.0),
        "relu, half of He": ("relu", 0.5),
    }  # fmt: skip
    sizes = {}
    for name, (activation, gain) in kinds.items():
        found = [_first_layer(target, activation, depth, seeds, gain) for depth in depths]
        sizes[name] = [each / found[0] for each in found]
    figure = Figure(
        "gradient of the first layer, at the start", "hidden layers", "size, over that of one "
        "layer",
        log_x=True, log_y=True,
    )  # fmt: skip
    for name, ratio in sizes.items():
        figure.line(name, depths, np.maximum(ratio, 1e-30))
    times = [_seconds(d) for d in depths]
    clock = Figure("seconds of a training step", "hidden layers", "seconds")
    clock.line("16 units a layer", depths, times)
    plain, dropped = _overfitting(settings, 0.0), _overfitting(settings, 0.2)
    numbers = {
        "depths": list(depths), "gradients": sizes, "seconds": times,
        "without dropout": plain, "with dropout": dropped,
    }  # fmt: skip
    vanish = sizes["sigmoid"][-1] < 1e-3 * sizes["sigmoid"][0]
    kept = sizes["relu, He"][-1] > 1e-2 * sizes["relu, He"][0]
    overfits = plain[1] > 2 * plain[0]
    helped = dropped[1] < plain[1]
    if not vanish:
        return Outcome("does not hold", "gradients did not vanish", numbers, [figure, clock])
    why = (
        f"With sigmoids the first layer's gradient is {sizes['sigmoid'][-1]:.1g} of that of one "
        "layer at "
        f"{depths[-1]} layers; with ReLUs initialised as He et al. propose it "
        + ("stays" if kept else "falls less")
        + f" ({sizes['relu, He'][-1]:.2g}), with half of that it vanishes again "
        f"({sizes['relu, half of He'][-1]:.1g}): it is the start, not depth alone. "
        + (
            "Two layers of 64 units overfit 16 noisy points"
            if overfits
            else "Overfitting was slight"
        )
        + f" ({plain[0]:.2g} seen, {plain[1]:.2g} true); dropout of 0.2 "
        + ("helped" if helped else "did not help")
        + f" (true error {dropped[1]:.2g}). A step takes {times[-1] / times[0]:.1f} times as long "
        f"with {depths[-1]} layers as with {depths[0]}."
    )
    return Outcome("holds with conditions", why, numbers, [figure, clock])


EXPERIMENT = Experiment(
    "costs_of_depth",
    "The costs of depth",
    "Vanishing and exploding gradients, overfitting that needs regularisation such as dropout, and "
    "computing time (优化难度、过拟合风险、计算开销).",
    "Gradients at the start over depth for three activations; two layers of 64 units on 16 noisy "
    "points with and without dropout; seconds of a step over depth.",
    measure,
)
