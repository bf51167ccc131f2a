"""Activations with weights, chance or two halves: prelu, rrelu, glu."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.activations.straight import kept_layout
from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.masks import keep
from pellucid.ops.elementwise.pointwise import elementwise
from pellucid.ops.elementwise.refusals import COMPLEX, EXACT, kernel
from pellucid.ops.numerics.activations import logistic
from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import registry
from pellucid.tensor.dtype import REDUCED, float64
from pellucid.tensor.layout import (
    elementwise_layout,
    empty_like_layout,
    narrow,
    normalize_dim,
)
from pellucid.tensor.random.distributions import uniform
from pellucid.tensor.random.generator import Generator, current_generator
from pellucid.tensor.tensor import Tensor, adopt, empty


@elementwise(
    "input weight",
    name="_prelu_kernel",
    where="internal",
    inplace=False,
    out=False,
    refuse=kernel("prelu_cpu", *EXACT, COMPLEX),
    gradient={
        "input": lambda grad, input, weight: F.internal._prelu_kernel_backward(grad, input, weight),
        "weight": lambda grad, input: keep(grad * input, F.logical_not(input >= 0)),
    },
)
def _bent(input: Any, weight: Any, out: Any) -> None:
    """x where x > 0, else weight · x."""
    np.copyto(out, np.where(input > 0, input, weight * input))


@elementwise(
    "grad_output input weight",
    name="_prelu_kernel_backward",
    where="internal",
    inplace=False,
    out=False,
    gradient={
        "grad_output": lambda grad, input, weight: F.internal._prelu_kernel_backward(
            grad, input, weight
        ),
        "input": lambda grad: F.zeros_like(grad),
        "weight": lambda grad, grad_output, input: keep(
            grad * grad_output, F.logical_not(input >= 0)
        ),
    },
)
def bent_grad(grad_output: Any, input: Any, weight: Any, out: Any) -> None:
    """grad where x > 0, else weight · grad."""
    np.copyto(out, np.where(input > 0, grad_output, weight * grad_output))


@composite(where="torch Tensor nn.functional")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight · x; one weight for all, or one for each channel (dimension 1)."""
    if input.dtype is not weight.dtype:
        raise RuntimeError(
            "prelu: Type promoting not supported. Got "
            f"{input.dtype.tensor_type.removesuffix('Tensor')} and "
            f"{weight.dtype.tensor_type.removesuffix('Tensor')}"
        )
    count, ndim = weight._layout.numel, len(input._layout.shape)
    if count != 1:
        if not ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input._layout.shape[1] if ndim > 1 else 1
        if channels != count:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers "
                f"= {count} and channel size = {channels}."
            )
    if len(weight._layout.shape) > 1:
        raise RuntimeError(
            "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = "
            f"{len(weight._layout.shape)}"
        )
    shape = [1] * ndim
    if ndim > 1:
        shape[1] = count
    return _bent(input, weight.reshape(shape) if weight._layout.shape != tuple(shape) else weight)


def _glu_grad(grad: Tensor, input: Tensor, dim: int) -> Tensor:
    left, right = input.chunk(2, dim)
    gate = F.sigmoid(right)
    return F.cat([grad * gate, grad * left * gate * (1 - gate)], dim)


@operator(where="nn.functional", gradient={"input": _glu_grad})
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of `dim` times the sigmoid of the second half. Shape.

    As `input`, `dim` halved.
    """
    shape = input._layout.shape
    if not shape:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    axis = normalize_dim(dim, len(shape))
    if shape[axis] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {axis} is size {shape[axis]}"
        )
    error = kernel("glu_cpu", *EXACT, COMPLEX)(input.dtype)
    if error is not None:
        raise error
    array = input._array.astype(np.float32) if input.dtype in REDUCED else input._array
    left, right = np.split(array, 2, axis)
    half = shape[axis] // 2
    layout = elementwise_layout(
        narrow(input._layout, axis, 0, half), narrow(input._layout, axis, half, half)
    )
    out = empty(layout, input.dtype)
    with np.errstate(all="ignore"):
        out._array[...] = left * logistic(right)
    return out


@operator(
    where="internal",
    backward_name="RreluWithNoiseBackward0",
    gradient={
        "input": lambda grad, input, noise: F.internal._slope_grad(grad, input, noise),
        "noise": lambda grad: F.zeros_like(grad),
    },
)
def _rrelu(input: Tensor, noise: Tensor) -> Tensor:
    """input · noise, the slopes drawn by `rrelu`."""
    out = empty(kept_layout(input._layout), input.dtype)
    np.multiply(input._array, noise._array, out._array)
    return out


@operator(
    where="internal",
    gradient={
        "grad_output": lambda grad, input, noise: F.internal._slope_grad(grad, input, noise),
        "input": lambda grad: F.zeros_like(grad),
    },
)
def _slope_grad(grad_output: Tensor, input: Tensor, noise: Tensor) -> Tensor:
    """grad · noise."""
    out = empty(empty_like_layout(grad_output._layout), grad_output.dtype)
    np.multiply(grad_output._array, noise._array, out._array)
    return out


def _slopes(input: Tensor, lower: float, upper: float, generator: Generator) -> Tensor:
    """1 where x > 0; elsewhere drawn from U(lower, upper), in the order of the elements."""
    array = input._array
    noise = np.ones(array.shape, np.float64)
    bent = array <= 0
    count = int(np.count_nonzero(bent))
    if count:
        noise[bent] = uniform(generator, count, float64, lower, upper)
    return adopt(noise.astype(input.dtype.numpy), input.dtype)


@composite(where="torch nn.functional")
def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: Any = False,
    generator: Generator | None = None,
) -> Tensor:
    """x where x > 0, else a · x.

    A is drawn from U(lower, upper) while training, else it is their mean.
    """
    return _randomly_leaky(input, lower, upper, training, inplace, generator)


def rrelu_(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """`rrelu` that overwrites its input."""
    return _randomly_leaky(input, lower, upper, training, True, generator)


def _randomly_leaky(
    input: Tensor,
    lower: float,
    upper: float,
    training: bool,
    inplace: Any,
    generator: Generator | None,
) -> Tensor:
    error = kernel("rrelu_with_noise_out_cpu", *EXACT, COMPLEX)(input.dtype)
    if error is not None:
        raise error
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return F.nn.leaky_relu(input, (lower + upper) / 2, inplace)
    noise = _slopes(input, lower, upper, generator or current_generator())
    return input.mul_(noise) if inplace else _rrelu(input, noise)


registry.put("torch", "rrelu_", guarded_as("torch.rrelu_", rrelu_))
registry.put("nn.functional", "rrelu_", guarded_as("nn.functional.rrelu_", rrelu_))
