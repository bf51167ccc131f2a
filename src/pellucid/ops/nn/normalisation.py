"""Batch and instance normalisation.

`batch_norm` is an operator with a fast gradient on arrays; when a gradient of a gradient is asked
for, the same gradient is computed with recorded operators instead (`_composed`). Instance
normalisation is batch normalisation of a batch of one, as in PyTorch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import copy_array, scalar_type
from pellucid.ops.nn import batch_statistics as batch
from pellucid.ops.nn import kernels_normalisation as kernels
from pellucid.ops.nn.support import (
    layout_for,
    not_implemented,
    refuse_gradient,
    scratch_for,
    settle,
    tie,
    working,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import REDUCED, float32, float64
from pellucid.tensor.layout import contiguous
from pellucid.tensor.levels import levels
from pellucid.tensor.tensor import Tensor, adopt, empty

_Normalised = return_type("batch_normalise", "out mean invstd")


def _wide(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor._array.astype(np.float64)


def _gradient(
    grad: Tensor,
    needs: frozenset[str],
    input: Tensor,
    weight: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    eps: float,
    mean: Tensor,
    invstd: Tensor,
) -> tuple[Tensor | None, ...]:
    if state.grad or levels.stack:
        return _composed(grad, input, weight, running_mean, running_var, training, eps)
    x = kernels.by_channel(working(input))
    g = working(grad)
    if _strides(g) != _strides(input._array):  # seen in blocks of the same order
        laid_out = empty(layout_for(input._layout.shape, input._layout), grad.dtype)
        laid_out._array[...] = grad._array
        g = working(laid_out)
        x = kernels.by_channel(_in_order(input))
    to_input = scratch = None
    if "input" in needs:
        to_input = empty(layout_for(input._layout.shape, input._layout), input.dtype)
        scratch = to_input._array
        if input.dtype in REDUCED:
            scratch = np.empty_like(scratch, np.float32)
    for_weight, for_bias = kernels.batch_norm_backward(
        kernels.by_channel(g),
        x,
        mean._array,
        invstd._array,
        _wide(weight),
        training,
        None if scratch is None else kernels.by_channel(scratch),
    )
    if to_input is not None and scratch is not None and scratch is not to_input._array:
        copy_array(to_input._array, scratch)
    kind = (weight if weight is not None else input).dtype.numpy
    return (
        to_input,
        adopt(for_weight.astype(kind)) if weight is not None and "weight" in needs else None,
        adopt(for_bias.astype(kind)) if "bias" in needs else None,
    )


def _strides(array: np.ndarray) -> tuple[int, ...]:
    """Strides in elements of the dimensions that matter."""
    return tuple(
        s // array.itemsize for s, n in zip(array.strides, array.shape, strict=True) if n > 1
    )


def _in_order(input: Tensor) -> np.ndarray:
    """The data, row-major or channels-last."""
    layout = layout_for(input._layout.shape, input._layout)
    if layout.strides == input._layout.strides:
        return working(input)
    laid_out = empty(layout, input.dtype)
    laid_out._array[...] = input._array
    return working(laid_out)


def _composed(
    grad: Tensor,
    input: Tensor,
    weight: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    eps: float,
) -> tuple[Tensor | None, ...]:
    dims = (0, *range(2, input.dim()))
    shape = (1, -1, *[1] * (input.dim() - 2))
    if training:
        centred = input - input.mean(dims, keepdim=True)
        invstd = ((centred * centred).mean(dims, keepdim=True) + eps).rsqrt()
    else:
        assert running_mean is not None and running_var is not None
        centred = input - running_mean.view(shape)
        invstd = (running_var.view(shape) + eps).rsqrt()
    hat = centred * invstd
    scaled = grad if weight is None else grad * weight.view(shape)
    to_input = scaled
    if training:
        along = hat * (scaled * hat).mean(dims, keepdim=True)
        to_input = scaled - scaled.mean(dims, keepdim=True) - along
    others = [input] if weight is None else [input, weight]
    return (
        tie(invstd * to_input, others),
        None if weight is None else tie((grad * hat).sum(dims), others),
        tie(grad.sum(dims), others),
    )


@operator(
    where="internal",
    fields=("out", "mean", "invstd"),
    gradient={("input", "weight", "bias"): _gradient},
    backward_name="NativeBatchNormBackward0",
)
def batch_normalise(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Any:
    """Batch normalisation of (N, C, *S); also the mean and 1/std it used, in float64.

    In training the running statistics are updated.
    """
    x = kernels.by_channel(_in_order(input))
    kind = batch.statistics_dtype(input, weight, bias, running_mean, running_var)
    dense = batch.is_dense(input, weight, bias, running_mean, running_var)
    if training:
        found = batch.of_batch(x, kind, dense)
        batch.update((running_mean, running_var), found, momentum, kind, dense)
        mean, variance = found.mean, found.variance
    else:
        assert running_mean is not None and running_var is not None
        mean = running_mean._array.astype(np.float64)
        variance = running_var._array.astype(np.float64)
    with np.errstate(all="ignore"):
        invstd = 1 / np.sqrt(variance + eps)
        if kind in REDUCED and (training or not dense):
            mean, invstd = batch.narrow(mean, kind), batch.narrow(invstd, kind)
        out = _scaled(input, x, mean, invstd, weight, bias, kind in REDUCED and not dense)
    return _Normalised(out, adopt(mean, float64), adopt(invstd, float64))


def _scaled(
    input: Tensor,
    x: np.ndarray,
    mean: np.ndarray,
    invstd: np.ndarray,
    weight: Tensor | None,
    bias: Tensor | None,
    step_by_step: bool,
) -> Tensor:
    out = empty(layout_for(input._layout.shape, input._layout), input.dtype)
    factor, shift = _wide(weight), _wide(bias)
    if step_by_step:
        batch.scale_step_by_step(input._array, mean, invstd, factor, shift, out._array)
        return out
    scratch = scratch_for(out)
    target = kernels.by_channel(scratch)
    if input.dtype in REDUCED:
        batch.scale_in_one(x, mean, invstd, factor, shift, target)
    else:
        kernels.scale_channels(x, mean, invstd, factor, shift, target)
    return settle(out, scratch)


def _check(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
) -> None:
    shape = input._layout.shape
    if len(shape) < 2:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-max(len(shape), 1)}, "
            f"{max(len(shape) - 1, 0)}], but got 1)\n"
            "  The channels are dimension 1 of (N, C, ...)."
        )
    if (running_mean is None) != (running_var is None) and training:
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    statistics = (("running_mean", running_mean), ("running_var", running_var))
    for label, given in (*statistics, ("weight", weight), ("bias", bias)):
        if given is None:
            if not training and label.startswith("running"):
                raise RuntimeError(f"{label} must be defined in evaluation mode")
        elif given._layout.numel != shape[1]:
            raise RuntimeError(
                f"{label} should contain {shape[1]} elements not {given._layout.numel}"
            )
        elif given.dtype is not input.dtype and (
            input.dtype not in REDUCED or given.dtype is not float32
        ):
            raise RuntimeError(
                "mixed dtype (CPU): expect parameter to have scalar type of Float\n"
                f"  {label} is {scalar_type(given.dtype)}, the input {scalar_type(input.dtype)}."
            )
    if not input.dtype.is_floating_point:
        raise not_implemented("batch_norm", input.dtype)
    refuse_gradient("native_batch_norm", running_mean=running_mean, running_var=running_var)


def _normalise_empty(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Nothing to normalise, but the gradients of weight and bias exist (zeros)."""
    out = input.clone()
    if weight is not None:
        out = out * weight[0]
    return out if bias is None else out + bias[0]


@composite(where="nn.functional")
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """Normalise each channel of (N, C, *S) with the batch's statistics or the running ones.

    Ioffe and Szegedy 2015. In training, the running statistics are updated in place:
    (1 - momentum) * old + momentum * batch, with the unbiased variance.
    """
    shape = input._layout.shape
    if training and shape and shape[0] * math.prod(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    if training and eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    if not isinstance(momentum, (int, float)):
        raise TypeError(
            "batch_norm(): argument 'momentum' (position 7) must be float, not "
            f"{type(momentum).__name__}"
        )
    return _batch_norm(
        input, weight, bias, running_mean, running_var, training, float(momentum), float(eps)
    )


def _batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    if not input._layout.numel and (input.dim() < 2 or input.dtype.is_floating_point):
        return _normalise_empty(input, weight, bias)
    _check(input, weight, bias, running_mean, running_var, training)
    return batch_normalise(
        input, weight, bias, running_mean, running_var, bool(training), momentum, eps
    )[0]


@composite(where="torch", name="batch_norm")
def torch_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`nn.functional.batch_norm` without its checks; `cudnn_enabled` is without effect."""
    return _batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


@composite(where="torch")
def native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation with the mean and 1/std that it used, (C,); empty ones in evaluation."""
    _check(input, weight, bias, running_mean, running_var, training)
    out, mean, invstd = batch_normalise(
        input, weight, bias, running_mean, running_var, bool(training), momentum, eps
    )
    kind = batch.statistics_dtype(input, weight, bias, running_mean, running_var)
    if not training:
        return out, empty(contiguous((0,)), kind), empty(contiguous((0,)), kind)
    return out, mean.detach().to(kind, copy=True), invstd.detach().to(kind, copy=True)


# -- instance normalisation: each sample's channels on their own


@composite(where="nn.functional")
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """Normalise each channel of each sample of (N, C, *S) (Ulyanov, Vedaldi and Lempitsky 2016).

    With `use_input_stats` running statistics, if given, move towards the samples' average.
    """
    shape = input._layout.shape
    if use_input_stats and math.prod(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    n, c = shape[:2]
    weight, bias = (None if t is None else t.repeat(n) for t in (weight, bias))
    statistics = [None if t is None else t.detach().repeat(n) for t in (running_mean, running_var)]
    merged = input.contiguous().view(1, n * c, *shape[2:])
    mean, var = statistics
    out = _batch_norm(merged, weight, bias, mean, var, use_input_stats, momentum, eps)
    if use_input_stats:
        for old, new in zip((running_mean, running_var), statistics, strict=True):
            if old is not None and new is not None:
                old.detach().copy_(new.view(n, c).mean(0))
    return out.view(shape)
