"""Layer and RMS normalisation: each row on its own.

Both are one operator with a fast gradient on arrays; for gradients of gradients the same is
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
from pellucid.ops.linalg.matmul import unsafe_view
from pellucid.ops.nn import kernels_normalisation as kernels
from pellucid.ops.nn.support import (
    Ints,
    not_implemented,
    sizes,
    tie,
    working,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import REDUCED, dtype, finfo, float32
from pellucid.tensor.layout import contiguous
from pellucid.tensor.levels import levels
from pellucid.tensor.tensor import Tensor, adopt, empty

_Rows = return_type("normalise_rows", "out mean rstd")


def as_rows(array: np.ndarray, size: int) -> np.ndarray:
    """Any array as contiguous rows of `size` elements."""
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
    if state.grad or levels.stack:
        return _row_composed(grad, input, normalized_shape, weight, eps, centre)
    size = math.prod(normalized_shape)
    if not input._layout.numel:
        return _empty_gradient(input, weight, normalized_shape)
    x, g = as_rows(working(input), size), as_rows(working(grad), size)
    out = empty(contiguous(input._layout.shape), input.dtype)
    scratch = as_rows(out._array, size) if input.dtype not in REDUCED else np.empty_like(x)
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
    x = as_rows(working(input), size)
    scratch = as_rows(out._array, size) if input.dtype not in REDUCED else np.empty_like(x)
    with np.errstate(all="ignore"):
        means, factors = kernels.normalise_rows(
            x, eps, _flat(weight, x.dtype), _flat(bias, x.dtype), scratch, centre
        )
    if input.dtype in REDUCED:
        if centre and size == 1:
            scratch = _affine(kernels.fused(x, means, factors), weight, bias)
        copy_array(out._array, scratch.reshape(input._layout.shape))
    return _Rows(out, adopt(means), adopt(factors))


def _affine(rows: np.ndarray, weight: Tensor | None, bias: Tensor | None) -> np.ndarray:
    scaled = rows if weight is None else rows * working(weight).reshape(-1)
    return scaled if bias is None else scaled + working(bias).reshape(-1)


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
    return unsafe_view(found.detach(), shape).to(kind)


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
        input = input.contiguous()
        found = input * (F.pow(input, 2).mean(dims, keepdim=True) + eps).rsqrt()
        return found if weight is None else found * weight
    return normalise_rows(input, shape, weight, None, float(eps), False)[0]


def working_kind(input: Tensor) -> dtype:
    """The dtype in which an input is normalised."""
    return float32 if input.dtype in REDUCED else input.dtype
