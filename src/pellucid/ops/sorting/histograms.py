"""Counting: `histc`, `histogram`, `histogramdd`, `bincount`."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.reductions.reduce import work_array
from pellucid.ops.returns import return_type
from pellucid.ops.spec import NoGradient
from pellucid.ops.underivable import UNLISTED, unlisted
from pellucid.tensor.dtype import FLOATING, INTEGER, dtype, float64, int64
from pellucid.tensor.tensor import Tensor, adopt

_Histogram = return_type("histogram", "hist bin_edges")
_HistogramDd = return_type("histogramdd", "hist bin_edges")
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


def _edges_and_bins(
    array: np.ndarray, bins: Any, low: float, high: float, dimension: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`(edges, the bin of each element, which elements are inside)` along one dimension."""
    if isinstance(bins, Tensor):
        edges = bins._array
        place = np.searchsorted(edges, array, "right") - 1
        place[array == edges[-1]] = len(edges) - 2
        return edges, place, (array >= edges[0]) & (array <= edges[-1])
    if bins <= 0:
        raise RuntimeError(
            f"torch.histogram(): bins must be > 0, but got {bins} for dimension {dimension}"
        )
    low, high = _whole_range("torch.histogram()", array, low, high, 0.5)
    edges = np.linspace(low, high, bins + 1).astype(array.dtype)
    place = np.clip(((array - low) * (bins / (high - low))).astype(np.int64), 0, bins - 1)
    place = np.where(array < edges[place], place - 1, place)
    place = np.where((place < bins - 1) & (array >= edges[place + 1]), place + 1, place)
    return edges, place, (array >= low) & (array <= high)


def _count(
    points: np.ndarray, bins: list[Any], limits: Any, weight: Tensor | None, density: bool
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Counts of points (n, d) in a grid of bins, and the edges along each dimension."""
    flat = np.zeros(len(points), np.int64)
    inside = np.ones(len(points), bool)
    all_edges = []
    for axis, each in enumerate(bins):
        low, high = (0.0, 0.0) if limits is None else limits[2 * axis : 2 * axis + 2]
        edges, place, within = _edges_and_bins(points[:, axis], each, float(low), float(high), axis)
        flat = flat * (len(edges) - 1) + place
        inside &= within
        all_edges.append(edges)
    shape = [len(edges) - 1 for edges in all_edges]
    weights = None if weight is None else weight._array.reshape(-1)[inside]
    counts = np.bincount(flat[inside], weights, math.prod(shape)).reshape(shape)
    counts = counts.astype(points.dtype)
    if density:
        counts = counts / counts.sum()
        for axis, edges in enumerate(all_edges):
            sizes = [-1 if i == axis else 1 for i in builtins.range(len(shape))]
            counts = counts / np.diff(edges).reshape(sizes)
    return counts.astype(points.dtype), all_edges


def _check_histogram(kernel: str, input: Tensor, weight: Tensor | None) -> None:
    if input.dtype.name not in ("float32", "float64"):
        raise NotImplementedError(
            f"\"{kernel}\" not implemented for '{scalar_type(input.dtype)}'\n"
            "  Convert the input with .float() first."
        )
    if weight is not None and weight.dtype is not input.dtype:
        raise RuntimeError(
            "torch.histogramdd(): if weight tensor is provided, it should have the same dtype as "
            f"the input tensor, but got dtype {_name(weight.dtype)} for weight and dtype "
            f"{_name(input.dtype)} for input"
        )


@operator(
    out=True,
    fields=("hist", "bin_edges"),
    gradient={name: unlisted("histogram") for name in ("input", "bins", "weight")},
    backward_name=UNLISTED,
)
def histogram(
    input: Tensor,
    bins: Any = 100,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """Counts (or sums of weights) in bins, and the edges of the bins.

    `bins` is a number of equal bins or a tensor of edges; `density` makes the integral 1.
    """
    _check_histogram("histogram_cpu", input, weight)
    points = input._array.reshape(-1, 1)
    counts, edges = _count(points, [bins], range, weight, density)
    return _Histogram(adopt(counts, input.dtype), adopt(np.array(edges[0]), input.dtype))


@composite(where="torch")
def histogramdd(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """Counts of points (*, d) in a d-dimensional grid of bins, and the edges along each dimension.

    `bins` is a number for all dimensions, or a list of numbers or of tensors of edges.
    """
    if input.dim() < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    _check_histogram("histogramdd", input, weight)
    d = input.shape[-1]
    each = list(bins) if isinstance(bins, (list, tuple)) else [bins] * d
    if len(each) != d:
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    counts, *edges = _count_in_grid(input, each, range, weight, density)
    own = zip(each, edges, strict=True)  # edges that were given are returned as they are
    return _HistogramDd(counts, tuple(b if isinstance(b, Tensor) else e for b, e in own))


@operator(
    where="internal",
    name="histogramdd",
    gradient={name: unlisted("_histogramdd_from_bin_cts") for name in ("input", "bins", "weight")},
    backward_name=UNLISTED,
)
def _count_in_grid(
    input: Tensor, bins: list[Any], range: Any, weight: Tensor | None, density: bool
) -> tuple[Tensor, ...]:
    """The counts of `histogramdd`, and the edges along each dimension."""
    points = input._array.reshape(math.prod(input.shape[:-1]), input.shape[-1])
    counts, edges = _count(points, bins, range, weight, density)
    return tuple(adopt(np.array(each), input.dtype) for each in (counts, *edges))


def _name(d: dtype) -> str:
    return {"float32": "float", "float64": "double"}.get(d.name, scalar_type(d))


@operator(gradient={"weights": unlisted("bincount")}, backward_name=UNLISTED)
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
