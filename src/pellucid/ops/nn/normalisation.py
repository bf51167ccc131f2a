"""Batch, layer, group, instance and RMS normalisation.

`batch_norm` and `layer_norm` are operators with fast gradients on arrays; when a gradient of a gradient is asked for, the same gradient is computed
with recorded operators instead (`_composed`). The others are made of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import copy_array
from pellucid.ops.nn import kernels_normalisation as kernels
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import REDUCED, float64
from pellucid.tensor.layout import contiguous, empty_like_layout
from pellucid.tensor.tensor import Tensor, adopt, empty

_Result = return_type("native_batch_norm", "out mean invstd")
_Rows = return_type("native_layer_norm", "out mean rstd")


def _channels(array: np.ndarray) -> np.ndarray:
    """(N, C, *S) as (N, C, L)."""
    return array.reshape(array.shape[0], array.shape[1], -1)


def _wide(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor._array.astype(np.float64)


def _working(tensor: Tensor) -> np.ndarray:
    """The data; half precision as float32."""
    return tensor._array.astype(np.float32) if tensor.dtype in REDUCED else tensor._array


def _batch_gradient(grad: Any, needs: Any, input: Any, weight: Any, running_mean: Any, running_var: Any, training: Any, eps: Any, mean: Any, invstd: Any) -> Any:
    if state.grad:
        return _batch_composed(grad, needs, input, weight, running_mean, running_var, training, eps)
    x, g = _working(input), _working(grad)
    wants_input = "input" in needs
    scratch = np.empty(x.shape, x.dtype) if wants_input else None
    for_weight, for_bias = kernels.batch_norm_backward(
        _channels(g), _channels(x), mean._array, invstd._array, _wide(weight), training, None if scratch is None else _channels(scratch)
    )
    to_input = None
    if scratch is not None:
        to_input = empty(empty_like_layout(input._layout), input.dtype)
        copy_array(to_input._array, scratch)
    like = weight if weight is not None else input
    return (
        to_input,
        adopt(for_weight.astype(like.dtype.numpy)) if weight is not None and "weight" in needs else None,
        adopt(for_bias.astype(like.dtype.numpy)) if "bias" in needs else None,
    )


def _batch_composed(grad: Any, needs: Any, input: Any, weight: Any, running_mean: Any, running_var: Any, training: Any, eps: Any) -> Any:
    dims = (0, *range(2, input.dim()))
    shape = (1, -1, *[1] * (input.dim() - 2))
    if training:
        centred = input - input.mean(dims, keepdim=True)
        invstd = ((centred * centred).mean(dims, keepdim=True) + eps).rsqrt()
    else:
        centred = input - running_mean.view(shape)
        invstd = (running_var.view(shape) + eps).rsqrt()
    hat = centred * invstd
    scaled = grad if weight is None else grad * weight.view(shape)
    if training:
        to_input = invstd * (scaled - scaled.mean(dims, keepdim=True) - hat * (scaled * hat).mean(dims, keepdim=True))
    else:
        to_input = invstd * scaled
    return to_input, (grad * hat).sum(dims) if weight is not None else None, grad.sum(dims)


@operator(
    where="internal",
    name="native_batch_norm",
    fields=("out", "mean", "invstd"),
    gradient={("input", "weight", "bias"): _batch_gradient},
    backward_name="NativeBatchNormBackward0",
)
def native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Any:
    """Batch normalisation of (N, C, *S); also the mean and 1/std it used, in float64. Updates the running statistics in training."""
    x = _channels(_working(input))
    if training:
        mean, variance = kernels.batch_statistics(x)
        _update(running_mean, running_var, mean, variance, x.shape[0] * x.shape[2], momentum)
    else:
        assert running_mean is not None and running_var is not None
        mean, variance = running_mean._array.astype(np.float64), running_var._array.astype(np.float64)
    with np.errstate(all="ignore"):
        invstd = 1 / np.sqrt(variance + eps)
    out = empty(empty_like_layout(input._layout), input.dtype)
    direct = input.dtype not in REDUCED and out._layout.is_row_major
    scratch = out._array if direct else np.empty(input._layout.shape, x.dtype)
    with np.errstate(all="ignore"):
        kernels.scale_channels(x, mean, invstd, _wide(weight), _wide(bias), _channels(scratch))
    if not direct:
        copy_array(out._array, scratch)
    saved_mean, saved_invstd = adopt(mean, float64), adopt(invstd, float64)
    return _Result(out, saved_mean, saved_invstd)


def _update(
    running_mean: Tensor | None, running_var: Tensor | None, mean: np.ndarray, variance: np.ndarray, count: int, momentum: float
) -> None:
    """Running statistics move towards the batch's; the variance's estimate is unbiased (count - 1)."""
    if running_mean is not None:
        array = running_mean._array
        copy_array(array, momentum * mean + (1 - momentum) * array)
    if running_var is not None:
        array = running_var._array
        with np.errstate(all="ignore"):
            unbiased = variance * (count / (count - 1)) if count > 1 else variance * math.inf
        copy_array(array, momentum * unbiased + (1 - momentum) * array)


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
    """Normalise each channel of (N, C, *S) with the batch's statistics (`training`) or the running ones.

    Ioffe and Szegedy 2015. In training, the running statistics are updated in place: (1 - momentum) * old + momentum * batch.
    """
    if input.dim() < 2:
        raise RuntimeError("batch_norm expects at least a 2-dimensional input")
    channels = input.shape[1]
    if training and input._layout.numel == channels:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    if not training:
        for label, statistic in (("running_mean", running_mean), ("running_var", running_var)):
            if statistic is None:
                raise RuntimeError(f"Expected {label} to be defined when training=False")
    for label, given in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if given is not None and given._layout.numel != channels:
            raise RuntimeError(f"{label} should contain {channels} elements not {given._layout.numel}")
    return native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)[0]


def _rows(array: np.ndarray, size: int) -> np.ndarray:
    return array.reshape(-1, size)


def _layer_gradient(grad: Any, needs: Any, input: Any, normalized_shape: Any, weight: Any, eps: Any, mean: Any, rstd: Any) -> Any:
    if state.grad:
        return _layer_composed(grad, input, normalized_shape, weight, eps)
    size = math.prod(normalized_shape)
    x, g = _rows(_working(input), size), _rows(_working(grad), size)
    scale = None if weight is None else _working(weight).reshape(-1)
    out = np.empty(x.shape, x.dtype)
    hat = kernels.rows_backward(g, x, mean._array, rstd._array, scale, out)
    to_input = empty(contiguous(input._layout.shape), input.dtype)
    copy_array(to_input._array, out.reshape(input._layout.shape))
    for_weight = for_bias = None
    if weight is not None and "weight" in needs:
        for_weight = adopt(np.einsum("rd,rd->d", g, hat).astype(weight.dtype.numpy).reshape(normalized_shape))
    if "bias" in needs:
        total = np.ones((1, g.shape[0]), g.dtype) @ g
        for_bias = adopt(total.astype(grad.dtype.numpy).reshape(normalized_shape))
    return to_input, for_weight, for_bias


def _layer_composed(grad: Any, input: Any, normalized_shape: Any, weight: Any, eps: Any) -> Any:
    dims = tuple(range(input.dim() - len(normalized_shape), input.dim()))
    outer = tuple(range(input.dim() - len(normalized_shape)))
    centred = input - input.mean(dims, keepdim=True)
    rstd = ((centred * centred).mean(dims, keepdim=True) + eps).rsqrt()
    hat = centred * rstd
    scaled = grad if weight is None else grad * weight
    to_input = rstd * (scaled - scaled.mean(dims, keepdim=True) - hat * (scaled * hat).mean(dims, keepdim=True))
    for_weight = None if weight is None else ((grad * hat).sum(outer) if outer else grad * hat)
    return to_input, for_weight, grad.sum(outer) if outer else grad


@operator(
    where="internal",
    name="native_layer_norm",
    fields=("out", "mean", "rstd"),
    gradient={("input", "weight", "bias"): _layer_gradient},
    backward_name="NativeLayerNormBackward0",
)
def native_layer_norm(
    input: Tensor, normalized_shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Any:
    """Layer normalisation, with the mean and 1/std of each row."""
    size = math.prod(normalized_shape)
    out = empty(contiguous(input._layout.shape), input.dtype)
    x = _working(input)
    direct = input.dtype not in REDUCED
    scratch = out._array if direct else np.empty(x.shape, np.float32)
    if not size or not input._layout.numel:
        none = adopt(np.empty((0, 1), x.dtype))
        return _Rows(out, none, none)
    with np.errstate(all="ignore"):
        mean, rstd = kernels.normalise_rows(
            _rows(x, size),
            eps,
            None if weight is None else _working(weight).reshape(-1),
            None if bias is None else _working(bias).reshape(-1),
            _rows(scratch, size),
        )
    if not direct:
        copy_array(out._array, scratch)
    return _Rows(out, adopt(mean), adopt(rstd))


@composite(where="nn.functional torch")
def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-05
) -> Tensor:
    """Normalise over the last dimensions, `normalized_shape`, then scale and shift (Ba, Kiros and Hinton 2016)."""
    shape = tuple(int(s) for s in normalized_shape)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []"
        )
    for label, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given.shape) != shape:
            raise RuntimeError(
                f"Expected {label} to be of same shape as normalized_shape, but got {label} of shape {list(given.shape)} and "
                f"normalized_shape = {list(shape)}"
            )
    if tuple(input.shape[-len(shape) :]) != shape or input.dim() < len(shape):
        wanted = ", ".join(map(str, shape))
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {wanted}], but got input of size"
            f"{list(input.shape)}"
        )
    return native_layer_norm(input, shape, weight, bias, eps)[0]
