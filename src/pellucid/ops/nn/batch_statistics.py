"""The statistics of batch normalisation, and where half precision is rounded on the way.

With statistics kept in half precision PyTorch's CPU kernels round more often than once, and where a
normalised value is near zero such a rounding shows in every digit of it. Three kernels differ:

* bfloat16 in dense memory: the sum of squared deviations, the variance, the momentum and the
  products of the running averages are bfloat16 numbers;
* float16 in dense memory: statistics are rounded only where they are kept;
* strided memory of either: the running mean moves towards the rounded mean, and the result is
  rounded after each of its four steps.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pellucid.ops.inplace import copy_array
from pellucid.ops.nn import kernels_normalisation as kernels
from pellucid.tensor.dtype import REDUCED, bfloat16, dtype
from pellucid.tensor.tensor import Tensor

Array = np.ndarray


class Statistics(NamedTuple):
    """Of each channel, in float64: mean, biased and unbiased variance."""

    mean: Array
    variance: Array
    unbiased: Array


def narrow(values: Array | float, kind: dtype) -> Array:
    """`values` rounded to `kind` by way of float32, where sums are kept; float64 again."""
    return np.asarray(values, np.float32).astype(kind.numpy).astype(np.float64)


def statistics_dtype(input: Tensor, *parameters: Tensor | None) -> dtype:
    """The dtype statistics are kept in: the parameters', which may be wider than the input's."""
    return next((p.dtype for p in parameters if p is not None), input.dtype)


def is_dense(*tensors: Tensor | None) -> bool:
    """Whether the first tensor is row-major or channels-last and the parameters are contiguous."""
    first, *others = (None if t is None else t._layout for t in tensors)
    assert first is not None
    dense = first.is_row_major or first.is_channels_last or first.is_channels_last_3d
    return dense and all(layout is None or layout.is_row_major for layout in others)


def of_batch(x: Array, kind: dtype, dense: bool) -> Statistics:
    """Statistics of the channels of (N, C, L), to be kept as `kind`."""
    mean, variance = kernels.batch_statistics(x)
    count = x.shape[0] * x.shape[2]
    with np.errstate(all="ignore"):
        if kind is bfloat16 and dense:
            total = narrow(variance * count, kind)
            biased, unbiased = (
                narrow(total / narrow(divisor, kind), kind) for divisor in (count, count - 1)
            )
            return Statistics(mean, biased, unbiased)
        unbiased = variance * (count / (count - 1)) if count > 1 else variance * math.inf
    return Statistics(mean, variance, unbiased)


def update(
    running: tuple[Tensor | None, Tensor | None],
    batch: Statistics,
    momentum: float,
    kind: dtype,
    dense: bool,
) -> None:
    """Running mean and variance move towards the batch's mean and unbiased variance.

    As in PyTorch this does not count as a write: a module may run several times before one
    backward pass, whose nodes have saved these tensors.
    """
    mean = batch.mean
    if kind in REDUCED and not (dense and kind.name == "float16"):
        mean = narrow(mean, kind)
    for tensor, new, is_mean in zip(running, (mean, batch.unbiased), (True, False), strict=True):
        if tensor is None:
            continue
        array = tensor._array
        with np.errstate(all="ignore"):
            if kind is bfloat16 and dense:
                share = narrow(momentum, kind)
                old = narrow(narrow(1 - share, kind) * array, kind)
                moved = (narrow(share * new, kind) if is_mean else share * new) + old
            else:
                moved = momentum * new + (1 - momentum) * array
            copy_array(array, moved)


def scale_step_by_step(
    x: Array, mean: Array, invstd: Array, weight: Array | None, bias: Array | None, out: Array
) -> None:
    """(x - mean) * invstd * weight + bias of half-precision arrays, rounded after each step."""
    kind = out.dtype

    def along(values: Array) -> Array:
        return values.astype(kind).reshape(1, -1, *[1] * (x.ndim - 2))

    np.subtract(x, along(mean), out=out)
    np.multiply(out, along(invstd), out=out)
    if weight is not None:
        np.multiply(out, along(weight), out=out)
    if bias is not None:
        np.add(out, along(bias), out=out)


def scale_in_one(
    x: Array,
    mean: Array,
    invstd: Array,
    weight: Array | None,
    bias: Array | None,
    out: Array,
) -> None:
    """x * factor + shift for (N, C, L) in float32, factor and shift rounded to float32."""
    factor = invstd.astype(np.float32)
    if weight is not None:
        factor = factor * weight.astype(np.float32)
    shift = (0.0 if bias is None else bias) - mean * factor
    np.multiply(x, factor.reshape(1, -1, 1), out=out)
    np.add(out, shift.astype(np.float32).reshape(1, -1, 1), out=out)
