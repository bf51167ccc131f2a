"""Counting: `histc`, `histogram`, `bincount`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.dispatch import operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.reduce import work_array
from pellucid.ops.returns import return_type
from pellucid.ops.spec import NoGradient
from pellucid.tensor.dtype import FLOATING, INTEGER, dtype, float64, int64
from pellucid.tensor.tensor import Tensor, adopt

_Histogram = return_type("histogram", "hist bin_edges")
_NO_GRADIENT = NoGradient("counts")


def _whole_range(
    name: str, array: np.ndarray, low: float, high: float, margin: float
) -> tuple[float, float]:
    """The range to count in: that of the data if `low` equals `high`, and never empty."""
    if low == high and array.size:
        low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low:g}, {high:g}] is not finite")
    if not array.size and low == high:
        high = low + 1 if margin < 1 else low
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min")
    if low == high:
        low, high = low - margin, high + margin
    return low, high


def _place(array: np.ndarray, low: float, high: float, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The bin of each element within the range, and which elements are."""
    flat = array.reshape(-1)
    inside = (flat >= low) & (flat <= high)
    place = ((flat[inside] - low) * (bins / (high - low))).astype(np.int64)
    return np.minimum(place, bins - 1), inside


@operator(out=True, gradient=_NO_GRADIENT)
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of `bins` equal parts of [min, max]."""
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    if input.dtype.category != FLOATING:
        raise NotImplementedError(
            f"\"histogram_cpu\" not implemented for '{scalar_type(input.dtype)}'\n"
            "  Convert the input with .float() first."
        )
    array = work_array(input, input.dtype)
    low, high = _whole_range("torch.histc", array, min, max, 1)
    place, _ = _place(array, low, high, bins)
    counts = np.bincount(place, minlength=bins)
    return adopt(counts.astype(input.dtype.numpy), input.dtype)


@operator(out=True, fields=("hist", "bin_edges"), gradient=_NO_GRADIENT)
def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """Counts (or sums of weights) in bins, and the edges of the bins.

    `bins` is a number of equal bins or a tensor of edges; `density` makes the integral 1.
    """
    if input.dtype.name not in ("float32", "float64"):
        raise NotImplementedError(
            f"\"histogram_cpu\" not implemented for '{scalar_type(input.dtype)}'"
        )
    d = input.dtype
    array = input._array.reshape(-1)
    weights = None
    if weight is not None:
        if weight.dtype is not d:
            raise RuntimeError(
                "torch.histogramdd(): if weight tensor is provided, it should have the same dtype "
                f"as the input tensor, but got dtype {_name(weight.dtype)} for weight and dtype "
                f"{_name(d)} for input"
            )
        weights = weight._array.reshape(-1)
    if isinstance(bins, Tensor):
        edges = bins._array
        place = np.searchsorted(edges, array, "right") - 1
        place[array == edges[-1]] = len(edges) - 2
        inside = (array >= edges[0]) & (array <= edges[-1])
    else:
        if bins <= 0:
            raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins}")
        low, high = (0.0, 0.0) if range is None else map(float, range)
        low, high = _whole_range("torch.histogram()", array, low, high, 0.5)
        edges = np.linspace(low, high, bins + 1).astype(d.numpy)
        place = ((array - low) * (bins / (high - low))).astype(np.int64)
        place = np.clip(place, 0, bins - 1)
        inside = (array >= low) & (array <= high)
        place = np.where(array < edges[place], place - 1, place)
        place = np.where((place < bins - 1) & (array >= edges[place + 1]), place + 1, place)
    kept = None if weights is None else weights[inside]
    counts = np.bincount(place[inside], kept, len(edges) - 1).astype(d.numpy)
    if density:
        counts = counts / counts.sum() / np.diff(edges)
    return _Histogram(adopt(counts, d), adopt(np.array(edges), d))


def _name(d: dtype) -> str:
    return {"float32": "float", "float64": "double"}.get(d.name, scalar_type(d))


@operator(gradient=_NO_GRADIENT)
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often (or with what sum of `weights`) each number from 0 on occurs."""
    if input.dim() != 1 or (input.numel() and bool((input._array < 0).any())):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if input.dtype.category != INTEGER:
        raise NotImplementedError(
            f"\"bincount_cpu\" not implemented for '{scalar_type(input.dtype)}'"
        )
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    values = input._array.astype(np.int64, copy=False)
    if weights is None:
        return adopt(np.bincount(values, minlength=minlength).astype(np.int64), int64)
    d = weights.dtype if weights.dtype.name == "float32" else float64
    counted = np.bincount(values, work_array(weights, float64), minlength)
    return adopt(counted.astype(d.numpy), d)
