"""What every approximator returns, and how far it is from the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.lab.targets import Target

POINTS = 2001
"""Where errors are measured: this many points, other than those that were fitted."""


@dataclass
class Fit:
    """An approximation of a target: what it is, how large, how good.

    `evaluate` takes points `(n,)` or `(n, dimension)` and returns `(n,)`. `spread` are the sup
    errors of all `seeds`, if several were trained, `losses` `(records, seeds)` their mean squared
    errors at `steps`. `note` says what went wrong, if something did.
    """

    family: str
    name: str
    parameters: int
    seconds: float
    evaluate: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    sup: float = float("nan")
    l2: float = float("nan")
    spread: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    losses: np.ndarray | None = field(default=None, repr=False)
    steps: np.ndarray | None = field(default=None, repr=False)
    model: Any = field(default=None, repr=False)
    note: str = ""

    def measured(self, target: Target) -> Fit:
        """With the errors filled in."""
        points = measuring_points(target)
        with np.errstate(all="ignore"):
            error = np.abs(self.evaluate(points) - target.values(points))
        error = np.where(np.isfinite(error), error, np.inf)
        self.sup = float(error.max())
        self.l2 = float(np.sqrt(np.mean(error**2)))
        return self

    def as_json(self) -> dict[str, Any]:
        """The numbers, without the functions."""
        return {
            "family": self.family,
            "name": self.name,
            "parameters": self.parameters,
            "seconds": round(self.seconds, 4),
            "sup": self.sup,
            "l2": self.l2,
            "seeds": list(self.seeds),
            "spread": list(self.spread),
            "note": self.note,
        }


def measuring_points(target: Target) -> np.ndarray:
    """Points between those of any fit; near a jump none, because no continuous function is close
    there.
    """
    if target.dimension > 1:
        return target.grid(4 * POINTS)[POINTS:]
    low, high = target.interval
    points = np.linspace(low, high, POINTS)
    for jump in target.jumps:
        points = points[np.abs(points - jump) > (high - low) / 200]
    return points
