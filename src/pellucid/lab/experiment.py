"""What an experiment is: a claim, a set-up, a measurement, a figure, and a verdict with its
reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pellucid.lab.targets import Target

Verdict = Literal["holds", "holds with conditions", "does not hold"]


@dataclass(frozen=True)
class Settings:
    """How an experiment is run: `quick` takes fewer seeds, sizes and steps; `seed` is where the
    seeds begin; `target` is a function to take in place of the experiment's own.
    """

    quick: bool = False
    seed: int = 0
    target: Target | None = None

    def seeds(self, count: int, quick: int) -> tuple[int, ...]:
        """So many seeds, from `seed` on."""
        return tuple(range(self.seed, self.seed + (quick if self.quick else count)))

    def of(self, full: Any, quick: Any) -> Any:
        """A setting, or its quick form."""
        return quick if self.quick else full

    def as_json(self) -> dict[str, Any]:
        """The settings as numbers and names."""
        target = None
        if self.target is not None:
            target = [self.target.name, *self.target.interval]
        return {"quick": self.quick, "seed": self.seed, "target": target}


@dataclass
class Series:
    """One line of a figure: `y` over `x`, `marked` at its points, `dashed` for what theory says;
    points alone if not `joined`.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    marked: bool = True
    dashed: bool = False
    joined: bool = True

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Series:
        """The line that `as_json` described; a number that JSON did not hold is NaN."""
        x, y = ([math.nan if v is None else v for v in stored[axis]] for axis in ("x", "y"))
        return cls(**{**stored, "x": x, "y": y})

    def as_json(self) -> dict[str, Any]:
        """Name and numbers."""
        return {
            "name": self.name,
            "x": [float(v) for v in self.x],
            "y": [float(v) for v in self.y],
            "marked": self.marked,
            "dashed": self.dashed,
            "joined": self.joined,
        }


@dataclass
class Figure:
    """A figure as data, so that it can be stored, and drawn anywhere."""

    title: str
    x_label: str
    y_label: str
    series: list[Series] = field(default_factory=list)
    log_x: bool = False
    log_y: bool = False

    def line(
        self,
        name: str,
        x: Any,
        y: Any,
        *,
        marked: bool = True,
        dashed: bool = False,
        joined: bool = True,
    ) -> None:
        """Add a line."""
        x, y = (np.asarray(each, float).tolist() for each in (x, y))
        self.series.append(Series(name, x, y, marked, dashed, joined))

    def as_json(self) -> dict[str, Any]:
        """Labels and lines."""
        return {
            "title": self.title,
            "x_label": self.x_label,
            "y_label": self.y_label,
            "log_x": self.log_x,
            "log_y": self.log_y,
            "series": [series.as_json() for series in self.series],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Figure:
        """The figure that `as_json` described."""
        series = [Series.from_json(each) for each in stored["series"]]
        return cls(**{**stored, "series": series})


@dataclass
class HeatMap:
    """Positive numbers over two directions as colours: `values[row][column]`, NaN for none."""

    title: str
    x_label: str
    y_label: str
    x: Sequence[Any]
    y: Sequence[Any]
    values: Sequence[Sequence[float]]
    log: bool = True


@dataclass
class Outcome:
    """What an experiment found."""

    verdict: Verdict
    why: str
    numbers: dict[str, Any]
    figures: list[Figure]
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON holds it."""
        return {
            "verdict": self.verdict,
            "why": self.why,
            "numbers": self.numbers,
            "figures": [figure.as_json() for figure in self.figures],
            "seconds": round(self.seconds, 3),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Outcome:
        """The outcome that `as_json` described."""
        figures = [Figure.from_json(each) for each in stored["figures"]]
        return cls(**{**stored, "figures": figures})


@dataclass(frozen=True)
class Experiment:
    """A claim of the notes and how it is measured; `own` says why no other function can be taken,
    if none can.
    """

    name: str
    title: str
    claim: str
    setup: str
    measure: Callable[[Settings], Outcome] = field(repr=False)
    own: str = ""
