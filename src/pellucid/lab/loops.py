"""Long descents as one compiled loop: every network of an ensemble in a lane of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.autograd.modes import no_grad
from pellucid.data import DataLoader, TensorDataset
from pellucid.lab.networks import Ensemble, activation_of
from pellucid.loops import compile_sweep
from pellucid.ops.api import F
from pellucid.optim import SGD, Adam
from pellucid.optim.lr_scheduler import LambdaLR
from pellucid.random import Generator
from pellucid.tensor.dtype import float32, float64
from pellucid.tensor.tensor import Tensor

LONG = 1000
"""Steps from which on the loop saves more than it takes to make it."""
ACTIVATIONS = ("relu", "tanh", "sigmoid")


def suits(ensemble: Ensemble, steps: int, batch: int | None, dropout: float) -> bool:
    """Whether a descent runs as a loop: long, on all points, of what loops compute."""
    return (
        steps >= LONG and batch is None and not dropout and ensemble.activation in ACTIVATIONS
    )  # fmt: skip


def descend(
    ensemble: Ensemble, x: Tensor, y: Tensor, optimiser: str, rate: float, steps: int,
    every: int, progress: Callable[[float], None],
) -> tuple[list[np.ndarray], list[int]]:  # fmt: skip
    """Train every network in float32; mean squared errors (seeds,) at some steps."""
    members = [_member(ensemble, number, optimiser, rate, steps)
               for number in range(len(ensemble.seeds))]  # fmt: skip
    data = TensorDataset(x.to(float32), y.to(float32))
    loader = DataLoader(data, batch_size=len(y), generator=Generator())
    loop = compile_sweep([step for _, step in members], data=loader)
    found: list[np.ndarray] = []
    piece = max(steps // 20, 1)
    for start in range(0, steps, piece):
        found.append(loop(min(piece, steps - start)).numpy())
        progress(min(start + piece, steps) / steps)
    losses = np.concatenate(found).astype(np.float64)
    at = [step for step in range(steps) if step % every == 0 or step == steps - 1]
    with no_grad():
        for number, (parameters, _) in enumerate(members):
            for whole, own in zip(ensemble.parameters, parameters, strict=True):
                whole[number].copy_(own.to(float64))
    return list(losses[at]), at


def _member(
    ensemble: Ensemble, number: int, optimiser: str, rate: float, steps: int
) -> tuple[list[Tensor], Callable[[Tensor, Tensor], Tensor]]:
    """One network's parameters in float32, and its training step."""
    act = activation_of(ensemble.activation)
    with no_grad():
        parameters = [each[number].to(float32).clone() for each in ensemble.parameters]
    for each in parameters:
        each.requires_grad_()
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    chosen: Any = (
        Adam(parameters, lr=rate) if optimiser == "adam" else SGD(parameters, lr=rate, momentum=0.9)
    )
    schedule = LambdaLR(
        chosen, lambda step: 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps))
    )

    def step(x: Tensor, y: Tensor) -> Tensor:
        chosen.zero_grad()
        h = x
        for depth, (weight, bias) in enumerate(layers):
            h = F.mm(h, weight) + bias
            h = act(h) if depth < len(layers) - 1 else h
        loss = (h.view(-1) - y).square().mean()
        loss.backward()
        chosen.step()
        schedule.step()
        return loss

    return parameters, step
