"""`make_tensor`: tensors of any dtype filled with uniform numbers, to test with."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from pellucid import ops
from pellucid.tensor.device import memory_format as MemoryFormat
from pellucid.tensor.device import require_cpu
from pellucid.tensor.dtype import FLOATING, bool_, dtype, finfo, iinfo, int64
from pellucid.tensor.tensor import Tensor


def make_tensor(
    *shape: Any,
    dtype: dtype,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: MemoryFormat | None = None,
) -> Tensor:
    """A tensor of this shape with uniform numbers from [low, high).

    Args:
        shape: sizes, or a sequence of them.
        dtype: bool (low 0, high 2), an integer dtype (-9 to 10, cut to its range) or a floating or
            complex one (-9 to 9, both parts).
        device: the CPU.
        noncontiguous: every second element of a tensor twice as long.
        exclude_zero: put 1, or the smallest normal number, where 0 was drawn.

    Raises: ValueError for an empty or NaN interval, for `requires_grad` of integers, and for
    `noncontiguous` together with `memory_format`.
    """
    require_cpu(device)
    if len(shape) == 1 and isinstance(shape[0], Sequence):
        shape = tuple(shape[0])
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"noncontiguous={noncontiguous} and memory_format={memory_format}"
        )
    if requires_grad and dtype.category < FLOATING:
        raise ValueError(
            "`requires_grad=True` is not supported for boolean and integral dtypes, but got "
            f"dtype={dtype}"
        )
    noncontiguous = noncontiguous and math.prod(shape) > 1
    sizes = (*shape[:-1], 2 * shape[-1]) if noncontiguous else shape
    first, end = _interval(dtype, low, high)
    if dtype.category < FLOATING:
        result = ops.randint(math.ceil(first), math.ceil(end), sizes, dtype=dtype)
    else:
        result = ops.empty(sizes, dtype=dtype)
        _fill(ops.view_as_real(result) if dtype.is_complex else result, first, end)
    if noncontiguous:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        result[result == 0] = 1 if dtype.category < FLOATING else finfo(dtype).tiny
    if dtype.category >= FLOATING:
        result.requires_grad = requires_grad
    return result


def _fill(target: Tensor, low: float, high: float) -> None:
    if high - low >= finfo(target.dtype).max:  # the length itself would overflow
        target.uniform_(low / 2, high / 2).mul_(2)
    else:
        target.uniform_(low, high)


def _interval(kind: dtype, low: float | None, high: float | None) -> tuple[float, float]:
    """The interval to draw from, cut to what `kind` can hold."""
    least: float
    most: float
    if kind is bool_:
        least, most, default_low, default_high = 0, 2, 0, 2
    elif kind.category < FLOATING:
        limits = iinfo(kind)
        # The bounds of randint are 64-bit integers: the largest one cannot be drawn.
        least, most = limits.min, limits.max + (0 if kind is int64 else 1)
        default_low, default_high = -9, 10
    else:
        least, most = finfo(kind).min, finfo(kind).max
        default_low, default_high = -9, 9
    low = default_low if low is None else low
    high = default_high if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and kind.category >= FLOATING:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is "
            "deprecated since 2.1 and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=3,
        )
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < least or low >= most:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {kind} only "
            f"supports [{least}, {most})"
        )
    return min(max(low, least), most), min(max(high, least), most)
