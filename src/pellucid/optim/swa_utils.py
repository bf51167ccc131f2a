"""Averages of weights over training: stochastic weight averaging (Izmailov et al. 2018) and
exponential averages.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any, Literal

from pellucid import ops
from pellucid.autograd.modes import no_grad
from pellucid.nn.module import Module
from pellucid.nn.modules.batchnorm import _BatchNorm
from pellucid.optim.optimizer import Optimizer
from pellucid.optim.schedule_base import LRScheduler, Rate, one_per_group
from pellucid.tensor.dtype import int64
from pellucid.tensor.tensor import Tensor

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Tensor, Tensor, Any], Tensor]
MultiAverage = Callable[[list[Tensor], list[Tensor], Any], None]


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


def _is_continuous(tensors: list[Tensor]) -> bool:
    return tensors[0].is_floating_point() or tensors[0].is_complex()


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """A function that moves averages towards the current values: `average += (1 - decay) *
    (current - average)`.
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(averages: list[Tensor], currents: list[Tensor], num_averaged: Any) -> None:
        for average, current in zip(averages, currents, strict=True):
            if _is_continuous(averages):
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(average * decay + current * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> MultiAverage:
    """A function that takes the current values into averages of `num_averaged` values with equal
    weights.
    """

    @no_grad()
    def swa_update(averages: list[Tensor], currents: list[Tensor], num_averaged: Any) -> None:
        if not _is_continuous(averages):
            raise RuntimeError(
                "Integer division with addcdiv is no longer supported: integer buffers, such as "
                "num_batches_tracked, have no average of equal weights. use_buffers=False copies "
                "them; get_ema_multi_avg_fn rounds them down"
            )
        share = 1.0 / (int(num_averaged) + 1)
        for average, current in zip(averages, currents, strict=True):
            average.lerp_(current, share)

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """A function that returns `decay * average + (1 - decay) * current`."""
    _check_decay(decay)

    @no_grad()
    def ema_update(average: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return decay * average + (1 - decay) * current

    return ema_update


def get_swa_avg_fn() -> Average:
    """A function that returns the average of `num_averaged + 1` values, `current` the last."""

    @no_grad()
    def swa_update(average: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return average + (current - average) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model that holds averages of its parameters; `update_parameters(model)` takes
    new values in.

    Args:
        model: what is copied.
        device: accepted as in PyTorch; there is the CPU only.
        avg_fn: `(average, current, num_averaged) -> new average`, for one tensor.
        multi_avg_fn: `(averages, currents, num_averaged)`, in place, for all tensors of one dtype.
        When neither is given,
            all values weigh the same.
        use_buffers: average buffers too; otherwise they are copied.

    Raises: AssertionError when both functions are given.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", ops.tensor(0, dtype=int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged model's forward."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the values of `model` into the averages; the first call copies them."""
        mine: list[Tensor] = [t.detach() for t in self._averaged(self.module)]
        theirs: list[Tensor] = [t.detach() for t in self._averaged(model)]
        if self.n_averaged == 0:
            for average, current in zip(mine, theirs, strict=False):
                average.copy_(current)
        elif self.avg_fn is not None:
            for average, current in zip(mine, theirs, strict=False):
                average.copy_(self.avg_fn(average, current, self.n_averaged))
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            by_dtype: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
            for average, current in zip(mine, theirs, strict=False):
                averages, currents = by_dtype.setdefault(average.dtype, ([], []))
                averages.append(average)
                currents.append(current)
            for averages, currents in by_dtype.values():
                update(averages, currents, self.n_averaged)
        if not self.use_buffers:
            for buffer, current in zip(self.module.buffers(), model.buffers(), strict=True):
                buffer.detach().copy_(current.detach())
        self.n_averaged += 1

    def _averaged(self, module: Module) -> Iterable[Tensor]:
        if self.use_buffers:
            return itertools.chain(module.parameters(), module.buffers())
        return module.parameters()


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of all batch normalisations anew, as plain averages over the
    batches of `loader`.

    Of batches that are lists or tuples the first element is the model's input.
    """
    momenta: dict[Any, Any] = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.momentum = None
    for batch in loader:
        inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(inputs if device is None else inputs.to(device))
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """`lr` goes from where it is to `swa_lr` in `anneal_epochs` epochs, along a cosine or a line,
    and stays there.

    Raises: ValueError for another strategy, or `anneal_epochs` that are no integer of at least 0.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = one_per_group("swa_lr", optimizer, swa_lr)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """The share of `swa_lr` in the rate after `step` steps."""
        part = max(0, min(1, step / max(1, self.anneal_epochs)))
        return part if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * part)) / 2

    def get_lr(self) -> list[Rate]:
        """The rates for the number of steps so far."""
        self._warn_if_called_by_user()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            start = group["swa_lr"]
            if before != 1:
                start = (group["lr"] - before * group["swa_lr"]) / (1 - before)
            rates.append(group["swa_lr"] * now + start * (1 - now))
        return rates
