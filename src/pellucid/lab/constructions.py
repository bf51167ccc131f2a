"""Networks whose weights theory gives, without training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pellucid.lab.networks import Network

Layer = tuple[np.ndarray, np.ndarray]


def _layer(weight: Sequence[Sequence[float]], bias: Sequence[float]) -> Layer:
    return np.array(weight, np.float64), np.array(bias, np.float64)


def absolute() -> Network:
    """|x| = relu(x) + relu(-x): two units, exact everywhere."""
    return Network((_layer([[1, -1]], [0, 0]), _layer([[1], [1]], [0])), "relu")


def ramp(width: float) -> Network:
    """A jump at 0 as a ramp of this width: two units; the error stays inside the ramp."""
    if width <= 0:
        raise ValueError(f"a ramp has a positive width, not {width}")
    steep = 1 / width
    return Network((_layer([[steep, steep]], [0.5, -0.5]), _layer([[1], [-1]], [0])), "relu")


def sawtooth(depth: int) -> Network:
    """Telgarsky's sawtooth of 2**depth pieces on [0, 1] with two units in each of `depth` layers:
    every layer folds once more (Telgarsky 2016, lemma 3.10).
    """
    if depth < 1:
        raise ValueError(f"a sawtooth has at least one layer, not {depth}")
    first = _layer([[1, 1]], [0, -0.5])
    fold = _layer([[2, 2], [-4, -4]], [0, -0.5])
    return Network((first, *[fold] * (depth - 1), _layer([[2], [-4]], [0])), "relu")


def sawtooth_wide(depth: int) -> Network:
    """The same function with one hidden layer: a unit for each of its 2**depth pieces."""
    pieces = 2**depth
    kinks = np.arange(pieces) / pieces
    slopes = np.where(np.arange(pieces) % 2 == 0, 1.0, -1.0) * pieces
    changes = np.diff(slopes, prepend=0.0)
    return Network(((np.ones((1, pieces)), -kinks), (changes[:, None], np.zeros(1))), "relu")


def square(layers: int) -> Network:
    """x² on [0, 1] up to 4**-(layers + 1): x minus sawtooths of falling size, three units a layer
    (Yarotsky 2017, proposition 2).
    """
    if layers < 1:
        raise ValueError(f"a network has at least one layer, not {layers}")
    # Units: the tooth's two and what is left of x, which never is negative.
    found = [_layer([[1, 1, 1]], [0, -0.5, 0])]
    for number in range(1, layers):
        size = 4.0**-number
        found.append(_layer([[2, 2, -2 * size], [-4, -4, 4 * size], [0, 0, 1]], [0, -0.5, 0]))
    size = 4.0**-layers
    found.append(_layer([[-2 * size], [4 * size], [1]], [0]))
    return Network(tuple(found), "relu")


def polynomial(coefficients: Sequence[float], step: float | None = None) -> Network:
    """A polynomial of degree n by n + 1 units of tanh, up to O(step): the units' Taylor series are
    combined so that every power gets its coefficient (Lin, Tegmark and Rolnick 2017).

    Smaller steps are closer in theory; the output weights grow as step**-n, and rounding with them.
    Without `step` the two are balanced.
    """
    count = len(coefficients)
    if not count:
        raise ValueError("a polynomial has at least one coefficient")
    if step is None:
        step = float(np.finfo(np.float64).eps) ** (1 / (count + 1))
    place = 0.6  # where no derivative of tanh that is needed vanishes
    derivatives = _tanh_derivatives(place, count)
    slopes = step * (np.arange(count) - (count - 1) / 2 + 0.25)
    powers = np.vander(slopes, count, increasing=True).T
    wanted = [
        c * math.factorial(k) / d
        for k, (c, d) in enumerate(zip(coefficients, derivatives, strict=True))
    ]
    weights = np.linalg.solve(powers, np.array(wanted))
    return Network(
        ((slopes[None, :], np.full(count, place)), (weights[:, None], np.zeros(1))), "tanh"
    )


def _tanh_derivatives(place: float, count: int) -> list[float]:
    """tanh and its derivatives: polynomials in t = tanh, since t' = 1 - t²."""
    found, current = [], np.polynomial.Polynomial([0, 1])
    for _ in range(count):
        found.append(float(current(math.tanh(place))))
        current = current.deriv() * np.polynomial.Polynomial([1, 0, -1])
    return found
