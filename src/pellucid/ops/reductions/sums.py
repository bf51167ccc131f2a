"""Reductions that add, multiply or ask: `sum`, `mean`, `prod`, `all`, `any`, `logsumexp`, …

What they share (dimensions, accurate sums) is in `ops/reductions/reduce.py`; extremes are in
`ops/reductions/extremes.py`, variance and quantiles in `ops/reductions/statistics.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.inplace import check_castable, scalar_type
from pellucid.ops.reductions.reduce import (
    SUMMED,
    Axes,
    add_up,
    dtype_of_out,
    plan_of,
    reduce,
    run,
    unreduce,
    work_array,
)
from pellucid.ops.spec import NoGradient, OutRule
from pellucid.tensor.dtype import (
    COMPLEX,
    FLOATING,
    INTEGER,
    bool_,
    default,
    dtype,
    int64,
    uint8,
)
from pellucid.tensor.layout import normalize_dim
from pellucid.tensor.tensor import Tensor


def _nansum_out(args: Any, out: Tensor, settings: dict[str, Any]) -> None:
    dtype_of_out(args, out, settings)
    if args[0].dtype.category >= FLOATING and settings["dtype"].category < FLOATING:
        raise NotImplementedError(
            f"\"nansum_cpu\" not implemented for '{scalar_type(settings['dtype'])}'\n"
            "  Give an `out` of a floating dtype."
        )


def sum_type(input: Tensor, d: dtype | None) -> dtype:
    """The dtype of a sum: as asked for, or the input's, with int64 for integers and bools."""
    if d is not None:
        return d
    return int64 if input.dtype.category <= INTEGER else input.dtype


def _expanded(grad: Any, input_layout: Any, dim: Any, keepdim: bool) -> Any:
    return unreduce(grad, input_layout.shape, dim, keepdim).expand(input_layout.shape)


@operator(out=SUMMED, gradient={"input": _expanded})
def sum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The sum over `dim` (all dimensions if None); integers and bools give int64."""
    return reduce(input, dim, keepdim, sum_type(input, dtype), add_up)


def _refuse_complex(name: str, input: Tensor) -> None:
    if input.dtype.category == COMPLEX:
        raise RuntimeError(f"{name} does not support complex inputs")


def _numbers(array: np.ndarray) -> np.ndarray:
    """The array with zeros for its NaNs."""
    missing = np.isnan(array)
    return np.where(missing, array.dtype.type(0), array) if missing.any() else array


@operator(
    out=OutRule(check_castable, prepare=_nansum_out),
    gradient={
        "input": lambda grad, input, dim, keepdim: (
            unreduce(grad, input.shape, dim, keepdim).expand(input.shape)
            * F.isnan(input).logical_not()
        )
    },
)
def nansum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The sum over `dim` of the elements that are not NaN."""
    _refuse_complex("nansum", input)
    d = sum_type(input, dtype)
    array = work_array(input, d)
    if array.dtype.kind == "f":
        array = _numbers(array)
    return run(plan_of(input, dim, keepdim, "nansum"), array, d, add_up)


def _mean_gradient(grad: Any, input_layout: Any, dim: Any, keepdim: bool) -> Any:
    count = input_layout.numel / max(grad.numel(), 1)
    return (unreduce(grad, input_layout.shape, dim, keepdim) / count).expand(input_layout.shape)


@operator(out=True, gradient={"input": _mean_gradient})
def mean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The mean over `dim`. Integers are refused unless a floating `dtype` is given."""
    d = dtype or input.dtype
    if d.category < FLOATING:
        given = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {given} dtype must be either a floating point "
            "or complex dtype. "
            f"Got: {scalar_type(d)}\n"
            "  Integers have no mean of their own dtype: give dtype=torch.float32, or convert the "
            "input with .float()."
        )
    plan = plan_of(input, dim, keepdim, "mean")

    def compute(array: np.ndarray, axes: Axes, out: np.ndarray) -> None:
        add_up(array, axes, out)
        np.divide(out, plan.each, out=out)

    return run(plan, work_array(input, d), d, compute)


@composite(out=OutRule(check_castable, prepare=_nansum_out))
def nanmean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The mean over `dim` of the elements that are not NaN."""
    if input.dtype.category < FLOATING:
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{scalar_type(input.dtype)}"
        )
    count = F.isnan(input.detach()).logical_not().sum(dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count


# --- product --------------------------------------------------------------------------------------


def _product_of_the_others(grad: Any, input: Any, axis: int) -> Any:
    """Gradient of a product where elements may be zero: products of what is before and after."""
    if not input.numel():
        return F.zeros_like(input)
    count = input.shape[axis]
    if count == 1:
        return grad
    one = F.ones_like(input.narrow(axis, 0, 1))
    before = F.cat([one, input.narrow(axis, 0, count - 1)], axis).cumprod(axis)
    after = F.cat([one, input.narrow(axis, 1, count - 1).flip(axis)], axis).cumprod(axis)
    return grad * conj(before * after.flip(axis))


def _prod_grad(grad: Any, input: Any, out: Any, dim: Any, keepdim: bool) -> Any:
    if not input.dim():
        return grad.clone()
    zeros = bool((input._array == 0).any())
    if dim is not None and not keepdim:
        grad, out = grad.unsqueeze(dim), out.unsqueeze(dim)
    if not zeros:
        return grad * conj(out / input)
    if dim is None:
        return _product_of_the_others(grad, input.reshape(-1), 0).view(input.shape)
    return _product_of_the_others(grad, input, normalize_dim(dim, input.dim()))


def _multiply(array: np.ndarray, axes: Axes, out: np.ndarray) -> None:
    np.multiply.reduce(array, axis=axes, out=out, keepdims=True)


@operator(out=SUMMED, gradient={"input": _prod_grad})
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The product over `dim` (all dimensions if None); integers and bools give int64."""
    return reduce(input, dim, keepdim, sum_type(input, dtype), _multiply)


# --- questions ------------------------------------------------------------------------------------


def _truth(name: str, ufunc: np.ufunc) -> Callable[..., Tensor]:
    def body(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
        answer = uint8 if input.dtype is uint8 else bool_
        plan = plan_of(input, dim, keepdim, name)
        array = input._array
        if array.dtype.kind == "V":  # bfloat16 has no truth of its own in NumPy
            array = array != 0
        if answer is uint8:
            array = array.astype(bool)

        def compute(array: np.ndarray, axes: Axes, out: np.ndarray) -> None:
            if array.dtype.kind == "b" and out.dtype.kind == "b":
                ufunc.reduce(array, axis=axes, out=out, keepdims=True)
            else:
                out[...] = ufunc.reduce(array, axis=axes, dtype=bool, keepdims=True)

        return run(plan, array, answer, compute)

    body.__name__ = name
    body.__doc__ = (
        f"Whether {name} elements over `dim` are true (nonzero); uint8 input answers in uint8."
    )

    def check(source: dtype, target: dtype) -> None:
        if target not in (bool_, uint8):
            raise RuntimeError(
                f"{name} only supports bool tensor for result, got: {scalar_type(target)}"
            )

    return operator(out=OutRule(check), gradient=NoGradient("answers in bool"))(body)


all = _truth("all", np.logical_and)
any = _truth("any", np.logical_or)


@operator(gradient=NoGradient("counts"))
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements over `dim` are not zero, as int64."""
    return run(plan_of(input, dim, False, "count_nonzero"), input._array != 0, int64, add_up)


# --- sums of exponentials -------------------------------------------------------------------------


def _logsumexp(array: np.ndarray, axes: Axes, out: np.ndarray) -> None:
    """`log(sum(exp(x)))` without overflow: the largest element is taken out first."""
    if not array.size:
        out[...] = -np.inf
        return
    largest = np.maximum.reduce(array.real, axis=axes, keepdims=True)
    largest = np.where(np.isinf(largest), largest.dtype.type(0), largest)
    add_up(np.exp(array - largest), axes, out)
    np.log(out, out=out)
    out += largest


@operator(
    where="torch Tensor special",
    out=True,
    gradient={
        "input": lambda grad, input, out, dim, keepdim: (
            unreduce(grad, input.shape, dim, keepdim)
            * conj((input - unreduce(out, input.shape, dim, keepdim)).exp())
        )
    },
)
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """`log(sum(exp(input)))` over `dim`, computed without overflow. Integers become floats."""
    d = default.floating if input.dtype.category < FLOATING else input.dtype
    return reduce(input, dim, keepdim, d, _logsumexp)


# --- back to a smaller shape ----------------------------------------------------------------------


@composite(where="Tensor")
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """Sum over the dimensions that broadcasting added: the inverse of `expand`."""
    shape = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    own = input._layout.shape
    lead = len(own) - len(shape)
    if lead < 0 or not np.all([s in (1, own[lead + i]) for i, s in enumerate(shape)]):
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(own)}}}.")
    dims = [
        *range(lead),
        *(lead + i for i, s in enumerate(shape) if s == 1 and own[lead + i] != 1),
    ]
    if not shape:
        return sum(input)
    if dims:
        input = sum(input, dims, keepdim=True)
    return input.view(shape) if lead else input


@operator(
    out=True,
    gradient={
        "input": lambda grad, input_layout: (
            grad * F.eye(*input_layout.shape, dtype=grad.dtype) if input_layout.numel else None
        )
    },
)
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix; integers give int64."""
    if input.dim() != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.dim()}")
    d = sum_type(input, None)
    diagonal = work_array(input, d).diagonal()
    plan = plan_of(input, None, False)
    return run(plan._replace(kept=()), diagonal, d, lambda a, _, out: add_up(a, (0,), out[None]))
