"""Reductions: sum, mean, prod, all, any, extremes, variance, logsumexp.

`reduce` is what they share: dimensions, `keepdim`, the dtype computed in, and summing accurately. NumPy sums float32 pairwise only along the
contiguous axis; over other axes it adds row after row, so long ones are summed as a product with ones (BLAS) or block by block.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import dims_of
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.inplace import copy_array
from pellucid.ops.returns import return_type
from pellucid.ops.spec import NoGradient
from pellucid.tensor.dtype import BOOL, INTEGER, REDUCED, bool_, dtype, float32, int64, uint8
from pellucid.tensor.layout import contiguous, normalize_dim, reduction_layout
from pellucid.tensor.tensor import Tensor, empty

Axes = tuple[int, ...]


def work_array(input: Tensor, d: dtype) -> np.ndarray:
    """`input`'s data as dtype `d`; half precision as float32, in which it is summed."""
    inner = float32 if d in REDUCED else d
    if input.dtype is inner:
        return input._array
    out = np.empty(input._layout.shape, inner.numpy)
    copy_array(out, input._array)
    return out


def reduce(
    input: Tensor, dim: Any, keepdim: bool, d: dtype, compute: Callable[[np.ndarray, Axes, np.ndarray], Any]
) -> Tensor:
    """Reduce over `dim` (None or () means all): `compute(array, axes, out)` writes into `out`, which keeps the reduced axes."""
    axes = dims_of(dim, input.dim())
    layout = reduction_layout(input._layout, axes, keepdim)
    out = empty(layout, d)
    kept = tuple(1 if i in axes else s for i, s in enumerate(input._layout.shape))
    array = work_array(input, d)
    with np.errstate(all="ignore"):
        if d in REDUCED:
            scratch = np.empty(kept, np.float32)
            compute(array, axes, scratch)
            copy_array(out._array.reshape(kept), scratch)
        else:
            compute(array, axes, out._array.reshape(kept))
    return out


_BLOCK = 128


def add_up(array: np.ndarray, axes: Axes, out: np.ndarray) -> None:
    """Sum over `axes` with an error that grows with the logarithm of the count."""
    if array.dtype.kind in "fc" and array.size > 4096 and not _inner_is_contiguous(array, axes):
        _blockwise(array, axes, out)
    else:
        np.sum(array, axis=axes, out=out, keepdims=True)


def _inner_is_contiguous(array: np.ndarray, axes: Axes) -> bool:
    """Whether NumPy's pairwise summation applies: the axis with the smallest stride is summed."""
    longest = [i for i in range(array.ndim) if array.shape[i] > 1]
    return not longest or builtins.min(longest, key=lambda i: abs(array.strides[i])) in axes


def _blockwise(array: np.ndarray, axes: Axes, out: np.ndarray) -> None:
    """Sum blocks of the longest summed axis, then the sums of the blocks."""
    axis = builtins.max(axes, key=lambda i: array.shape[i])
    count = array.shape[axis]
    if count <= _BLOCK:
        np.sum(array, axis=axes, out=out, keepdims=True)
        return
    starts = range(0, count, _BLOCK)
    shape = [1 if i in axes else s for i, s in enumerate(array.shape)]
    parts = np.empty((len(starts), *shape), array.dtype)
    index: list[Any] = [slice(None)] * array.ndim
    for number, start in enumerate(starts):
        index[axis] = slice(start, start + _BLOCK)
        np.sum(array[tuple(index)], axis=axes, out=parts[number], keepdims=True)
    while len(parts) > _BLOCK:
        cut = len(parts) - len(parts) % _BLOCK
        sums = parts[:cut].reshape(-1, _BLOCK, *shape).sum(axis=1)
        parts = np.concatenate([sums, parts[cut:]]) if cut < len(parts) else sums
    np.sum(parts, axis=0, out=out)


def unreduce(value: Any, shape: Sequence[int], dim: Any, keepdim: bool) -> Any:
    """Put the reduced dimensions back with size 1, so that `value` broadcasts over the input."""
    if keepdim:
        return value
    for axis in dims_of(dim, len(shape)):
        value = value.unsqueeze(axis)
    return value


def _sum_type(input: Tensor, d: dtype | None) -> dtype:
    if d is not None:
        return d
    return int64 if input.dtype.category <= INTEGER else input.dtype


@operator(
    out=True,
    backward_name="SumBackward0",
    gradient={"input": lambda grad, input, dim, keepdim: unreduce(grad, input.shape, dim, keepdim).expand(input.shape)},
)
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """The sum over `dim` (all dimensions if None); integers and bools give int64."""
    return reduce(input, dim, keepdim, _sum_type(input, dtype), add_up)


def _mean_grad(grad: Any, input: Any, dim: Any, keepdim: bool) -> Any:
    count = _count(input, dim)
    return (unreduce(grad, input.shape, dim, keepdim) / count).expand(input.shape)


def _count(input: Tensor, dim: Any) -> int:
    count = 1
    for axis in dims_of(dim, input.dim()):
        count *= input._layout.shape[axis]
    return count


@operator(out=True, gradient={"input": _mean_grad})
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None) -> Tensor:
    """The mean over `dim`. Integers are refused unless a floating `dtype` is given."""
    d = dtype or input.dtype
    if d.category <= INTEGER:
        what = "optional dtype, could not infer output dtype for" if dtype is None else "output dtype, got"
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {_scalar_name(input.dtype)}"
            if dtype is None
            else f"mean(): could not infer output dtype. Optional dtype must be either a floating point or complex dtype. Got: {_scalar_name(d)}"
        ) from (None if what else None)
    count = _count(input, dim)

    def compute(array: np.ndarray, axes: Axes, out: np.ndarray) -> None:
        add_up(array, axes, out)
        np.divide(out, count, out=out)

    return reduce(input, dim, keepdim, d, compute)


def _scalar_name(d: dtype) -> str:
    return {"int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"}.get(d.name, d.name)


def _truth(name: str, ufunc: np.ufunc) -> Callable[..., Tensor]:
    def body(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
        answer = uint8 if input.dtype is uint8 else bool_
        axes = dims_of(dim, input.dim())
        out = empty(reduction_layout(input._layout, axes, keepdim), answer)
        found = ufunc.reduce(input._array.astype(bool, copy=False), axis=axes, keepdims=keepdim)
        out._array[...] = found
        return out

    body.__name__ = name
    body.__doc__ = f"Whether {name} elements over `dim` are true (nonzero); uint8 input answers in uint8."
    return operator(out=True, gradient=NoGradient("answers in bool"))(body)


all = _truth("all", np.logical_and)
any = _truth("any", np.logical_or)


def _spread(grad: Any, input: Any, out: Any, dim: Any, keepdim: bool) -> Any:
    """Extreme values share their gradient evenly."""
    grad, out = unreduce(grad, input.shape, dim, keepdim), unreduce(out, input.shape, dim, keepdim)
    mask = (input == out).to(grad.dtype)
    return grad * mask / mask.sum(dim, keepdim=True)


def _refuse_empty(name: str, input: Tensor, dim: Any) -> None:
    axes = dims_of(dim, input.dim())
    if not input._layout.numel and any_zero(input._layout.shape[a] for a in axes):
        if dim is None or dim == ():
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
                "'dim' argument."
            )
        axis = next(a for a in axes if not input._layout.shape[a])
        raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")


def any_zero(sizes: Any) -> bool:
    """Whether one of the sizes is 0."""
    return not np.all(list(sizes))


def _extreme(name: str, ufunc: np.ufunc) -> Callable[..., Tensor]:
    def body(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
        _refuse_empty(name, input, dim)
        return reduce(
            input, dim, keepdim, input.dtype, lambda array, axes, out: ufunc.reduce(array, axis=axes, out=out, keepdims=True)
        )

    body.__name__ = name
    body.__doc__ = f"The {'largest' if name == 'amax' else 'smallest'} element over `dim`; NaN wins; ties share the gradient."
    return operator(out=True, gradient={"input": _spread})(body)


amax = _extreme("amax", np.maximum)
amin = _extreme("amin", np.minimum)


def first_extreme(array: np.ndarray, axis: int, largest: bool) -> np.ndarray:
    """Index of the first extreme element along `axis`; a NaN counts as extreme (NumPy agrees with PyTorch)."""
    return (np.argmax if largest else np.argmin)(array, axis=axis)


def _arg(name: str, largest: bool) -> Callable[..., Tensor]:
    def body(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        shape = input._layout.shape
        if input.dtype is bool_:
            raise RuntimeError(f'"{name}_cpu" not implemented for \'Bool\'')
        array = work_array(input, input.dtype)
        if dim is None:
            if not input._layout.numel:
                raise IndexError(
                    f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
                    "'dim' argument."
                )
            out = empty(contiguous((1,) * len(shape) if keepdim else ()), int64)
            out._array[...] = first_extreme(array.reshape(-1), 0, largest)
            return out
        axis = normalize_dim(dim, len(shape))
        if shape and not shape[axis]:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
        out = empty(reduction_layout(input._layout, (axis,), keepdim), int64)
        if shape:
            found = first_extreme(array, axis, largest)
            out._array[...] = np.expand_dims(found, axis) if keepdim else found
        else:
            out._array[...] = 0
        return out

    body.__name__ = name
    body.__doc__ = f"The index of the first {'largest' if largest else 'smallest'} element over `dim` (of the flattened tensor if None)."
    return operator(out=True, gradient=NoGradient("returns indices"))(body)


argmax = _arg("argmax", True)
argmin = _arg("argmin", False)


def _scatter_back(grad: Any, input: Any, indices: Any, dim: int, keepdim: bool) -> Any:
    """The gradient goes to the element that was chosen."""
    if not input.dim():
        return grad
    if not keepdim:
        grad, indices = grad.unsqueeze(dim), indices.unsqueeze(dim)
    return F.zeros_like(input).scatter(dim, indices, grad)


def _choose(name: str, largest: bool) -> tuple[Callable[..., Any], Callable[..., Tensor]]:
    result = return_type(name, "values indices")

    def along(input: Tensor, dim: int, keepdim: bool = False) -> Any:
        shape = input._layout.shape
        axis = normalize_dim(dim, len(shape))
        if shape and not shape[axis]:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")
        layout = reduction_layout(input._layout, (axis,), keepdim)
        values, indices = empty(layout, input.dtype), empty(layout, int64)
        if not shape:
            values._array[...], indices._array[...] = input._array, 0
            return result(values, indices)
        array = work_array(input, input.dtype)
        found = np.expand_dims(first_extreme(array, axis, largest), axis)
        picked = np.take_along_axis(input._array, found, axis)
        indices._array[...] = found if keepdim else found.squeeze(axis)
        values._array[...] = picked if keepdim else picked.squeeze(axis)
        return result(values, indices)

    along.__name__ = f"{name}_along"
    along = operator(
        where="internal", name=f"{name}_dim", fields=("values", "indices"), gradient={"input": _scatter_back},
        backward_name=f"{name.capitalize()}Backward0",
    )(along)

    def whole(input: Tensor) -> Tensor:
        _refuse_empty(name, input, None)
        ufunc = np.maximum if largest else np.minimum
        return reduce(
            input, None, False, input.dtype, lambda array, axes, out: ufunc.reduce(array, axis=axes, out=out, keepdims=True)
        )

    def spread_whole(grad: Any, input: Any, out: Any) -> Any:
        mask = (input == out).to(grad.dtype)
        return grad * mask / mask.sum()

    whole = operator(
        where="internal", name=f"{name}_all", gradient={"input": spread_whole}, backward_name=f"{name.capitalize()}Backward1"
    )(whole)
    return along, whole


_max_along, _max_whole = _choose("max", True)
_min_along, _min_whole = _choose("min", False)


def _dispatch(name: str, along: Any, whole: Any, pairwise: str, input: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`max(x)`, `max(x, dim)` and `max(x, other)` are three operators under one name."""
    other = args[0] if args else kwargs.get("other", kwargs.get("dim"))
    if isinstance(other, Tensor):
        return getattr(F, pairwise)(input, other, **({"out": kwargs["out"]} if kwargs.get("out") is not None else {}))
    if other is None:
        return whole(input)
    out = kwargs.pop("out", None)
    result = along(input, *args, **kwargs)
    if out is None:
        return result
    for target, value in zip(out, result, strict=True):
        target.resize_(value.shape).copy_(value)
    return type(result)(*out)


@composite()
def max(input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """`max(input)`; `max(input, dim, keepdim)` with indices; `max(input, other)` elementwise."""
    return _dispatch("max", _max_along, _max_whole, "maximum", input, args, kwargs)


@composite()
def min(input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """`min(input)`; `min(input, dim, keepdim)` with indices; `min(input, other)` elementwise."""
    return _dispatch("min", _min_along, _min_whole, "minimum", input, args, kwargs)


@composite(where="Tensor")
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """Sum over the dimensions that broadcasting added: the inverse of `expand`."""
    shape = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    lead = input.dim() - len(shape)
    if lead < 0 or not np.all([s in (1, input.shape[lead + i]) for i, s in enumerate(shape)]):
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(input.shape)}}}.")
    dims = [*range(lead), *(lead + i for i, s in enumerate(shape) if s == 1 and input.shape[lead + i] != 1)]
    if dims:
        input = sum(input, dims, keepdim=True)
    return input.view(shape) if lead else input
