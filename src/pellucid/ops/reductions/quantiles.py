"""Elements by rank: `median`, `nanmedian`, `mode`, `quantile`, `nanquantile`.

The median of an even count is the lower of the two in the middle. NaN makes a median or quantile
NaN, except in the `nan…` forms, which leave NaNs out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import integer
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import check_castable, scalar_type
from pellucid.ops.linalg.matmul import owned, unsafe_view
from pellucid.ops.reductions.extremes import scatter_back, shared_whole
from pellucid.ops.reductions.reduce import work_array
from pellucid.ops.returns import return_type
from pellucid.ops.sorting.order import as_std_sort, order_of
from pellucid.ops.spec import OutRule
from pellucid.tensor.dtype import COMPLEX, bool_, int64
from pellucid.tensor.layout import contiguous, normalize_dim, reduction_layout
from pellucid.tensor.tensor import Tensor, empty

# --- median ---------------------------------------------------------------------------------------


def _refuse(name: str, input: Tensor) -> None:
    if input.dtype.category == COMPLEX or input.dtype is bool_:
        raise NotImplementedError(
            f"\"{name}_out\" not implemented for '{scalar_type(input.dtype)}'\n"
            "  Convert the input to an integer or floating dtype first."
        )


def _middle(array: np.ndarray, axis: int, skip: bool) -> np.ndarray:
    """The index of the median along `axis`, kept with size 1; of the first NaN if there is one."""
    order = order_of(array, axis, False)
    count = array.shape[axis]
    if array.dtype.kind != "f":
        return order.take([(count - 1) // 2], axis)
    missing = np.isnan(array)
    present = count - missing.sum(axis, keepdims=True)
    if skip:
        rank = np.where(present > 0, (present - 1) // 2, 0)
    else:
        rank = np.where(present < count, present, (count - 1) // 2)
    return np.take_along_axis(order, rank, axis)


def _median(name: str, skip: bool) -> Callable[..., Any]:
    result = return_type(name, "values indices")

    @operator(
        where="internal",
        name=f"{name}_dim",
        out=True,
        fields=("values", "indices"),
        gradient={"input": scatter_back},
        backward_name=f"{name.capitalize()}Backward1",
    )
    def along(input: Tensor, dim: int, keepdim: bool = False) -> Any:
        shape = input._layout.shape
        axis = normalize_dim(integer(name, "dim", 2, dim), len(shape))
        _refuse("median", input)
        if shape and not shape[axis]:
            raise IndexError(f"median(): Expected reduction dim {axis} to have non-zero size.")
        layout = reduction_layout(input._layout, (axis,), keepdim)
        values, indices = empty(layout, input.dtype), empty(layout, int64)
        if not shape:
            values._array[...], indices._array[...] = input._array, 0
            return result(values, indices)
        found = _middle(work_array(input, input.dtype), axis, skip)
        indices._array[...] = found.reshape(layout.shape)
        values._array[...] = np.take_along_axis(input._array, found, axis).reshape(layout.shape)
        return result(values, indices)

    @operator(
        where="internal",
        name=f"{name}_all",
        gradient={"input": shared_whole},
        backward_name=f"{name.capitalize()}Backward0",
    )
    def whole(input: Tensor) -> Tensor:
        _refuse("median", input)
        out = empty(contiguous(()), input.dtype)
        flat = input._array.reshape(-1)
        if not flat.size:
            out._array[...] = np.nan if input.dtype.category >= 2 else np.iinfo(flat.dtype).min
            return out
        place = _middle(work_array(input, input.dtype).reshape(-1), 0, skip)
        out._array[...] = flat[place[0]]
        return out

    def by_arguments(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        if "axis" in kwargs:  # NumPy's name, which PyTorch takes as well
            kwargs["dim"] = kwargs.pop("axis")
        if args or "dim" in kwargs:
            return along(input, *args, **kwargs)
        return whole(input, **kwargs)

    by_arguments.__name__ = name
    by_arguments.__doc__ = (
        f"`{name}(input)`: the median of all elements; `{name}(input, dim, keepdim)`: along a "
        "dimension, with indices."
    )
    return composite()(by_arguments)


median = _median("median", False)
nanmedian = _median("nanmedian", True)


# --- mode -----------------------------------------------------------------------------------------

_Mode = return_type("mode", "values indices")


@operator(out=True, fields=("values", "indices"), gradient={"input": scatter_back})
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along `dim` (of equally frequent ones the smallest), its index."""
    shape = input._layout.shape
    axis = normalize_dim(integer("mode", "dim", 2, dim), len(shape))
    if input.dtype.category == COMPLEX:
        raise NotImplementedError(
            f"\"mode_cpu\" not implemented for '{scalar_type(input.dtype)}'\n"
            "  Complex numbers have no order: use .abs(), .real or .imag."
        )
    if shape and not shape[axis]:
        raise IndexError(f"mode(): Expected reduction dim {axis} to have non-zero size.")
    layout = reduction_layout(input._layout, (axis,), keepdim)
    values, indices = empty(layout, input.dtype), empty(layout, int64)
    if not shape:
        values._array[...], indices._array[...] = input._array, 0
        return _Mode(values, indices)
    array = np.moveaxis(work_array(input, input.dtype), axis, -1)
    order = order_of(array, array.ndim - 1, False)
    if array.shape[-1] > _RUN and array.size <= _FOLLOWED:
        order = as_std_sort(array, array.ndim - 1, order)
    place = _end_of_longest_run(np.take_along_axis(array, order, -1))
    found = np.moveaxis(np.take_along_axis(order, place, -1), -1, axis)
    indices._array[...] = found.reshape(layout.shape)
    values._array[...] = np.take_along_axis(input._array, found, axis).reshape(layout.shape)
    return _Mode(values, indices)


_RUN = 16
_FOLLOWED = 1 << 13
"""PyTorch returns the index that its unstable sort leaves last. Up to so many elements that sort is
followed; beyond, a stable one is used, and the index is the last one."""


def _end_of_longest_run(ordered: np.ndarray) -> np.ndarray:
    """Where the first of the longest runs of equal elements ends, along the last axis."""
    count = ordered.shape[-1]
    place = np.arange(count)
    last = np.ones(ordered.shape, bool)
    last[..., :-1] = ordered[..., 1:] != ordered[..., :-1]
    start = np.zeros(ordered.shape, np.int64)
    start[..., 1:] = np.where(last[..., :-1], place[1:], 0)
    length = place - np.maximum.accumulate(start, -1) + 1
    return np.where(last, length, 0).argmax(-1)[..., None]


# --- quantiles ------------------------------------------------------------------------------------

_MODES = ("linear", "lower", "higher", "midpoint", "nearest")
_LARGEST = 16_000_000
_OUT = OutRule(check_castable, row_major=True)


def _check(name: str, input: Tensor, q: Tensor, interpolation: str) -> None:
    if interpolation not in _MODES:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    if not input.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if q.dim() > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if input.dtype.name not in ("float32", "float64"):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if q.dtype is not input.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    wrong = q._array[~((q._array >= 0) & (q._array <= 1))]
    if wrong.size:
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")


def _ranks(ordered: Tensor, q: Tensor, skip: bool) -> Tensor:
    """Where the quantiles lie in each ordered row, as fractions of places."""
    if skip:
        last = F.isnan(ordered).logical_not().sum(-1, keepdim=True) - 1
        ranks = q * last
        return ranks.masked_fill(ranks < 0, 0)
    last = ordered.shape[-1] - 1
    ranks, missing = F.broadcast_tensors(q * last, F.isnan(ordered).any(-1, keepdim=True))
    return ranks.masked_fill(missing, last)


def _quantile(
    name: str, input: Tensor, q: Any, dim: Any, keepdim: bool, interpolation: str, skip: bool
) -> Tensor:
    if not isinstance(q, Tensor):
        if q < 0 or q > 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q:g}")
        q = F.tensor(float(q), dtype=input.dtype)
    _check(name, input, q, interpolation)
    axis = None if dim is None else normalize_dim(dim, input.dim())
    if axis is None:
        ordered = input.flatten().sort()[0]
    elif axis == input.dim() - 1 or not input.dim():
        ordered = (input if input.dim() else input.unsqueeze(0)).sort()[0]
    else:
        ordered = input.unsqueeze(-1).transpose(axis, -1).sort()[0]
    if ordered.shape[-1] > _LARGEST:
        raise RuntimeError(f"{name}() input tensor is too large")
    ranks = _ranks(ordered, q.reshape(-1), skip)
    shape = (*ordered.shape[:-1], q.numel())
    ranks = ranks.expand(shape)
    if interpolation in ("lower", "higher", "nearest"):
        rounding = {"lower": ranks.floor, "higher": ranks.ceil, "nearest": ranks.round}
        ranks = rounding[interpolation]()
    below = ranks.long()
    found = ordered.gather(-1, below)
    if interpolation in ("linear", "midpoint"):
        weights = F.full_like(ranks, 0.5) if interpolation == "midpoint" else ranks - below
        found = found.lerp(ordered.gather(-1, ranks.ceil().long()), weights)
    return _shaped(found, input, q, axis, keepdim)


def _shaped(found: Tensor, input: Tensor, q: Tensor, axis: int | None, keepdim: bool) -> Tensor:
    """The quantiles in front if there are several, the reduced dimension kept or not."""
    if axis is None:
        lead = [1] * input.dim() if keepdim else []
    else:
        lead = [
            1 if i == axis else size for i, size in enumerate(input.shape) if keepdim or i != axis
        ]
    if not q.dim():
        return unsafe_view(found, tuple(lead))
    several = found.movedim(-1, 0)
    return owned(several.reshape([q.numel(), *lead]))


@composite(out=_OUT, by_element=True)
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The elements below which the parts `q` of all lie, along `dim`; several `q` come first."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@composite(out=_OUT, by_element=True)
def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """`quantile` of the elements that are not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)
