"""Measures of a network besides its error: the linear pieces it consists of, counted exactly."""

from __future__ import annotations

import numpy as np

from pellucid.lab.networks import LINEAR_PIECES, Network
from pellucid.lab.targets import check_interval


def kinks(network: Network, interval: tuple[float, float]) -> np.ndarray:
    """Where the slope of a network of one input changes inside the interval, in order.

    Layer after layer: between known breakpoints every unit is linear, so its sign changes at most
    once there, at a place that two values give. Nothing is sampled.

    Raises: ValueError for several inputs, or an activation that bends everywhere.
    """
    low, high = check_interval(interval)
    if network.layers[0][0].shape[0] != 1:
        raise ValueError("pieces are counted along a line: the network must have one input")
    if network.activation not in LINEAR_PIECES:
        raise ValueError(
            f"a network of {network.activation} has no linear pieces; those of relu and abs have"
        )
    points = np.array([low, high])
    for layer in range(len(network.layers) - 1):
        z = network.preactivations(points)[layer]
        left, right = z[:-1], z[1:]
        crossing = (left * right) < 0
        part = np.divide(left, left - right, out=np.zeros_like(left), where=crossing)
        places = points[:-1, None] + part * np.diff(points)[:, None]
        points = np.unique(np.concatenate([points, places[crossing]]))
    values = network(points)
    slopes = np.diff(values) / np.diff(points)
    largest = np.abs(slopes).max(initial=1.0)
    changes = np.abs(np.diff(slopes)) > 1e-9 * largest
    return points[1:-1][changes]


def linear_pieces(network: Network, interval: tuple[float, float]) -> int:
    """How many linear pieces the network consists of on the interval."""
    return len(kinks(network, interval)) + 1


def dead_units(network: Network, points: np.ndarray) -> int:
    """Hidden units that do not change over the points: relu that never opens, tanh that is always
    saturated.
    """
    count = 0
    for z in network.preactivations(points)[:-1]:
        if network.activation == "relu":
            still = (z <= 0).all(0)
        elif network.activation in ("tanh", "sigmoid"):
            still = (np.abs(z) > (4 if network.activation == "tanh" else 8)).all(0)
            still &= (np.sign(z) == np.sign(z[:1])).all(0)
        else:
            still = np.ptp(z, axis=0) == 0
        count += int(still.sum())
    return count
