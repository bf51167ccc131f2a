"""Losses between numbers: squared, absolute and Huber errors, likelihoods, divergences.

A loss that PyTorch computes in one kernel is an operator here: its values are NumPy's, its
gradient is written with operators. The others are compositions, as in PyTorch.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn.reduction import combine, operands, reduced, reduction_named, share
from pellucid.ops.nn.support import not_implemented, require_tensor
from pellucid.tensor.promotion import promote_types
from pellucid.tensor.tensor import Tensor


def _same_size(input: Tensor, target: Tensor) -> None:
    if tuple(target.shape) != tuple(input.shape):
        warnings.warn(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


def _floating(kernel: str, input: Tensor, target: Tensor) -> None:
    d = promote_types(input.dtype, target.dtype)
    if not d.is_floating_point:
        raise not_implemented(kernel, d)


def _pair(gradient: Any) -> Any:
    """Gradients of a loss of input - target, from its slope: one for the input, minus it."""

    def both(
        grad: Tensor, needs: Any, input: Tensor, target: Tensor, setting: Any, reduction: str
    ) -> Any:
        slope = gradient(input - target, setting)
        slope = slope * share(grad, reduction, slope.numel())
        return slope, -slope if "target" in needs else None

    return {("input", "target"): both}


# -- squared, absolute, and between the two


@operator(
    where="internal",
    name="mse_loss",
    gradient=_pair(lambda z, _: z * 2),
    backward_name="MseLossBackward0",
)
def _mse(input: Tensor, target: Tensor, setting: None, reduction: str) -> Tensor:
    (x, y), d, layout = operands(input, target)
    z = x - y
    return reduced(np.square(z), reduction, d, layout)


def _smooth_slope(z: Tensor, beta: float) -> Tensor:
    return F.where(z.abs() < beta, z / beta, F.sign(z))


@operator(
    where="internal",
    name="smooth_l1_loss",
    gradient=_pair(_smooth_slope),
    backward_name="SmoothL1LossBackward0",
)
def _smooth_l1(input: Tensor, target: Tensor, setting: float, reduction: str) -> Tensor:
    (x, y), d, layout = operands(input, target)
    z = np.abs(x - y)
    values = np.where(z < setting, 0.5 * z * z / setting, z - 0.5 * setting)
    return reduced(values, reduction, d, layout)


def _huber_slope(z: Tensor, delta: float) -> Tensor:
    return F.where(z.abs() < delta, z, delta * F.sign(z))


@operator(
    where="internal",
    name="huber_loss",
    gradient=_pair(_huber_slope),
    backward_name="HuberLossBackward0",
)
def _huber(input: Tensor, target: Tensor, setting: float, reduction: str) -> Tensor:
    (x, y), d, layout = operands(input, target)
    z = np.abs(x - y)
    values = np.where(z <= setting, 0.5 * z * z, setting * (z - 0.5 * setting))
    return reduced(values, reduction, d, layout)


def _l1(input: Tensor, target: Tensor, reduction: str) -> Tensor:
    return combine(F.abs(input - target), reduction)


def _weighted(errors: Tensor, weight: Tensor, input: Tensor, reduction: str) -> Tensor:
    if tuple(weight.shape) != tuple(input.shape):
        raise ValueError(
            "Weights and input must have the same size.\n"
            f"  weight {tuple(weight.shape)}, input {tuple(input.shape)}."
        )
    weighted = errors * weight
    if reduction == "none":
        return weighted
    if reduction == "sum":
        return weighted.sum()
    if reduction == "mean":
        return weighted.sum() / weight.sum()
    raise _invalid_mode(reduction)


def _invalid_mode(reduction: Any) -> ValueError:
    return ValueError(
        f"Invalid reduction mode: {reduction}. Expected one of 'none', 'mean', 'sum'."
    )


@composite(where="nn.functional")
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The squared error (input - target)^2; with `weight` a weighted mean of it."""
    _same_size(input, target)
    if weight is not None:
        if size_average is not None or reduce is not None:
            reduction = reduction_named(reduction, size_average, reduce)
        input, target = F.broadcast_tensors(input, target)
        return _weighted(F.square(input - target), weight, input, reduction)
    reduction = reduction_named(reduction, size_average, reduce)
    input, target = F.broadcast_tensors(input, target)
    _floating("mse_cpu", input, target)
    return _mse(input, target, None, reduction)


@composite(where="nn.functional")
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The absolute error |input - target|; with `weight` a weighted mean of it."""
    _same_size(input, target)
    if weight is not None:
        if size_average is not None or reduce is not None:
            reduction = reduction_named(reduction, size_average, reduce)
        input, target = F.broadcast_tensors(input, target)
        return _weighted(F.abs(input - target), weight, input, reduction)
    reduction = reduction_named(reduction, size_average, reduce)
    input, target = F.broadcast_tensors(input, target)
    return _l1(input, target, reduction)


@composite(where="nn.functional")
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squared (over 2 beta) for errors below `beta`, absolute above (Girshick 2015)."""
    _same_size(input, target)
    reduction = reduction_named(reduction, size_average, reduce)
    input, target = F.broadcast_tensors(input, target)
    if beta == 0:
        return _l1(input, target, reduction)
    if beta < 0:
        raise RuntimeError(
            "smooth_l1_loss does not support negative values for beta.\n"
            f"  beta is where the error turns from squared to absolute; it is {beta}."
        )
    _floating("smooth_l1_cpu", input, target)
    return _smooth_l1(input, target, float(beta), reduction)


@composite(where="nn.functional")
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Half the squared error up to `delta`, linear above (Huber 1964)."""
    _same_size(input, target)
    if weight is None:
        reduction = reduction_named(reduction)
    input, target = F.broadcast_tensors(input, target)
    if weight is not None and tuple(weight.shape) != tuple(input.shape):
        raise ValueError("Weights and input must have the same size.")
    if delta <= 0:
        raise RuntimeError(
            "huber_loss does not support non-positive values for delta.\n"
            f"  delta is where the error turns from squared to linear; it is {delta}."
        )
    _floating("huber_cpu", input, target)
    if weight is None:
        return _huber(input, target, float(delta), reduction)
    weighted = _huber(input, target, float(delta), "none") * weight
    if reduction not in ("none", "mean", "sum"):
        raise _invalid_mode(reduction)
    return combine(weighted, reduction)


# -- likelihoods and divergences


@composite(where="nn.functional")
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-08,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-log of the Poisson probability of `target` at the rate `input` (its log if `log_input`).

    Without `full` the term of the target alone, log(target!), is left out; with it, it is
    Stirling's approximation for targets above 1.
    """
    reduction = reduction_named(reduction, size_average, reduce)
    require_tensor("poisson_nll_loss", "target", 2, target)
    if log_input:
        loss = F.exp(input) - target * input
    else:
        loss = input - target * F.log(input + eps)
    if full:
        stirling = target * F.log(target) - target + 0.5 * F.log(2 * math.pi * target)
        loss = loss + F.where(target <= 1, F.zeros_like(stirling), stirling)
    return combine(loss, reduction)


def _checked_variance(input: Tensor, var: Any) -> Tensor:
    """The variance as a tensor that broadcasts to the input."""
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        return var * F.ones_like(input)
    if bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    shape, given = tuple(input.shape), tuple(var.shape)
    if given == shape:
        return var
    if given == shape[:-1]:
        return var.unsqueeze(-1)
    if (
        len(given) == len(shape)
        and sum(v for s, v in zip(shape, given, strict=True) if s != v) == 1
    ):
        return var
    raise ValueError(
        "var is of incorrect size\n"
        f"  It is {given}; for an input {shape} it must be {shape}, {shape[:-1]}, or have one "
        "dimension of size 1."
    )


@composite(where="nn.functional")
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Any,
    full: bool = False,
    eps: float = 1e-06,
    reduction: str = "mean",
) -> Tensor:
    """-log of the Gaussian density of `target` with mean `input` and variance `var` (>= `eps`).

    The constant log(2 pi) / 2 is added only if `full`.
    """
    var = _checked_variance(input, var)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    # The gradient for var is that of the clamped value, as if it had not been clamped.
    least = F.clamp(var.detach(), min=eps)
    var = var + (least - var.detach()) if var.requires_grad else least
    loss = 0.5 * (F.log(var) + F.square(input - target) / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return combine(loss, reduction)


@composite(where="nn.functional")
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """The Kullback-Leibler divergence target * (log target - input); `input` is a log-probability.

    "mean" divides by the number of elements; "batchmean", which is the divergence as defined,
    divides by the size of the first dimension.
    """
    if size_average is not None or reduce is not None:
        kind = reduction_named(reduction, size_average, reduce)
    else:
        if reduction == "mean":
            warnings.warn(
                "reduction: 'mean' divides the total loss by both the batch size and the support "
                "size.'batchmean' divides only by the batch size, and aligns with the KL div math "
                "definition.'mean' will be changed to behave the same as 'batchmean' in the next "
                "major release.",
                stacklevel=2,
            )
        kind = "sum" if reduction == "batchmean" else reduction_named(reduction)
    require_tensor("kl_div", "input", 1, input)
    require_tensor("kl_div", "target", 2, target)
    for each in (input, target):
        if each.dtype.is_complex:
            raise RuntimeError("kl_div: Complex inputs not supported.")
        if not each.dtype.is_floating_point:
            raise RuntimeError("kl_div: Integral inputs not supported.")
    if log_target:
        loss = F.exp(target) * (target - input)
    else:
        loss = F.xlogy(target, target) - target * input
    total = combine(loss, kind)
    if reduction == "batchmean" and input.dim():
        total = total / input.shape[0]
    return total
