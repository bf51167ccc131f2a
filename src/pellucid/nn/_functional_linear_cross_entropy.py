"""Cross entropy of a linear layer's output as one function."""

from __future__ import annotations

import math
from typing import Any

from pellucid.ops.api import Place
from pellucid.tensor.tensor import Tensor

F = Place("nn.functional")


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """`cross_entropy(linear(input, linear_weight, linear_bias), target, …)`.

    Args:
        input: (N, in) or (in,).
        linear_weight: (C, *, in); `linear_bias` (C, *).
        target: classes (N, *) or (), or probabilities (N, C, *).
        weight, reduction, ignore_index, label_smoothing: as for `cross_entropy`.
        options: how PyTorch cuts the batch into chunks to save memory; the result does not depend
            on it, and nothing is cut here.
    """
    if input.dim() not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if linear_weight.dim() < 2:
        raise RuntimeError(
            f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}"
        )
    num_classes, *outputs, in_features = linear_weight.shape
    if input.shape[-1] != in_features:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.shape[-1]} and {in_features}, respectively"
        )
    shape = (num_classes, *outputs)
    if linear_bias is not None and tuple(linear_bias.shape) != shape:
        raise RuntimeError(f"expected linear_bias shape {shape}, got {tuple(linear_bias.shape)}")
    if outputs and input.dim() == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} "
            f"requires batched input, (N, {in_features}), got unbatched input with shape "
            f"{tuple(input.shape)}"
        )
    logits_shape = (*input.shape[:-1], *shape)
    if tuple(target.shape) == logits_shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    rows = math.prod(shape)
    flat_bias = None if linear_bias is None else linear_bias.reshape(rows)
    logits = F.linear(input, linear_weight.reshape(rows, in_features), flat_bias)
    return F.cross_entropy(
        logits.reshape(logits_shape),
        target,
        weight=weight,
        reduction=reduction,
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
    )
