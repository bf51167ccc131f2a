"""Functions to approximate: those of the notes and of the literature, and anybody's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.autograd.modes import no_grad
from pellucid.lab.expression import read_expression
from pellucid.ops.api import F
from pellucid.tensor.dtype import float64
from pellucid.tensor.tensor import Tensor, from_numpy

LARGEST = 1e100
"""Values up to here are approximated."""


@dataclass(frozen=True)
class Target:
    """A real function on a box.

    `function` takes one float64 tensor for each dimension, all of one shape, and returns a tensor
    of that shape. `interval` is the same in every dimension. `jumps` are places that a sup norm
    leaves out, a hair on either side, because no continuous function comes near there.
    """

    name: str
    function: Callable[..., Tensor] = field(compare=False, repr=False)
    interval: tuple[float, float] = (-1.0, 1.0)
    dimension: int = 1
    jumps: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        low, high = check_interval(self.interval)
        object.__setattr__(self, "interval", (low, high))

    def values(self, points: np.ndarray) -> np.ndarray:
        """The values at points `(n,)`, or `(n, dimension)`, as `(n,)`.

        Raises: ValueError where a value is not finite.
        """
        points = np.asarray(points, np.float64)
        columns = [points] if self.dimension == 1 else list(points.T)
        with no_grad():
            tensors = [from_numpy(np.ascontiguousarray(column)) for column in columns]
            found = self.function(*tensors)
        if not isinstance(found, Tensor):
            raise TypeError(
                f"the target {self.name} returned {type(found).__name__}; it is called with a "
                "tensor of points and returns a tensor of as many values"
            )
        values = np.broadcast_to(found.detach().to(float64).numpy(), points.shape[:1]).copy()
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            place = points[wrong[0]]
            raise ValueError(
                f"the target {self.name} is {values[wrong[0]]} at x = {np.round(place, 6)}: it "
                "must be finite on the whole interval. Choose another interval, or another function"
            )
        large = np.flatnonzero(np.abs(values) > LARGEST)
        if large.size:
            raise ValueError(
                f"the target {self.name} is {values[large[0]]:.3g} at x = "
                f"{np.round(points[large[0]], 6)}: above {LARGEST:g} squares of errors are too "
                "large to be computed with. Divide it by a number"
            )
        return values

    def grid(self, count: int) -> np.ndarray:
        """Points spread over the box: evenly on an interval, else a Sobol-like sequence
        `(count, dimension)`.
        """
        low, high = self.interval
        if self.dimension == 1:
            return np.linspace(low, high, count)
        return low + (high - low) * additive_recurrence(count, self.dimension)


def check_interval(interval: Any) -> tuple[float, float]:
    """Two finite numbers, the smaller first. ValueError otherwise."""
    try:
        low, high = (float(bound) for bound in interval)
    except (TypeError, ValueError):
        raise ValueError(f"an interval is two numbers such as (-1, 1), not {interval!r}") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"the interval [{low:g}, {high:g}] must have finite ends")
    if low >= high:
        raise ValueError(
            f"the interval [{low:g}, {high:g}] is empty: its first end must be the smaller"
        )
    if not 1e-9 * max(abs(low), abs(high)) < high - low < math.inf:
        size = "narrow" if high - low < 1 else "wide"
        raise ValueError(f"the interval [{low:g}, {high:g}] is too {size} to place points in it")
    return low, high


def additive_recurrence(count: int, dimension: int) -> np.ndarray:
    """Points `(count, dimension)` that fill the unit cube evenly: multiples of powers of the
    generalised golden ratio (Roberts 2018).
    """
    ratio = 2.0
    for _ in range(40):
        ratio = (1 + ratio) ** (1 / (dimension + 1))
    steps = ratio ** -np.arange(1.0, dimension + 1)
    found: np.ndarray = (0.5 + np.outer(np.arange(1, count + 1), steps)) % 1
    return found


def sawtooth(depth: int) -> Target:
    """Telgarsky's: the tent map composed with itself, 2**depth linear pieces on [0, 1]
    (Telgarsky 2016, "Benefits of depth in neural networks").
    """

    def function(x: Tensor) -> Tensor:
        for _ in range(depth):
            x = 1 - (2 * x - 1).abs()
        return x

    return Target(f"sawtooth of depth {depth}", function, (0.0, 1.0))


def ridge(dimension: int, wave: Callable[[Tensor], Tensor] | None = None) -> Target:
    """sin, or another function of one variable, of the direction of (1, 1, …): one direction
    matters in any dimension.
    """

    def function(*x: Tensor) -> Tensor:
        total = x[0]
        for each in x[1:]:
            total = total + each
        along = total / math.sqrt(dimension)
        return along.sin() if wave is None else wave(along)

    return Target(f"ridge in {dimension} dimensions", function, (-1.0, 1.0), dimension)


def gaussian(dimension: int) -> Target:
    """exp(-|x|²) in any dimension."""

    def function(*x: Tensor) -> Tensor:
        total = x[0] * 0
        for each in x:
            total = total + each * each
        return (-total).exp()

    return Target(f"bump in {dimension} dimensions", function, (-1.0, 1.0), dimension)


def _sine(x: Tensor) -> Tensor:
    return (2 * math.pi * x).sin()


def _nested(x: Tensor) -> Tensor:
    return (2 * (2 * x.sin()).sin()).sin()


TARGETS: dict[str, Target] = {
    "sine": Target("sin(2*pi*x)", _sine),
    "abs": Target("abs(x)", lambda x: x.abs()),
    "step": Target("step(x)", lambda x: (x >= 0).to(float64), jumps=(0.0,)),
    "runge": Target("1/(1+25*x^2)", lambda x: 1 / (1 + 25 * x * x)),
    "sawtooth": sawtooth(4),
    "nested": Target("sin(2*sin(2*sin(x)))", _nested, (-math.pi, math.pi)),
    "ripple": Target(
        "sin(pi*x)*cos(pi*y)", lambda x, y: (math.pi * x).sin() * (math.pi * y).cos(), dimension=2
    ),
}
"""Targets by a short name."""


def target_of(
    what: Target | str | Callable[..., Any],
    interval: Any = None,
    jumps: Sequence[float] = (),
) -> Target:
    """A target from a short name, an expression, or a function of a tensor.

    Raises: ExpressionError, or ValueError for an interval that is empty.
    """
    if isinstance(what, Target):
        found = what
    elif isinstance(what, str) and what in TARGETS:
        found = TARGETS[what]
    elif isinstance(what, str):
        found = _expressed(what, interval)
    elif callable(what):
        name = getattr(what, "__name__", "function")
        found = Target(name, what, interval or (-1.0, 1.0), jumps=tuple(jumps))
    else:
        raise TypeError(
            f"a target is a name, an expression or a function, not {type(what).__name__}"
        )
    if interval is not None and found.interval != check_interval(interval):
        found = Target(
            found.name, found.function, check_interval(interval), found.dimension, found.jumps
        )
    return found


def _expressed(text: str, interval: Any) -> Target:
    evaluate = read_expression(text)

    def function(x: Tensor) -> Tensor:
        return F.broadcast_to(evaluate({"x": x}), x.shape)

    return Target(text, function, interval or (-1.0, 1.0))
