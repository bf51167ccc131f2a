"""`multilabel_margin_loss`: every target class should score a margin above every other class."""

from __future__ import annotations

import numpy as np

from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn.reduction import reduced, reduction_named, share
from pellucid.ops.nn.support import not_implemented, require_tensor, working
from pellucid.tensor.tensor import Tensor, adopt


def _targets(target: Tensor) -> np.ndarray:
    """(N, C) class indices; a row ends at its first -1."""
    found = target._array.astype(np.int64)
    found = found.reshape(-1, found.shape[-1] if found.ndim else 1)
    ended = np.logical_or.accumulate(found < 0, axis=1)
    return np.where(ended, -1, found)


def _violations(x: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Margins violated (N, T, C) by each class against each target, targets' mask, class mask."""
    n, classes = x.shape
    valid = targets >= 0
    safe = np.where(valid, targets, 0)
    is_target = np.zeros((n, classes), bool)
    rows = np.arange(n)[:, None]
    np.logical_or.at(is_target, (rows, safe), valid)
    z = 1 - x[rows, safe][:, :, None] + x[:, None, :]
    z = np.maximum(z, 0)
    z *= valid[:, :, None] & ~is_target[:, None, :]
    return z, safe, is_target


def _gradient(grad: Tensor, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    x = working(input)
    shape = x.shape
    x = x.reshape(-1, shape[-1] if shape else 1)
    z, safe, _ = _violations(x, _targets(target))
    hit = (z > 0).astype(x.dtype)
    slope = hit.sum(axis=1)
    rows = np.arange(x.shape[0])[:, None]
    np.subtract.at(slope, (rows, safe), hit.sum(axis=2))
    slope /= x.shape[1]
    factor = share(grad, reduction, max(x.shape[0], 1))
    if reduction == "none" and len(shape) > 1:
        factor = factor.view(-1, 1)
    return adopt(slope.reshape(shape)).to(input.dtype) * factor


@operator(
    where="internal",
    name="multilabel_margin_loss",
    gradient={"input": _gradient},
    backward_name="MultilabelMarginLossBackward0",
)
def _multilabel_margin(input: Tensor, target: Tensor, reduction: str) -> Tensor:
    x = working(input)
    shape = x.shape
    x = x.reshape(-1, shape[-1] if shape else 1)
    z, _, _ = _violations(x, _targets(target))
    values = (z.sum(axis=(1, 2)) / x.dtype.type(x.shape[1])).astype(x.dtype)
    if reduction == "none":
        values = values.reshape(shape[:-1])
    return reduced(values, reduction, input.dtype)


@composite(where="nn.functional", by_element=True)
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum of max(0, 1 - input[target] + input[other]) over C; `target` (N, C) ends a row by -1."""
    kind = reduction_named(reduction, size_average, reduce)
    require_tensor("multilabel_margin_loss", "target", 2, target)
    shape, given = tuple(input.shape), tuple(target.shape)
    if len(shape) > 2 or 0 in shape[1:] or shape == (0,):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(shape)}"
        )
    if given != shape:
        raise RuntimeError(
            f"inconsistent target size: {list(given)} for input of size: {list(shape)}"
        )
    classes = shape[-1] if shape else 1
    if target.numel():
        low, high = int(target._array.min()), int(target._array.max())
        if low < -1 or high >= classes:
            raise RuntimeError(
                "argument #2 'target' is out of range\n"
                f"  There are {classes} classes: 0 to {classes - 1}, or -1 to end a row."
            )
    if not input.dtype.is_floating_point:
        raise not_implemented("multilabel_margin_loss_forward_out_frame", input.dtype)
    return _multilabel_margin(input, target, kind)
