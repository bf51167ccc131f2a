"""Binary losses and margins: cross-entropy of probabilities and logits, hinge and margin losses.

What PyTorch computes in one kernel is an operator here; the others are compositions, as there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.nn.reduction import combine, operands, reduced, reduction_named, share
from pellucid.ops.nn.support import (
    not_implemented,
    refuse_gradient,
    require_tensor,
    working,
)
from pellucid.tensor.dtype import int64
from pellucid.tensor.layout import broadcast_shapes
from pellucid.tensor.tensor import Tensor, adopt

# -- two classes


def _bce_gradient(
    grad: Tensor,
    needs: frozenset[str],
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
) -> tuple[Tensor | None, Tensor | None]:
    grad = share(grad, reduction, input.numel())
    if weight is not None:
        grad = grad * weight
    to_input = to_target = None
    if "input" in needs:
        to_input = grad * (input - target) / F.clamp((1 - input) * input, min=1e-12)
    if "target" in needs:
        least = -100.0
        to_target = grad * (F.clamp(F.log1p(-input), min=least) - F.clamp(F.log(input), min=least))
    return to_input, to_target


@operator(
    where="internal",
    name="binary_cross_entropy",
    gradient={("input", "target"): _bce_gradient},
    backward_name="BinaryCrossEntropyBackward0",
)
def _bce(input: Tensor, target: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)), with logarithms cut at -100."""
    (x, t), d, layout = operands(input, target)
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        raise RuntimeError(
            "all elements of input should be between 0 and 1\n"
            "  The input is a probability: use sigmoid first, or "
            "binary_cross_entropy_with_logits."
        )
    if x.size and not (t.min() >= 0 and t.max() <= 1):
        raise RuntimeError("all elements of target should be between 0 and 1")
    with np.errstate(all="ignore"):
        low = x.dtype.type(-100)
        values = (t - 1) * np.maximum(np.log1p(-x), low) - t * np.maximum(np.log(x), low)
    if weight is not None:
        values = values * working(weight)
    return reduced(values.astype(x.dtype, copy=False), reduction, d, layout)


@composite(where="nn.functional")
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The cross-entropy of probabilities `input` against probabilities `target`."""
    kind = reduction_named(reduction, size_average, reduce)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}) is deprecated. Please ensure they have the same size."
        )
    if weight is not None:
        weight = weight.expand(broadcast_shapes(tuple(target.shape), tuple(weight.shape)))
    if not input.dtype.is_floating_point:
        raise not_implemented("binary_cross_entropy", input.dtype)
    if target.dtype is not input.dtype:
        raise RuntimeError(
            f"Found dtype {scalar_type(target.dtype)} but expected {scalar_type(input.dtype)}\n"
            f"  Convert the target with .to({input.dtype!r})."
        )
    refuse_gradient("binary_cross_entropy", weight=weight)
    return _bce(input, target, weight, kind)


def _logits_slope(input: Tensor, target: Tensor, pos_weight: Tensor | None) -> Tensor:
    """d loss / d input."""
    if pos_weight is None:
        return F.sigmoid(input) - target
    t = pos_weight * target
    return (t + 1 - target) * F.sigmoid(input) - t


def _logits_gradient(
    grad: Tensor,
    needs: frozenset[str],
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    reduction: str,
) -> Any:
    grad = share(grad, reduction, input.numel())
    plain = grad if weight is None else grad * weight
    found: dict[str, Tensor | None] = dict.fromkeys(("input", "target"))
    if "input" in needs:
        found["input"] = plain * _logits_slope(input, target, pos_weight)
    if "target" in needs:
        positive = F.nn.logsigmoid(input)
        if pos_weight is not None:
            positive = positive * pos_weight
        found["target"] = plain * (F.nn.logsigmoid(-input) - positive)
    return tuple(found.values())


@operator(
    where="internal",
    name="binary_cross_entropy_with_logits",
    gradient={("input", "target"): _logits_gradient},
    backward_name="BinaryCrossEntropyWithLogitsBackward0",
)
def _logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    reduction: str,
) -> Tensor:
    """(1 - t) x + (1 + (p - 1) t) log(1 + exp(-x)), the logarithm without overflow."""
    (t, x), d, layout = operands(target, input)
    with np.errstate(all="ignore"):
        softplus = np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0)
        if pos_weight is not None:
            softplus = softplus * ((working(pos_weight) - 1) * t + 1)
        values = (1 - t) * x + softplus
        if weight is not None:
            values = values * working(weight)
    return reduced(values.astype(x.dtype, copy=False), reduction, d, layout)


@composite(where="nn.functional")
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """The cross-entropy of sigmoid(input) against probabilities; `pos_weight` weighs positives."""
    kind = reduction_named(reduction, size_average, reduce)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"Target size ({target.size()}) must be the same as input size ({input.size()})"
        )
    if not input.dtype.is_floating_point:
        raise not_implemented("log_sigmoid_cpu", input.dtype)
    if target.dtype.category < input.dtype.category:
        raise RuntimeError(
            f"result type {scalar_type(input.dtype)} can't be cast to the desired output type "
            f"{scalar_type(target.dtype)}\n  Convert the target with .to({input.dtype!r})."
        )
    for given in (pos_weight, weight):
        if given is not None:
            broadcast_shapes(tuple(given.shape), tuple(input.shape))
    name = "binary_cross_entropy_with_logits"
    refuse_gradient(name, weight=weight, pos_weight=pos_weight)
    return _logits(input, target, weight, pos_weight, kind)


def _soft_margin_gradient(grad: Tensor, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    grad = share(grad, reduction, input.numel())
    return -target * F.sigmoid(-target * input) * grad


@operator(
    where="internal",
    name="soft_margin_loss",
    gradient={"input": _soft_margin_gradient},
    backward_name="SoftMarginLossBackward0",
)
def _soft_margin(input: Tensor, target: Tensor, reduction: str) -> Tensor:
    (x, t), d, layout = operands(input, target)
    with np.errstate(all="ignore"):
        return reduced(np.log1p(np.exp(-t * x)), reduction, d, layout)


@composite(where="nn.functional")
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target * input)) for targets of 1 and -1."""
    kind = reduction_named(reduction, size_average, reduce)
    require_tensor("soft_margin_loss", "target", 2, target)
    if not (input.dtype.is_floating_point or target.dtype.is_floating_point):
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {scalar_type(input.dtype)}"
        )
    shape = broadcast_shapes(input.shape, target.shape)
    if shape != tuple(input.shape):
        raise RuntimeError(
            f"output with shape {list(input.shape)} doesn't match the broadcast shape "
            f"{list(shape)}\n  The target may be broadcast to the input, not the input to it."
        )
    refuse_gradient("soft_margin_loss", target=target)
    return _soft_margin(input, target, kind)


@composite(where="nn.functional")
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The binary cross-entropy of logits (N, C), averaged over the classes."""
    if size_average is not None or reduce is not None:
        reduction = reduction_named(reduction, size_average, reduce)
    log_sigmoid = F.nn.logsigmoid
    loss = -(target * log_sigmoid(input) + (1 - target) * log_sigmoid(-input))
    if weight is not None:
        loss = loss * weight
    dim = input.dim() - 1
    loss = loss.sum(dim) / input.size(dim)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return combine(loss, reduction)


# -- margins between scores


@composite(where="nn.functional")
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`input` where the target is 1, max(0, margin - input) where it is -1."""
    kind = reduction_named(reduction, size_average, reduce)
    require_tensor("hinge_embedding_loss", "target", 2, target)
    zeros = F.zeros_like(input)
    apart = F.where(target != 1, F.clamp_min(F.rsub(input, float(margin)), 0), zeros)
    alike = F.where(target != -1, input, zeros)
    return combine(apart + alike, kind)


@composite(where="nn.functional")
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target * (input1 - input2) + margin): who should rank higher, 1 or -1."""
    kind = reduction_named(reduction, size_average, reduce)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return combine(F.clamp_min(-target * (input1 - input2) + float(margin), 0), kind)


def _violations(
    input: Tensor, target: Tensor, margin: float, weight: Tensor | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Margins violated (N, C), zero at the target; target classes (N,); weight of each (N,)."""
    x = working(input)
    x = x.reshape(-1, x.shape[-1] if x.ndim else 1)
    t = target._array.reshape(-1)
    if t.size and not (t.min() >= 0 and t.max() < x.shape[1]):
        raise RuntimeError(
            f"target out of range\n  There are {x.shape[1]} classes: 0 to {x.shape[1] - 1}."
        )
    rows = np.arange(x.shape[0])
    z = x.dtype.type(margin) - x[rows, t][:, None] + x
    np.maximum(z, 0, out=z)
    z[rows, t] = 0
    weights = np.ones(t.shape, x.dtype) if weight is None else working(weight)[t]
    return z, t, weights


def _multi_margin_gradient(
    grad: Tensor,
    input: Tensor,
    target: Tensor,
    p: int,
    margin: float,
    weight: Tensor | None,
    reduction: str,
) -> Tensor:
    z, t, weights = _violations(input, target, margin, weight)
    classes = z.shape[1]
    slope = (z > 0).astype(z.dtype) if p == 1 else 2 * z
    slope *= (weights / classes)[:, None]
    slope[np.arange(t.size), t] = -slope.sum(axis=1)
    factor = share(grad, reduction, max(t.size, 1))
    if reduction == "none" and input.dim() > 1:
        factor = factor.view(-1, 1)
    return adopt(slope.reshape(tuple(input.shape))).to(input.dtype) * factor


@operator(
    where="internal",
    name="multi_margin_loss",
    gradient={"input": _multi_margin_gradient},
    backward_name="MultiMarginLossBackward0",
)
def _multi_margin(
    input: Tensor,
    target: Tensor,
    p: int,
    margin: float,
    weight: Tensor | None,
    reduction: str,
) -> Tensor:
    z, _, weights = _violations(input, target, margin, weight)
    values = (z if p == 1 else z * z).sum(axis=1) * weights / z.dtype.type(z.shape[1])
    if reduction == "none":
        values = values.reshape(() if input.dim() < 2 else (values.size,))
    return reduced(values, reduction, input.dtype)


@composite(where="nn.functional")
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: Any = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over other classes of max(0, margin - input[target] + input[class])^p, over C."""
    kind = reduction_named(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    p = int(p)
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    shape = tuple(input.shape)
    if len(shape) > 2 or 0 in shape[1:] or shape == (0,):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(shape)}"
        )
    samples = shape[0] if len(shape) == 2 else 1
    if target.dim() > 1 or target.numel() != samples:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{samples}], but got "
            f"{list(target.shape)}. Input has shape {list(shape)}."
        )
    classes = shape[-1] if shape else 1
    if weight is not None and weight.numel() != classes:
        raise RuntimeError(
            f"inconsistent weight size, expected {classes} but got {list(weight.shape)}"
        )
    if not input.dtype.is_floating_point:
        raise not_implemented("multi_margin_loss", input.dtype)
    if target.dtype is not int64:
        raise RuntimeError(f"expected scalar type Long but found {scalar_type(target.dtype)}")
    refuse_gradient("multi_margin_loss", weight=weight)
    return _multi_margin(input, target, int(p), float(margin), weight, kind)
