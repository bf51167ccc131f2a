"""A step length that satisfies the strong Wolfe conditions (Nocedal & Wright, Numerical
Optimization, algorithms 3.5 and 3.6).

Along the line `φ(t) = f(x + t d)`, a point is accepted when it lies low enough, `φ(t) <= φ(0) + c1
t φ'(0)`, and is flat
enough, `|φ'(t)| <= -c2 φ'(0)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pellucid.tensor.tensor import Tensor

Evaluate = Callable[[Any, Any, Tensor], tuple[float, Tensor]]


@dataclass(slots=True)
class Point:
    """A point of the line: step length `t`, value, gradient (1-D tensor), slope `φ'(t)`. Lengths
    and slopes may be tensors.
    """

    t: Any
    value: Any
    grad: Tensor
    slope: Any


def cubic_minimum(a: Point, b: Point, bounds: tuple[Any, Any] | None = None) -> Any:
    """Where the cubic with the values and slopes of `a` and `b` is smallest, kept within `bounds`
    (else between them).
    """
    if bounds is None:
        bounds = (a.t, b.t) if a.t <= b.t else (b.t, a.t)
    low, high = bounds
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    discriminant = d1**2 - a.slope * b.slope
    if not discriminant >= 0:
        return (low + high) / 2.0
    d2 = discriminant.sqrt()
    left, right = (a, b) if a.t <= b.t else (b, a)
    ratio = (right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2)
    best = right.t - (right.t - left.t) * ratio
    return min(max(best, low), high)


@dataclass(slots=True)
class StrongWolfe:
    """The search from `start` along `direction`. `evaluate(x, t, direction)` gives value and
    gradient at a step length.
    """

    evaluate: Evaluate
    x: Any
    direction: Tensor
    start: Point
    tolerance_change: float = 1e-9
    max_evaluations: int = 25
    c1: float = 1e-4
    c2: float = 0.9
    evaluations: int = 0
    iterations: int = 0

    def run(self, t: Any) -> Point:
        """Search, trying `t` first. Returns the best point found, also when no point satisfies the
        conditions.
        """
        bracket, done = self._bracket(t)
        if not done:
            bracket = self._zoom(bracket)
        return min(bracket, key=lambda point: point.value)

    def _at(self, t: Any) -> Point:
        value, grad = self.evaluate(self.x, t, self.direction)
        self.evaluations += 1
        return Point(t, value, grad, grad.dot(self.direction))

    def _too_high(self, point: Point) -> bool:
        limit = self.start.value + self.c1 * point.t * self.start.slope
        return bool(point.value > limit)

    def _flat(self, point: Point) -> bool:
        return bool(abs(point.slope) <= -self.c2 * self.start.slope)

    def _bracket(self, t: Any) -> tuple[list[Point], bool]:
        """Grow the step until a minimum must lie between two points, or a point is good already."""
        before = replace(self.start, t=0, grad=self.start.grad.clone())
        now = self._at(t)
        while self.iterations < self.max_evaluations:
            if self._too_high(now) or (self.iterations > 1 and now.value >= before.value):
                return [before, now], False
            if self._flat(now):
                return [now], True
            if now.slope >= 0:
                return [before, now], False
            bounds = (now.t + 0.01 * (now.t - before.t), now.t * 10)
            t = cubic_minimum(before, now, bounds)
            before, now = now, self._at(t)
            self.iterations += 1
        return [replace(self.start, t=0), now], False

    def _zoom(self, bracket: list[Point]) -> list[Point]:
        """Shrink the bracket around a point that satisfies the conditions."""
        low, high = (0, 1) if bracket[0].value <= bracket[-1].value else (1, 0)
        length = self.direction.abs().max()
        stalled = False
        while self.iterations < self.max_evaluations:
            if abs(bracket[1].t - bracket[0].t) * length < self.tolerance_change:
                break
            t = cubic_minimum(bracket[0], bracket[1])
            t, stalled = _away_from_ends(t, bracket[0].t, bracket[1].t, stalled)
            now = self._at(t)
            self.iterations += 1
            if self._too_high(now) or now.value >= bracket[low].value:
                bracket[high] = now
                low, high = (0, 1) if bracket[0].value <= bracket[1].value else (1, 0)
                continue
            done = self._flat(now)
            if not done and now.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
            if done:
                break
        return [bracket[low], bracket[high]]


def _away_from_ends(t: Any, a: Any, b: Any, stalled: bool) -> tuple[Any, bool]:
    """`t` moved a tenth into the bracket when it is the second time too close to an end, or lies
    beyond.
    """
    smallest, largest = min(a, b), max(a, b)
    margin = 0.1 * (largest - smallest)
    if not min(largest - t, t - smallest) < margin:
        return t, False
    if not (stalled or t >= largest or t <= smallest):
        return t, True
    near_largest = abs(t - largest) < abs(t - smallest)
    return (largest - margin if near_largest else smallest + margin), False
