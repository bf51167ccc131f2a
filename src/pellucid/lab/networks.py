"""Networks as values: one network's weights in NumPy, and many networks of one shape as stacked
tensors that are trained together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.ops.api import F
from pellucid.tensor.tensor import Tensor, from_numpy

LINEAR_PIECES = frozenset({"relu", "abs"})
"""Activations that are linear but for a kink at 0."""

_ON_ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "abs": np.abs,
    "tanh": np.tanh,
    "sigmoid": lambda x: 0.5 * (1 + np.tanh(x / 2)),
    "sin": np.sin,
}
_ON_TENSORS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "abs": F.abs,
    "tanh": F.tanh,
    "sigmoid": F.sigmoid,
    "sin": F.sin,
}
ACTIVATIONS = tuple(_ON_ARRAYS)


def activation_of(name: str) -> Callable[[Tensor], Tensor]:
    """The activation of this name, on tensors. ValueError for others."""
    if name not in _ON_TENSORS:
        raise ValueError(f"there is no activation {name!r}; there are {', '.join(ACTIVATIONS)}")
    return _ON_TENSORS[name]


@dataclass(frozen=True)
class Network:
    """A feed-forward network from a box to numbers: `(weight, bias)` for each layer, `(in, out)`
    and `(out,)`, with the activation between layers.

    Inputs are shifted and scaled first: `(x - centre) / scale`.
    """

    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    activation: str
    centre: float = 0.0
    scale: float = 1.0

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum(weight.size + bias.size for weight, bias in self.layers)

    @property
    def hidden(self) -> tuple[int, ...]:
        """The widths of the hidden layers."""
        return tuple(weight.shape[1] for weight, _ in self.layers[:-1])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The outputs `(n,)` at points `(n,)` or `(n, dimension)`."""
        *_, last = self.preactivations(points)
        return last[:, 0]

    def preactivations(self, points: np.ndarray) -> list[np.ndarray]:
        """What each layer computes before its activation, `(n, width)`."""
        h = (np.asarray(points, np.float64) - self.centre) / self.scale
        h = h[:, None] if h.ndim == 1 else h
        found = []
        act = _ON_ARRAYS[self.activation]
        for number, (weight, bias) in enumerate(self.layers):
            z = h @ weight + bias
            found.append(z)
            h = act(z) if number < len(self.layers) - 1 else z
        return found

    def units(self, points: np.ndarray) -> np.ndarray:
        """What each unit of the last hidden layer adds to the output, `(n, width)`."""
        *_, before, _ = self.preactivations(points)
        shown: np.ndarray = _ON_ARRAYS[self.activation](before) * self.layers[-1][0][:, 0]
        return shown


def check_shape(widths: Sequence[int], activation: str) -> None:
    """Widths of hidden layers that make sense. ValueError otherwise."""
    activation_of(activation)
    if not widths:
        raise ValueError("a network has at least one hidden layer")
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise ValueError(
                f"a hidden layer has at least one unit, not {width!r}: without units the network "
                "is a constant"
            )
        if width > 4096:
            raise ValueError(f"a hidden layer of {width} units is more than this laboratory holds")


def parameters_of(dimension: int, widths: Sequence[int]) -> int:
    """The weights and biases of a network with these hidden layers and one output."""
    return sum(
        (fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise([dimension, *widths, 1])
    )


class Ensemble:
    """Networks of one shape with different seeds: `weights[l]` is `(seeds, in, out)`, `biases[l]`
    `(seeds, 1, out)`, all leaves.

    Weights start as Glorot and Bengio 2010 (tanh, sigmoid) or He et al. 2015 (relu) propose, times
    `gain`. With `spread` the kinks of the first layer start spread over the interval, each at its
    own place; else biases start at 0. A seed gives the same network in any ensemble.
    """

    def __init__(
        self,
        dimension: int,
        widths: Sequence[int],
        activation: str,
        seeds: Sequence[int],
        *,
        gain: float = 1.0,
        spread: bool = True,
        centre: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        check_shape(widths, activation)
        if not seeds:
            raise ValueError("an ensemble needs at least one seed")
        self.activation, self.seeds = activation, tuple(seeds)
        self.centre, self.scale = centre, scale
        sizes = [dimension, *widths, 1]
        members = [_initial(sizes, activation, seed, gain, spread) for seed in seeds]
        self.weights, self.biases = [], []
        for layer in range(len(sizes) - 1):
            weight = np.stack([member[layer][0] for member in members])
            bias = np.stack([member[layer][1] for member in members])[:, None, :]
            self.weights.append(from_numpy(weight).requires_grad_())
            self.biases.append(from_numpy(np.ascontiguousarray(bias)).requires_grad_())

    @property
    def parameters(self) -> list[Tensor]:
        """Every weight and bias, layer by layer."""
        return [each for pair in zip(self.weights, self.biases, strict=True) for each in pair]

    @property
    def size(self) -> int:
        """The number of weights and biases of one network."""
        return sum(each[0].numel() for each in self.parameters)

    def inputs(self, points: np.ndarray) -> Tensor:
        """Points as the networks take them: `(n, dimension)`, scaled."""
        scaled = (np.asarray(points, np.float64) - self.centre) / self.scale
        return from_numpy(scaled[:, None] if scaled.ndim == 1 else scaled)

    def __call__(self, x: Tensor, dropout: float = 0.0) -> Tensor:
        """The outputs of all networks, `(seeds, n)`, at `(n, dimension)` or `(seeds, n, dimension)`
        scaled points.
        """
        act = activation_of(self.activation)
        h = x if x.dim() == 3 else x.expand(len(self.seeds), *x.shape)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = F.baddbmm(bias, h, weight)
            if number < len(self.weights) - 1:
                h = act(h)
                if dropout:
                    h = F.nn.dropout(h, dropout)
        return h[..., 0]

    def member(self, number: int) -> Network:
        """One of the networks, as it is now."""
        layers = tuple(
            (w[number].detach().numpy().copy(), b[number, 0].detach().numpy().copy())
            for w, b in zip(self.weights, self.biases, strict=True)
        )
        return Network(layers, self.activation, self.centre, self.scale)


def _initial(
    sizes: Sequence[int], activation: str, seed: int, gain: float, spread: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(seed)
    layers = []
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        last = number == len(sizes) - 2
        if activation in LINEAR_PIECES and not last:
            deviation = math.sqrt(2 / fan_in)
        else:
            deviation = math.sqrt(2 / (fan_in + fan_out))
        weight = random.standard_normal((fan_in, fan_out)) * deviation
        bias = np.zeros(fan_out)
        if number == 0 and spread:
            # A unit is steep enough to turn within its share of the interval, at a place there.
            steepness = 1.0 if activation in LINEAR_PIECES else max(2.0, fan_out / 2)
            weight = np.sign(weight) * steepness * random.uniform(0.5, 1.5, weight.shape)
            weight /= math.sqrt(fan_in)
            bias = -(random.uniform(-1, 1, weight.shape) * weight).sum(0)
        layers.append((weight * gain, bias * gain))
    return layers
