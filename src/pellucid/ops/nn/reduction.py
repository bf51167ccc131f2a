"""How a loss combines its elements: reading `reduction`, reducing, sharing a gradient out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pellucid.ops.nn.support import finished, working
from pellucid.tensor.dtype import dtype
from pellucid.tensor.layout import Layout, elementwise_layout
from pellucid.tensor.promotion import promote_types
from pellucid.tensor.tensor import Tensor

_NAMES = ("none", "mean", "sum")


def reduction_named(
    reduction: Any, size_average: bool | None = None, reduce: bool | None = None
) -> str:
    """`reduction`, overruled by PyTorch's deprecated pair of flags if one of them is given.

    Raises: ValueError for anything but "none", "mean" and "sum".
    """
    if size_average is not None or reduce is not None:
        if reduce is False:
            reduction = "none"
        else:
            reduction = "mean" if size_average is None or size_average else "sum"
        warnings.warn(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{reduction}' instead.",
            stacklevel=4,
        )
    if reduction == "elementwise_mean":
        warnings.warn(
            "reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.",
            stacklevel=4,
        )
        reduction = "mean"
    if reduction not in _NAMES:
        raise ValueError(
            f"{reduction} is not a valid value for reduction\n"
            "  It says how the elements' losses are combined: 'none', 'mean' or 'sum'."
        )
    return reduction


def reduced(values: np.ndarray, reduction: str, d: dtype, layout: Layout | None = None) -> Tensor:
    """The elements' losses as the loss: all of them in `layout`, their mean, or their sum."""
    if reduction == "none":
        return finished(values, d, layout)
    with np.errstate(all="ignore"):
        total = values.sum(dtype=values.dtype)
        if reduction == "mean":
            total = total / values.dtype.type(values.size)
    return finished(np.asarray(total), d)


def combine(values: Tensor, reduction: str) -> Tensor:
    """The same with recorded operators: `values`, their mean, or their sum."""
    if reduction == "mean":
        return values.mean()
    return values.sum() if reduction == "sum" else values


def share(grad: Tensor, reduction: str, count: int) -> Tensor:
    """The gradient of each element's loss, to be broadcast: a mean divides it by `count`."""
    return grad / count if reduction == "mean" else grad


def operands(*tensors: Tensor) -> tuple[list[np.ndarray], dtype, Layout]:
    """Arrays of the common dtype to compute with, that dtype, and the result's layout."""
    d = tensors[0].dtype
    for tensor in tensors[1:]:
        if tensor.dtype is not d:
            d = promote_types(d, tensor.dtype)
    arrays = [working(t) for t in tensors]
    kind = np.result_type(*arrays) if len({a.dtype for a in arrays}) > 1 else arrays[0].dtype
    if d.numpy.kind == "f" and kind != d.numpy and d.itemsize >= 4:
        kind = d.numpy
    layout = elementwise_layout(*[t._layout for t in tensors])
    return [a.astype(kind, copy=False) for a in arrays], d, layout
