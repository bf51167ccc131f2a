"""One cell of a sweep: networks of one shape, trained and measured."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from pellucid.lab.compare import fit_networks
from pellucid.lab.networks import parameters_of
from pellucid.lab.targets import target_of
from pellucid.tensor.threads import set_num_threads
from pellucid.version import PELLUCID


@dataclass(frozen=True, order=True)
class Cell:
    """Where in the grid: `depth` hidden layers of `width` units, trained at `rate`."""

    width: int
    depth: int
    rate: float | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the hidden layers."""
        return (self.width,) * self.depth

    def __str__(self) -> str:
        rate = "" if self.rate is None else f", lr {self.rate:g}"
        return f"width {self.width}, depth {self.depth}{rate}"


@dataclass(frozen=True)
class Question:
    """What all cells of a sweep share. Two sweeps with the same question may share results."""

    target: str
    interval: tuple[float, float]
    activation: str
    optimiser: str
    steps: int | None
    first_seed: int
    seeds: int

    def as_json(self) -> dict[str, Any]:
        """The question, and the version that answers it."""
        return {"pellucid": PELLUCID, **asdict(self), "interval": list(self.interval)}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Question:
        """The question that `as_json` described. ValueError if another version asked it."""
        if told["pellucid"] != PELLUCID:
            raise ValueError(
                f"the sweep is of Pellucid {told['pellucid']}, and this worker has {PELLUCID}: "
                "install the same version everywhere"
            )
        rest = {name: value for name, value in told.items() if name != "pellucid"}
        return cls(**{**rest, "interval": tuple(rest["interval"])})

    def cost(self, cell: Cell) -> float:
        """About how long a cell takes, in no unit: what it multiplies, and what each call costs."""
        parameters = parameters_of(1, cell.widths)
        if self.optimiser == "levenberg":
            return self.seeds * (parameters**3 / 100 + 100 * parameters**2) + 1e6 * cell.depth
        return self.seeds * 500 * parameters + 1e6 * cell.depth


def train_cell(question: Question, cell: Cell) -> dict[str, Any]:
    """Train and measure a cell in this thread; its numbers as JSON holds them.

    `sup` and `loss` have a number for each seed, `l2` is that of the best; what is not finite is
    None. Matrix products run on one thread from here on, also for the caller.
    """
    set_num_threads(1)
    target = target_of(question.target, question.interval)
    seeds = range(question.first_seed, question.first_seed + question.seeds)
    fit, _, training = fit_networks(
        target, cell.widths, question.activation, seeds=seeds, optimiser=question.optimiser,
        steps=question.steps, learning_rate=cell.rate,
    )  # fmt: skip
    return {
        "width": cell.width,
        "depth": cell.depth,
        "lr": cell.rate,
        "parameters": fit.parameters,
        "l2": _finite(fit.l2),
        "sup": [_finite(each) for each in fit.spread],
        "loss": [_finite(each) for each in training.losses[-1].tolist()],
    }


def cell_of(record: dict[str, Any]) -> Cell:
    """The cell that a record of `train_cell` is about."""
    return Cell(record["width"], record["depth"], record["lr"])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
