"""Gradients of convolutions as functions of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pellucid.autograd.api import grad
from pellucid.autograd.modes import enable_grad
from pellucid.nn import functional as F
from pellucid.tensor.tensor import Tensor

Size = int | tuple[int, ...]


def _of_input(
    dimensions: int, input_size: Sequence[int], weight: Tensor, grad_output: Tensor, *options: Any
) -> Tensor:
    """The gradient of a convolution with respect to an input of `input_size`."""
    with enable_grad():
        input = grad_output.new_zeros(tuple(input_size)).requires_grad_()
        output = getattr(F, f"conv{dimensions}d")(input, weight.detach(), None, *options)
        return cast(Tensor, grad(output, input, grad_output)[0])


def _of_weight(
    dimensions: int, input: Tensor, weight_size: Sequence[int], grad_output: Tensor, *options: Any
) -> Tensor:
    """The gradient of a convolution with respect to a weight of `weight_size`."""
    with enable_grad():
        weight = grad_output.new_zeros(tuple(weight_size)).requires_grad_()
        output = getattr(F, f"conv{dimensions}d")(input.detach(), weight, None, *options)
        return cast(Tensor, grad(output, weight, grad_output)[0])


def conv1d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of `conv1d` with respect to its input (N, in, L)."""
    return _of_input(1, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv1d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of `conv1d` with respect to its weight."""
    return _of_weight(1, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv2d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of `conv2d` with respect to its input (N, in, H, W)."""
    return _of_input(2, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv2d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of `conv2d` with respect to its weight."""
    return _of_weight(2, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv3d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of `conv3d` with respect to its input (N, in, D, H, W)."""
    return _of_input(3, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv3d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Gradient of `conv3d` with respect to its weight."""
    return _of_weight(3, input, weight_size, grad_output, stride, padding, dilation, groups)
