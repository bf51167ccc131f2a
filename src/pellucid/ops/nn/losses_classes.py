"""Losses of class scores against class indices or probabilities: `nll_loss`, `cross_entropy`.

`cross_entropy` with class indices is one operator: it keeps the logarithm of the sum of
exponentials of each place, not the log-softmax, and its gradient, softmax minus one at the target,
is computed from the scores again. With probabilities or label smoothing it is a composition.

Shapes: scores (C,), (N, C) or (N, C, *S); class indices (), (N,) or (N, *S). Inside, scores are
seen as (N, C, L).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import copy_array, scalar_type
from pellucid.ops.nn import kernels_classes as kernels
from pellucid.ops.nn.losses_classes_checks import check_classes, check_log_softmax
from pellucid.ops.nn.reduction import combine, reduction_named
from pellucid.ops.nn.support import (
    finished,
    layout_for,
    not_implemented,
    require_tensor,
    working,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.layout import contiguous, empty_like_layout
from pellucid.tensor.levels import levels
from pellucid.tensor.tensor import Tensor, adopt, empty

_Nll = return_type("nll_loss_forward", "out total_weight")
_CrossEntropy = return_type("cross_entropy_forward", "out logsumexp total_weight")


def _scores(input: Tensor) -> np.ndarray:
    """(N, C, L) from (C,), (N, C) or (N, C, *S)."""
    array = working(input)
    if array.ndim == 1:
        return array.reshape(1, -1, 1)
    return array.reshape(array.shape[0], array.shape[1], -1 if array.size else _rest(array.shape))


def _rest(shape: tuple[int, ...]) -> int:
    return math.prod(shape[2:])


def _classes(target: Tensor, n: int) -> np.ndarray:
    """The class indices (N, L), int64."""
    array = target._array.astype(np.int64, copy=False)
    return array.reshape(n, array.size // n if n else 0)


# -- nll_loss


def _nll_backward(
    grad: Tensor,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    total_weight: Tensor,
) -> Tensor:
    return nll_spread(grad, input, target, weight, reduction, ignore_index, total_weight)


@operator(
    where="internal",
    name="nll_loss",
    fields=("out", "total_weight"),
    gradient={"input": _nll_backward},
    backward_name="NllLossBackward0",
)
def _nll(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, ignore_index: int
) -> Any:
    """Minus the score of each target class, weighted and reduced; and the sum of the weights."""
    x = _scores(input)
    classes = _classes(target, x.shape[0])
    weights = kernels.class_weights(classes, _array(weight), x.shape[1], ignore_index, x.dtype)
    values = -kernels.pick(x, classes, ignore_index)
    return _Nll(
        _reduce(values, weights, reduction, input, target),
        finished(np.asarray(weights.sum(dtype=x.dtype)), input.dtype),
    )


def _array(weight: Tensor | None) -> np.ndarray | None:
    return None if weight is None else working(weight)


def _reduce(
    values: np.ndarray, weights: np.ndarray, reduction: str, input: Tensor, target: Tensor
) -> Tensor:
    """Weighted values reduced: a mean is over the sum of the weights. Ignored places count 0."""
    with np.errstate(all="ignore"):
        values = np.where(weights == 0, 0, values * weights).astype(values.dtype, copy=False)
        if reduction == "none":
            shape = target._layout.shape
            return finished(values.reshape(shape), input.dtype, contiguous(shape))
        total = values.sum(dtype=values.dtype)
        if reduction == "mean":
            total = total / weights.sum(dtype=values.dtype)
    return finished(np.asarray(total), input.dtype)


def _coefficients(
    grad: Tensor, weights: np.ndarray, reduction: str, total: Any, d: np.dtype
) -> np.ndarray:
    """What the gradient of each place's negative log-likelihood is, (N, L)."""
    given = working(grad)
    if reduction == "none":
        return weights * given.reshape(weights.shape)
    with np.errstate(all="ignore"):
        return weights * d.type(given / total if reduction == "mean" else given)


@operator(
    where="internal",
    gradient={
        "input": lambda grad, scores, target, weight, reduction, ignore_index: _nll(
            grad, target, weight, reduction, ignore_index
        )[0],
        "scores": lambda scores: F.zeros_like(scores),
    },
    backward_name="NllLossBackwardBackward0",
)
def nll_spread(
    input: Tensor,
    scores: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    total_weight: Tensor,
) -> Tensor:
    """The gradient of `nll_loss`: minus the weighted gradient at each target class, else zero."""
    shape = scores._layout.shape
    if len(shape) == 1:
        n, classes_count, length = 1, shape[0], 1
    else:
        n, classes_count, length = shape[0], shape[1], _rest(shape)
    d = working(input).dtype
    classes = _classes(target, n)
    weights = kernels.class_weights(classes, _array(weight), classes_count, ignore_index, d)
    coefficients = _coefficients(input, weights, reduction, working(total_weight), d)
    out = np.zeros((n, classes_count, length), d)
    kernels.add_at(out, classes, -coefficients, ignore_index)
    return finished(out.reshape(shape), input.dtype, layout_for(shape, scores._layout))


# -- cross_entropy with class indices


def _cross_entropy_backward(
    grad: Tensor,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    logsumexp: Tensor,
    total_weight: Tensor,
) -> Tensor:
    if state.grad or levels.stack:
        dim = 0 if input.dim() == 1 else 1
        log_probabilities = F.log_softmax(input, dim)
        spread = nll_spread(
            grad, log_probabilities, target, weight, reduction, ignore_index, total_weight
        )
        return spread - F.exp(log_probabilities) * spread.sum(dim, keepdim=True)
    x = _scores(input)
    classes = _classes(target, x.shape[0])
    weights = kernels.class_weights(classes, _array(weight), x.shape[1], ignore_index, x.dtype)
    factors = _coefficients(grad, weights, reduction, working(total_weight), x.dtype)
    out = empty(empty_like_layout(input._layout), input.dtype)
    direct = out._array.dtype == x.dtype and out._layout.is_row_major
    scratch = out._array.reshape(x.shape) if direct else np.empty(x.shape, x.dtype)
    with np.errstate(all="ignore"):
        kernels.softmax_scaled(x, logsumexp._array, factors, scratch)
    kernels.add_at(scratch, classes, -factors, ignore_index)
    if not direct:
        copy_array(out._array, scratch.reshape(input._layout.shape))
    return out


@operator(
    where="internal",
    name="cross_entropy_loss",
    fields=("out", "logsumexp", "total_weight"),
    gradient={"input": _cross_entropy_backward},
    backward_name="NllLossBackward0",
)
def _cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, ignore_index: int
) -> Any:
    """log(sum of exp) minus the target's score at each place, weighted and reduced."""
    x = _scores(input)
    classes = _classes(target, x.shape[0])
    weights = kernels.class_weights(classes, _array(weight), x.shape[1], ignore_index, x.dtype)
    with np.errstate(all="ignore"):
        top, rest = kernels.logsumexp(x)
        values = rest - (kernels.pick(x, classes, ignore_index) - top)
        logsumexp = top + rest
    return _CrossEntropy(
        _reduce(values, weights, reduction, input, target),
        adopt(logsumexp),
        finished(np.asarray(weights.sum(dtype=x.dtype)), input.dtype),
    )


# -- the public names


@composite(where="nn.functional")
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of the target classes; `input` holds log-probabilities.

    Places whose target is `ignore_index` count nothing. A mean is weighted by `weight` (C,).
    """
    kind = reduction_named(reduction, size_average, reduce)
    require_tensor("nll_loss_nd", "input", 1, input)
    require_tensor("nll_loss_nd", "target", 2, target)
    check_classes(input, target, weight)
    if not input.dtype.is_floating_point:
        raise not_implemented("nll_loss_out_frame", input.dtype)
    return _shaped(_nll(input, target, weight, kind, ignore_index)[0])


@composite(where="nn.functional")
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy of softmax(input) against class indices, or class probabilities.

    Targets of the shape of `input` are probabilities. `label_smoothing` mixes the target with the
    uniform distribution (Szegedy et al. 2016).
    """
    kind = reduction_named(reduction, size_average, reduce)
    require_tensor("cross_entropy_loss", "input", 1, input)
    require_tensor("cross_entropy_loss", "target", 2, target)
    dim = 0 if input.dim() == 1 else 1
    if target._layout.shape == input._layout.shape:
        return _with_probabilities(input, target, weight, kind, ignore_index, label_smoothing, dim)
    if not 0 <= label_smoothing <= 1:
        if label_smoothing > 1:
            raise RuntimeError(
                f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}"
            )
        label_smoothing = 0.0
    if input.dim():
        check_log_softmax(input, dim)
    check_classes(input, target, weight)
    if label_smoothing > 0:
        return _smoothed(input, target, weight, kind, ignore_index, label_smoothing, dim)
    return _shaped(_cross_entropy(input, target, weight, kind, ignore_index)[0])


def _shaped(loss: Tensor) -> Tensor:
    """PyTorch answers the losses of places along other dimensions than two as a view."""
    return loss if loss.dim() in (0, 1, 3) else loss.view(loss.shape)


def _with_probabilities(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    dim: int,
) -> Tensor:
    if not target.dtype.is_floating_point:
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{scalar_type(target.dtype)}\n"
            "  A target of the input's shape is read as probabilities; class indices have no "
            "dimension for the classes."
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    classes = input._layout.shape[dim]
    if weight is not None and weight._layout.shape != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or "
            f"no classes but got weight tensor of shape: {list(weight.shape)}"
        )
    check_log_softmax(input, dim)
    log_probabilities = F.log_softmax(input, dim)
    if label_smoothing > 0:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    products = log_probabilities * target
    if weight is not None:
        products = products * weight.view(-1, *[1] * (input.dim() - dim - 1))
    if reduction == "none":
        return -products.sum(dim)
    total = -products.sum()
    if reduction == "mean":
        return total / max(input.numel() // classes, 1) if input.numel() else total / 0.0
    return total


def _smoothed(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    dim: int,
) -> Tensor:
    log_probabilities = F.log_softmax(input, dim)
    hard, total_weight = _nll(log_probabilities, target, weight, reduction, ignore_index)
    if weight is not None:
        shape = (-1, *[1] * (input.dim() - dim - 1))
        smooth = -(log_probabilities * weight.view(shape)).sum(dim)
    else:
        smooth = -log_probabilities.sum(dim)
    ignored = target.view(smooth.shape) == ignore_index
    smooth = F.masked_fill(smooth, ignored, 0.0)
    if reduction == "mean":
        smooth = smooth.sum() / total_weight
    else:
        smooth = combine(smooth, reduction)
    share = label_smoothing / input._layout.shape[dim]
    return (1 - label_smoothing) * hard + share * smooth
