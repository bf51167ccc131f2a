"""Layer, RMS and group normalisation: each row on its own; local response and p-norms.

The first three are operators with fast gradients on arrays; for gradients of gradients the same is
computed with recorded operators.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import copy_array
from pellucid.ops.nn import kernels_normalisation as kernels
from pellucid.ops.nn.support import (
    Ints,
    finished,
    layout_for,
    not_implemented,
    sizes,
    tie,
    working,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import REDUCED, dtype, finfo, float32
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, adopt, empty

_Rows = return_type("normalise_rows", "out mean rstd")
_Groups = return_type("normalise_groups", "out mean rstd")


def _rows(array: np.ndarray, size: int) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1, size)


def _flat(tensor: Tensor | None, d: np.dtype) -> np.ndarray | None:
    return None if tensor is None else working(tensor).reshape(-1).astype(d, copy=False)


# -- layer and RMS normalisation


def _row_gradient(
    grad: Tensor,
    needs: frozenset[str],
    input: Tensor,
    normalized_shape: Ints,
    weight: Tensor | None,
    eps: float,
    centre: bool,
    mean: Tensor,
    rstd: Tensor,
) -> tuple[Tensor | None, ...]:
    if state.grad:
        return _row_composed(grad, input, normalized_shape, weight, eps, centre)
    size = math.prod(normalized_shape)
    if not input._layout.numel:
        return _empty_gradient(input, weight, normalized_shape)
    x, g = _rows(working(input), size), _rows(working(grad), size)
    out = empty(contiguous(input._layout.shape), input.dtype)
    scratch = _rows(out._array, size) if input.dtype not in REDUCED else np.empty_like(x)
    for_weight = kernels.rows_backward(
        g, x, mean._array, rstd._array, _flat(weight, x.dtype), scratch, centre
    )
    if input.dtype in REDUCED:
        copy_array(out._array, scratch.reshape(input._layout.shape))
    kind = (weight if weight is not None else grad).dtype.numpy
    return (
        out,
        adopt(for_weight.astype(kind).reshape(normalized_shape)) if "weight" in needs else None,
        adopt(kernels.sum_rows(g).astype(kind).reshape(normalized_shape))
        if "bias" in needs
        else None,
    )


def _empty_gradient(input: Tensor, weight: Tensor | None, shape: Ints) -> tuple[Tensor | None, ...]:
    zeros = F.zeros(shape, dtype=(weight if weight is not None else input).dtype)
    return F.zeros_like(input), zeros if weight is not None else None, zeros


def _row_composed(
    grad: Tensor,
    input: Tensor,
    normalized_shape: Ints,
    weight: Tensor | None,
    eps: float,
    centre: bool,
) -> tuple[Tensor | None, ...]:
    dims = tuple(range(input.dim() - len(normalized_shape), input.dim()))
    outer = tuple(range(input.dim() - len(normalized_shape)))
    centred = input - input.mean(dims, keepdim=True) if centre else input
    rstd = ((centred * centred).mean(dims, keepdim=True) + eps).rsqrt()
    hat = centred * rstd
    scaled = grad if weight is None else grad * weight
    slope = scaled - hat * (scaled * hat).mean(dims, keepdim=True)
    if centre:
        slope = slope - scaled.mean(dims, keepdim=True)
    others = [input] if weight is None else [input, weight]
    product = grad * hat
    for_bias = grad.sum(outer) if outer else grad
    return (
        tie(rstd * slope, others),
        None if weight is None else tie(product.sum(outer) if outer else product, others),
        tie(for_bias, others),
    )


@operator(
    where="internal",
    fields=("out", "mean", "rstd"),
    gradient={("input", "weight", "bias"): _row_gradient},
    backward_name="NativeLayerNormBackward0",
)
def normalise_rows(
    input: Tensor,
    normalized_shape: Ints,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    centre: bool,
) -> Any:
    """Normalisation over the last dimensions, with the mean and factor of each row, (R, 1)."""
    size = math.prod(normalized_shape)
    out = empty(contiguous(input._layout.shape), input.dtype)
    if not input._layout.numel:
        outer = math.prod(input._layout.shape[: input.dim() - len(normalized_shape)])
        none = np.zeros((outer, 1), working(out).dtype)
        return _Rows(out, adopt(none), adopt(none.copy()))
    x = _rows(working(input), size)
    scratch = _rows(out._array, size) if input.dtype not in REDUCED else np.empty_like(x)
    with np.errstate(all="ignore"):
        means, factors = kernels.normalise_rows(
            x, eps, _flat(weight, x.dtype), _flat(bias, x.dtype), scratch, centre
        )
    if input.dtype in REDUCED:
        copy_array(out._array, scratch.reshape(input._layout.shape))
    return _Rows(out, adopt(means), adopt(factors))


def _check_shape(
    input: Tensor, shape: Ints, weight: Tensor | None, bias: Tensor | None, comma: str
) -> None:
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    for label, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given.shape) != shape:
            raise RuntimeError(
                f"Expected {label} to be of same shape as normalized_shape, but got {label} of "
                f"shape {list(given.shape)} and normalized_shape = {list(shape)}"
            )
    if input.dim() < len(shape) or tuple(input.shape[-len(shape) :]) != shape:
        wanted = ", ".join(map(str, shape))
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*{comma}{wanted}], "
            f"but got input of size{list(input.shape)}"
        )


def _read_shape(name: str, normalized_shape: Any) -> Ints:
    if isinstance(normalized_shape, int):
        raise TypeError(
            f"{name}(): argument 'normalized_shape' (position 2) must be tuple of ints, not int"
        )
    return sizes(name, "normalized_shape", 2, normalized_shape)


@composite(where="nn.functional torch")
def layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    cudnn_enable: bool = True,
) -> Tensor:
    """Normalise over the last dimensions, `normalized_shape`, then scale and shift.

    Ba, Kiros and Hinton 2016.
    """
    shape = _read_shape("layer_norm", normalized_shape)
    _check_shape(input, shape, weight, bias, ", ")
    if not input.dtype.is_floating_point:
        raise not_implemented("LayerNormKernelImpl", input.dtype)
    return normalise_rows(input, shape, weight, bias, float(eps), True)[0]


@composite(where="torch")
def native_layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Layer normalisation with each row's mean and 1/std, of size 1 where it was normalised."""
    shape = _read_shape("native_layer_norm", normalized_shape)
    _check_shape(input, shape, weight, bias, ", ")
    if not input.dtype.is_floating_point:
        raise not_implemented("LayerNormKernelImpl", input.dtype)
    out, mean, rstd = normalise_rows(input, shape, weight, bias, float(eps), True)
    outer = input._layout.shape[: input.dim() - len(shape)]
    kind = statistics_dtype(input, weight)
    kept = (*outer, *[1] * len(shape))
    return out, _statistic(mean, kept, kind), _statistic(rstd, kept, kind)


def _statistic(found: Tensor, shape: Ints, kind: dtype) -> Tensor:
    """A mean or factor as the caller gets it."""
    return finished(found._array.reshape(shape), kind)


def statistics_dtype(input: Tensor, weight: Tensor | None) -> dtype:
    """Statistics have the parameters' dtype, which may be wider than a half-precision input's."""
    return input.dtype if weight is None else weight.dtype


@composite(where="nn.functional torch")
def rms_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divide by the root mean square over the last dimensions, then scale (Zhang, Sennrich 2019).

    `eps` is the dtype's machine epsilon unless given.
    """
    shape = _read_shape("rms_norm", normalized_shape)
    _check_shape(input, shape, weight, None, "")
    if input.dtype.category < 2:
        raise not_implemented("rms_norm", input.dtype)
    if eps is None:
        eps = finfo(working_kind(input)).eps
    if input.dtype.is_complex:
        dims = tuple(range(input.dim() - len(shape), input.dim()))
        found = input * (F.pow(input, 2).mean(dims, keepdim=True) + eps).rsqrt()
        return found if weight is None else found * weight
    return normalise_rows(input, shape, weight, None, float(eps), False)[0]


def working_kind(input: Tensor) -> dtype:
    """The dtype in which an input is normalised."""
    return float32 if input.dtype in REDUCED else input.dtype


# -- group normalisation


def _group_gradient(
    grad: Tensor,
    needs: frozenset[str],
    input: Tensor,
    weight: Tensor | None,
    groups: int,
    eps: float,
    mean: Tensor,
    rstd: Tensor,
) -> tuple[Tensor | None, ...]:
    if state.grad or not input._layout.numel:
        return _group_composed(grad, input, weight, groups, eps)
    shape = input._layout.shape
    n, c = shape[:2]
    size = c // groups * math.prod(shape[2:])
    x, g = _rows(working(input), size), np.ascontiguousarray(working(grad)).reshape(n, c, -1)
    scaled = g
    if weight is not None:
        scaled = g * working(weight).reshape(1, c, 1).astype(g.dtype)
    out = np.empty_like(x)
    kernels.rows_backward(scaled.reshape(-1, size), x, mean._array, rstd._array, None, out)
    kind = (weight if weight is not None else input).dtype.numpy
    for_weight = None
    if weight is not None and "weight" in needs:
        hat = ((x - mean._array) * rstd._array).reshape(n, c, -1)
        for_weight = adopt(_channel_sums(g * hat).astype(kind))
    return (
        finished(out.reshape(shape), input.dtype, layout_for(shape, input._layout)),
        for_weight,
        adopt(_channel_sums(g).astype(kind)) if "bias" in needs else None,
    )


def _channel_sums(x: np.ndarray) -> np.ndarray:
    return x.sum(axis=2).sum(axis=0, dtype=np.float64)


def _group_composed(
    grad: Tensor, input: Tensor, weight: Tensor | None, groups: int, eps: float
) -> tuple[Tensor | None, ...]:
    shape = input._layout.shape
    n, c = shape[:2]
    split = (n, groups, c // groups * math.prod(shape[2:]))
    x = input.reshape(split)
    centred = x - x.mean(2, keepdim=True)
    rstd = ((centred * centred).mean(2, keepdim=True) + eps).rsqrt()
    hat = centred * rstd
    along = (1, c, *[1] * (len(shape) - 2))
    scaled = (grad if weight is None else grad * weight.view(along)).reshape(split)
    slope = scaled - scaled.mean(2, keepdim=True) - hat * (scaled * hat).mean(2, keepdim=True)
    dims = (0, *range(2, len(shape)))
    others = [input] if weight is None else [input, weight]
    return (
        tie((rstd * slope).reshape(shape), others),
        None if weight is None else tie((grad * hat.reshape(shape)).sum(dims), others),
        tie(grad.sum(dims), others),
    )


@operator(
    where="internal",
    fields=("out", "mean", "rstd"),
    gradient={("input", "weight", "bias"): _group_gradient},
    backward_name="NativeGroupNormBackward0",
)
def normalise_groups(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, groups: int, eps: float
) -> Any:
    """Group normalisation of (N, C, *S), with the mean and 1/std of each group, (N * groups, 1)."""
    shape = input._layout.shape
    n, c = shape[:2]
    out = empty(layout_for(shape, input._layout), input.dtype)
    if not input._layout.numel:
        none = np.zeros((n * groups, 1), working(input).dtype)
        return _Groups(out, adopt(none), adopt(none.copy()))
    size = c // groups * math.prod(shape[2:])
    x = _rows(working(input), size)
    direct = input.dtype not in REDUCED and out._layout.is_row_major
    found = out._array.reshape(-1, size) if direct else np.empty_like(x)
    with np.errstate(all="ignore"):
        means, factors = kernels.normalise_rows(x, eps, None, None, found)
    planes = found.reshape(n, c, -1)
    if weight is not None:
        planes *= working(weight).reshape(1, c, 1).astype(x.dtype)
    if bias is not None:
        planes += working(bias).reshape(1, c, 1).astype(x.dtype)
    if not direct:
        copy_array(out._array, found.reshape(shape))
    return _Groups(out, adopt(means), adopt(factors))


def _check_groups(input: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None) -> None:
    c = input._layout.shape[1]
    if groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {groups}")
    if c % groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(input.shape)} and num_groups={groups}"
        )
    for label, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given.shape) != (c,):
            raise RuntimeError(
                f"Expected {label} to be a vector of size equal to the number of channels in "
                f"input, but got {label} of shape {list(given.shape)} and input of shape "
                f"{list(input.shape)}"
            )
    if not input.dtype.is_floating_point:
        raise not_implemented("GroupNormKernelImpl", input.dtype)


@composite(where="nn.functional torch")
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Normalise the channels of (N, C, *S) in groups, each sample on its own (Wu and He 2018)."""
    shape = input._layout.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {len(shape)}"
        )
    seen = [shape[0] * shape[1] // num_groups, num_groups, *shape[2:]]
    if seen[0] * math.prod(seen[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {seen}"
        )
    _check_groups(input, num_groups, weight, bias)
    return normalise_groups(input, weight, bias, num_groups, float(eps))[0]


@composite(where="torch")
def native_group_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Group normalisation with the mean and 1/std of each group, (N, groups)."""
    _check_groups(input, group, weight, bias)
    out, mean, rstd = normalise_groups(input, weight, bias, group, float(eps))
    kind = statistics_dtype(input, weight)
    return out, _statistic(mean, (N, group), kind), _statistic(rstd, (N, group), kind)


# -- over neighbours, over a norm


@composite(where="nn.functional")
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide by (k + alpha * mean of squares over `size` neighbouring channels)^beta.

    Krizhevsky, Sutskever and Hinton 2012.
    """
    dims = input.dim()
    if dims < 3:
        raise ValueError(
            "Expected 3D or higher dimensionality                          input "
            f"(got {dims} dimensions)"
        )
    if not input.numel():
        return input
    squares = input * input
    around = (size // 2, (size - 1) // 2)
    if dims == 3:
        padded = F.nn.pad(squares.unsqueeze(1), (0, 0, *around))
        mean = F.nn.avg_pool2d(padded, (size, 1), stride=1).squeeze(1)
    else:
        n, c, first = input.shape[:3]
        planes = squares.view(n, 1, c, first, -1)
        padded = F.nn.pad(planes, (0, 0, 0, 0, *around))
        mean = F.nn.avg_pool3d(padded, (size, 1, 1), stride=1).squeeze(1).view(input.shape)
    return input / F.pow(mean * alpha + k, beta)


@composite(where="nn.functional")
def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """Divide by the p-norm over `dim`, or by `eps` if that is larger."""
    norm = F.linalg.vector_norm(input, p, dim, keepdim=True)
    denominator = F.clamp_min(norm, eps).expand_as(input)
    if out is None:
        return input / denominator
    return F.div(input, denominator, out=out)
