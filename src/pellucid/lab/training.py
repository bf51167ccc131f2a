"""Training many networks at once: `train(ensemble, points, values)`.

The seeds are the leading dimension of every tensor, so that one step of the program is a step of
all networks; none sees another. `train` is the only way in: what runs behind it may be replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from pellucid import func
from pellucid.autograd.modes import no_grad
from pellucid.lab import loops
from pellucid.lab.networks import Ensemble, activation_of
from pellucid.ops.api import F
from pellucid.optim import SGD, Adam
from pellucid.random import manual_seed
from pellucid.tensor.dtype import float64
from pellucid.tensor.tensor import Tensor, from_numpy

OPTIMISERS = ("levenberg", "adam", "sgd")
RECORDS = 200
"""Losses kept of a training, at most."""


SECOND_ORDER = 300
"""Parameters up to which "levenberg" is taken where no optimiser is named."""
MOST_STEPS = 10_000_000
MOST_MEMORY = 8 << 30
"""Bytes that a training may need, by a rough count."""


def chosen_optimiser(name: str | None, parameters: int) -> str:
    """The optimiser of this name; without one, what suits networks of so many parameters.

    Raises: ValueError for an unknown name.
    """
    if name is None:
        return "levenberg" if parameters <= SECOND_ORDER else "adam"
    if name not in OPTIMISERS:
        raise ValueError(f"there is no optimiser {name!r}; there are {', '.join(OPTIMISERS)}")
    return name


def check_size(optimiser: str, parameters: int, units: int, seeds: int, points: int) -> None:
    """Whether networks with so many parameters and hidden units each can be trained on so many
    points. ValueError otherwise.
    """
    if optimiser == "levenberg":
        needed = seeds * parameters * (4 * parameters + 3 * points) * 8
        remedy = "it solves equations in all parameters at once; adam does not"
    else:
        needed = seeds * (5 * parameters + 4 * points * units) * 8
        remedy = "take fewer units, or fewer seeds at a time"
    if needed > MOST_MEMORY:
        raise ValueError(
            f"{seeds} networks of {parameters} parameters on {points} points would need about "
            f"{needed / 2**30:.0f} GiB with {optimiser}, more than the {MOST_MEMORY >> 30} GiB "
            f"that are taken: {remedy}"
        )


def check_steps(steps: int | None) -> None:
    """A number of steps that makes sense, or none. ValueError otherwise."""
    if steps is not None and not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"a training has at least one step and at most {MOST_STEPS}, not {steps}")


@dataclass
class Training:
    """What a training leaves behind: mean squared errors `(records, seeds)` at `steps`, seconds."""

    losses: np.ndarray
    steps: np.ndarray
    seconds: float

    @property
    def diverged(self) -> np.ndarray:
        """For each seed whether its loss stopped being finite."""
        return ~np.isfinite(self.losses[-1])


def train(
    ensemble: Ensemble,
    points: np.ndarray,
    values: np.ndarray,
    *,
    optimiser: str = "levenberg",
    steps: int | None = None,
    learning_rate: float | None = None,
    batch: int | None = None,
    dropout: float = 0.0,
    seed: int = 0,
    progress: Callable[[float], None] = lambda part: None,
) -> Training:
    """Fit every network to `values` `(n,)` at `points` `(n,)` or `(n, dimension)`, in place.

    Args:
        optimiser: "levenberg" (Levenberg 1944, Marquardt 1963: all points in each step, for small
            networks), "adam" or "sgd" with momentum, both with a cosine schedule.
        steps: 300 for "levenberg", 4000 for the others, if not given.
        learning_rate: 0.01 for "adam", 0.05 for "sgd", if not given.
        batch: points in a step, drawn anew each time; all if None.
        dropout: the part of hidden units left out in each step.
        seed: of the batches and of dropout.
        progress: hears of the part that is done.

    Raises: ValueError for values that are not finite, or settings that make no sense.
    """
    points, values = np.asarray(points, np.float64), np.asarray(values, np.float64)
    chosen_optimiser(optimiser, ensemble.size)
    if not len(points) or len(points) != len(values):
        raise ValueError(f"{len(points)} points and {len(values)} values cannot be fitted")
    if not np.isfinite(values).all():
        raise ValueError("the values to be fitted must be finite, and some are not")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is a part of the units, at least 0 and below 1, not {dropout}")
    check_steps(steps)
    start = perf_counter()
    x, y = ensemble.inputs(points), from_numpy(values)
    if optimiser == "levenberg":
        if batch is not None or dropout:
            raise ValueError("levenberg uses all points and all units in each step")
        losses, at = _levenberg(ensemble, x, y, steps or 300, progress)
    else:
        losses, at = _descent(
            ensemble, x, y, optimiser, steps or 4000, learning_rate, batch, dropout, seed, progress
        )
    return Training(losses, at, perf_counter() - start)


def _descent(
    ensemble: Ensemble,
    x: Tensor,
    y: Tensor,
    optimiser: str,
    steps: int,
    learning_rate: float | None,
    batch: int | None,
    dropout: float,
    seed: int,
    progress: Callable[[float], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Steps along the gradient. The sum over seeds has each network's own gradient as its part."""
    rate = learning_rate if learning_rate is not None else {"adam": 1e-2, "sgd": 5e-2}[optimiser]
    if rate <= 0:
        raise ValueError(f"a learning rate is positive, not {rate}")
    every = max(1, steps // RECORDS)
    losses: list[np.ndarray]
    if loops.suits(ensemble, steps, batch, dropout):
        losses, at = loops.descend(ensemble, x, y, optimiser, rate, steps, every, progress)
    else:
        losses, at = _by_steps(
            ensemble, x, y, optimiser, rate, steps, batch, dropout, seed, every, progress
        )
    with no_grad():
        losses.append((ensemble(x) - y).square().mean(-1).numpy().copy())
    at.append(steps)
    return np.array(losses), np.array(at)


def _by_steps(
    ensemble: Ensemble,
    x: Tensor,
    y: Tensor,
    optimiser: str,
    rate: float,
    steps: int,
    batch: int | None,
    dropout: float,
    seed: int,
    every: int,
    progress: Callable[[float], None],
) -> tuple[list[np.ndarray], list[int]]:
    """Steps one by one, all networks together."""
    parameters = ensemble.parameters
    chosen = (
        Adam(parameters, lr=rate) if optimiser == "adam" else SGD(parameters, lr=rate, momentum=0.9)
    )
    random = np.random.default_rng(seed)
    if dropout:
        manual_seed(seed)
    losses: list[np.ndarray] = []
    at: list[int] = []
    for step in range(steps):
        for group in chosen.param_groups:
            group["lr"] = rate * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * step / steps)))
        inputs, wanted = x, y
        if batch is not None and batch < len(y):
            rows = from_numpy(random.integers(0, len(y), batch))
            inputs, wanted = x[rows], y[rows]
        errors = (ensemble(inputs, dropout) - wanted).square().mean(-1)
        chosen.zero_grad()
        errors.sum().backward()
        chosen.step()
        if step % every == 0 or step == steps - 1:
            losses.append(errors.detach().numpy().copy())
            at.append(step)
            progress((step + 1) / steps)
    return losses, at


def _levenberg(
    ensemble: Ensemble, x: Tensor, y: Tensor, steps: int, progress: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Damped Gauss-Newton steps, each network with a damping of its own: smaller after a step that
    helped, larger after one that is not taken.
    """
    act = activation_of(ensemble.activation)
    shapes = [each.shape[1:] for each in ensemble.parameters]
    sizes = [each[0].numel() for each in ensemble.parameters]

    def output(flat: Tensor, point: Tensor) -> Tensor:
        """One network at one point."""
        h = point
        parts = [p.view(s) for p, s in zip(flat.split(sizes), shapes, strict=True)]
        for number in range(0, len(parts), 2):
            h = h @ parts[number] + parts[number + 1][0]
            if number < len(parts) - 2:
                h = act(h)
        return h[0]

    everywhere = func.vmap(func.vmap(func.grad_and_value(output), (None, 0)), (0, None))
    seeds = len(ensemble.seeds)
    with no_grad():
        flat = F.cat([each.reshape(seeds, -1) for each in ensemble.parameters], 1)
        damping = F.ones(seeds, dtype=float64) * 1e-2
        unit = F.eye(flat.shape[1], dtype=float64)
        slopes, found = everywhere(flat, x)
        loss = (found - y).square().mean(1)
        losses, at = [loss.numpy().copy()], [0]
        every = max(1, steps // RECORDS)
        for step in range(1, steps + 1):
            turned = slopes.transpose(1, 2)
            normal, pull = turned @ slopes, turned @ (found - y).unsqueeze(2)
            weight = damping[:, None, None] * (1 + normal.diagonal(0, 1, 2).unsqueeze(2)) * unit
            move = F.linalg.solve(normal + weight, pull).squeeze(2)
            moved = flat - move
            new_slopes, new_found = everywhere(moved, x)
            new_loss = (new_found - y).square().mean(1)
            better = new_loss < loss  # False for NaN too
            flat = F.where(better[:, None], moved, flat)
            slopes = F.where(better[:, None, None], new_slopes, slopes)
            found = F.where(better[:, None], new_found, found)
            loss = F.where(better, new_loss, loss)
            damping = (damping * F.where(better, 0.3, 3.0)).clamp(1e-14, 1e8)
            if step % every == 0 or step == steps:
                losses.append(loss.numpy().copy())
                at.append(step)
                progress(step / steps)
            if bool((damping >= 1e8).all()):
                break
        for each, part in zip(ensemble.parameters, flat.split(sizes, 1), strict=True):
            each.copy_(part.reshape(each.shape))
    return np.array(losses), np.array(at)
