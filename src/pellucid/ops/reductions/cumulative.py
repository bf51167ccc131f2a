"""Running results: `cumsum`, `cumprod`, `cummax`, `cummin`, `logcumsumexp`, and differences.

float32 is summed in float64 and rounded at each step, as PyTorch's CPU kernels do; half precision
in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.api import F
from pellucid.ops.arguments import integer
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.inplace import check_castable, copy_array, scalar_type
from pellucid.ops.reductions.reduce import SUMMED, work_array
from pellucid.ops.reductions.sums import sum_type
from pellucid.ops.returns import return_type
from pellucid.ops.spec import OutRule
from pellucid.tensor.dtype import COMPLEX, FLOATING, bool_, complex64, dtype, float32, int64
from pellucid.tensor.layout import contiguous, normalize_dim
from pellucid.tensor.tensor import Tensor, empty

_WIDER = {float32: np.dtype(np.float64), complex64: np.dtype(np.complex128)}


def _running(
    name: str, input: Tensor, dim: int, d: dtype, accumulate: Callable[..., np.ndarray]
) -> Tensor:
    """`accumulate` along `dim`, in a wider dtype than `d` where PyTorch does so."""
    axis = normalize_dim(integer(name, "dim", 2, dim), input.dim())
    if d is bool_:
        raise NotImplementedError(
            f"\"{name}_out_cpu\" not implemented for 'Bool'\n  Give a dtype that can count."
        )
    out = empty(contiguous(input._layout.shape), d)
    array = work_array(input, d)
    if not array.ndim:
        copy_array(out._array, array)
        return out
    with np.errstate(all="ignore"):
        found = accumulate(array, axis, dtype=_WIDER.get(d, array.dtype))
    copy_array(out._array, found)
    return out


def _cumsum_grad(grad: Any, dim: int) -> Any:
    if grad.numel() <= 1 or grad.shape[dim] == 1:
        return grad
    return grad.flip(dim).cumsum(dim).flip(dim)


@operator(inplace=True, out=SUMMED, gradient={"input": _cumsum_grad})
def cumsum(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The sums of all elements up to each one along `dim`; integers and bools give int64."""
    return _running("cumsum", input, dim, sum_type(input, dtype), np.cumsum)


def _cumprod_grad(grad: Any, input: Any, out: Any, dim: int) -> Any:
    """Gradient of `cumprod`, zeros in the input included.

    Without zeros the gradient at k is the sum over i >= k of grad_i * out_i, divided by input_k.
    Where there are zeros, `out` is nonzero only before the first one of its row. For k before it
    the formula holds; for k at the first zero, the product of the others restarts after it; behind
    it every product still contains a zero.
    """
    axis = normalize_dim(dim, max(input.dim(), 1))
    if input.numel() <= 1 or input.shape[axis] == 1:
        return grad
    weighted = conj(out) * grad
    zero = input == 0
    if not bool(zero.any()):
        return _sums_behind(weighted, axis) / conj(input)
    if state.grad:
        return _cumprod_grad_by_columns(grad, input, axis)
    seen = zero.cumsum(axis)
    before = seen == 0
    first = zero & (seen == 1)
    safe = input.masked_fill(zero, 1)
    head = _sums_behind(weighted * before, axis) / conj(safe) * before
    others = input.masked_fill(first, 1).cumprod(axis)
    at_first = _sums_behind((conj(others) * grad).masked_fill(before, 0), axis) * first
    return head + at_first


def _sums_behind(values: Any, axis: int) -> Any:
    """At each place the sum of the values from there to the end."""
    return values.flip(axis).cumsum(axis).flip(axis)


def _cumprod_grad_by_columns(grad: Any, input: Any, axis: int) -> Any:
    """The gradient as products that never divide, so that it can be differentiated again."""
    count = input.shape[axis]
    columns = []
    one = F.ones_like(input.select(axis, 0))
    before = one
    for place in range(count):
        rest = F.cat([one.unsqueeze(axis), input.narrow(axis, place + 1, count - place - 1)], axis)
        products = before.unsqueeze(axis) * rest.cumprod(axis)
        columns.append((grad.narrow(axis, place, count - place) * conj(products)).sum(axis))
        before = before * input.select(axis, place)
    return F.stack(columns, axis)


@operator(inplace=True, out=SUMMED, gradient={"input": _cumprod_grad})
def cumprod(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The products of all elements up to each one along `dim`; integers and bools give int64."""
    return _running("cumprod", input, dim, sum_type(input, dtype), np.cumprod)


# --- extremes -------------------------------------------------------------------------------------


def _cum_extreme_grad(grad: Any, input: Any, indices: Any, dim: int) -> Any:
    if not input.numel():
        return input
    return F.zeros(input.shape, dtype=grad.dtype).scatter_add(dim, indices, grad)


def _cum_extreme(name: str, ufunc: np.ufunc) -> Callable[..., Any]:
    result = return_type(name, "values indices")

    def body(input: Tensor, dim: int) -> Any:
        axis = normalize_dim(integer(name, "dim", 2, dim), input.dim())
        if input.dtype.category == COMPLEX:
            raise NotImplementedError(
                f"\"{name}_cpu\" not implemented for '{scalar_type(input.dtype)}'\n"
                "  Complex numbers have no order: compare .abs(), .real or .imag."
            )
        layout = contiguous(input._layout.shape)
        values, indices = empty(layout, input.dtype), empty(layout, int64)
        array = work_array(input, input.dtype)
        if not array.ndim:
            values._array[...], indices._array[...] = input._array, 0
            return result(values, indices)
        running = ufunc.accumulate(array, axis)
        chosen = array == running
        if array.dtype.kind == "f":
            chosen |= np.isnan(array)
        shape = [-1 if i == axis else 1 for i in range(array.ndim)]
        place = np.arange(array.shape[axis]).reshape(shape)
        np.maximum.accumulate(np.where(chosen, place, 0), axis, out=indices._array)
        copy_array(values._array, running)
        return result(values, indices)

    body.__name__ = name
    word = "largest" if name == "cummax" else "smallest"
    body.__doc__ = f"The {word} element up to each one along `dim`, and its last index so far."
    return operator(out=True, fields=("values", "indices"), gradient={"input": _cum_extreme_grad})(
        body
    )


cummax = _cum_extreme("cummax", np.maximum)
cummin = _cum_extreme("cummin", np.minimum)


# --- logcumsumexp ---------------------------------------------------------------------------------


def _logcumsumexp_grad(grad: Any, input: Any, out: Any, dim: int) -> Any:
    """`exp(input) * sum over i >= k of grad_i * exp(-out_i)`, in logarithms so as not to overflow.

    Positive and negative parts of a real gradient are summed apart; a complex one has a logarithm.
    """
    if not grad.dim() or not grad.numel():
        return grad

    def behind(logarithm: Any) -> Any:
        return (logarithm - conj(out)).flip(dim).logcumsumexp(dim).flip(dim)

    if grad.is_complex():
        return (behind(grad.log()) + conj(input)).exp()
    low = F.full_like(grad, np.finfo(grad.dtype.numpy).min)
    positive = F.where(grad > 0, grad, 1.0).log()
    negative = F.where(grad < 0, -grad, 1.0).log()
    up = behind(F.where(grad > 0, positive, low)) + input
    down = behind(F.where(grad < 0, negative, low)) + input
    return up.exp() - down.exp()


def _log_add(array: np.ndarray, axis: int, dtype: np.dtype[Any]) -> np.ndarray:
    """`logaddexp` along an axis; NumPy has it for real numbers only."""
    wide = array.astype(dtype, copy=False)
    if wide.dtype.kind != "c":
        return np.logaddexp.accumulate(wide, axis)
    out = np.moveaxis(wide.copy(), axis, 0)
    for place in range(1, len(out)):
        out[place] = _log_add_complex(out[place - 1], out[place])
    return np.moveaxis(out, 0, axis)


def _log_add_complex(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    larger = np.where(a.real >= b.real, a, b)
    smaller = np.where(a.real >= b.real, b, a)
    both_low = np.isinf(larger.real) & (larger.real < 0)
    found = larger + np.log1p(np.exp(smaller - larger))
    return np.where(both_low, larger, found)


@operator(inplace=False, out=True, gradient={"input": _logcumsumexp_grad})
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """`log(cumsum(exp(input), dim))`, computed without overflow."""
    if input.dtype.category < FLOATING:
        normalize_dim(integer("logcumsumexp", "dim", 2, dim), input.dim())
        raise NotImplementedError(
            f"\"logcumsumexp_out_cpu\" not implemented for '{scalar_type(input.dtype)}'\n"
            "  Convert the input with .float() first."
        )
    return _running("logcumsumexp", input, dim, input.dtype, _log_add)


# --- differences and integrals --------------------------------------------------------------------


def _diff_out(args: Any, out: Tensor, settings: dict[str, Any]) -> None:
    n = args[1] if len(args) > 1 else settings.get("n", 1)
    if n == 0 and out.dtype is not args[0].dtype:  # nothing is computed: elements are moved
        raise RuntimeError(
            f"expected scalar_type {scalar_type(args[0].dtype)} but found {scalar_type(out.dtype)}"
        )


@composite(out=OutRule(check_castable, prepare=_diff_out))
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """The `n`-th differences of neighbours along `dim`, with `prepend` and `append` put around."""
    if not input.dim():
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    axis = normalize_dim(dim, input.dim())
    if not n:
        return input.clone()
    ends = [t for t in (prepend, append) if t is not None]
    for end in ends:
        if end.dim() != input.dim():
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
        for i, size in enumerate(input.shape):
            if i != axis and end.shape[i] != size:
                raise RuntimeError(
                    "diff expects the shape of tensor to prepend or append to match that of input "
                    "except along the differencing dimension;"
                    f" input.size({i}) = {size}, but got tensor.size({i}) = {end.shape[i]}"
                )
    if ends:
        whole = (prepend, input, append)
        input = F.cat([t for t in whole if t is not None], axis)
    for _ in range(min(n, input.shape[axis])):
        count = max(input.shape[axis] - 1, 0)
        low, high = input.narrow(axis, 0, count), input.narrow(axis, min(1, count + 1), count)
        input = low.logical_xor(high) if input.dtype is bool_ else high - low
    return input


def _spacing(y: Tensor, x: Tensor, axis: int) -> Tensor:
    """The distances between the points `x`, shaped to go with `y`."""
    if x.dim() == 1 and y.dim() > 1:
        if x.shape[0] != y.shape[axis]:
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
        x = x.view([-1 if i == axis else 1 for i in range(y.dim())])
    count = x.shape[axis - y.dim()]
    return x.narrow(axis - y.dim(), 1, count - 1) - x.narrow(axis - y.dim(), 0, count - 1)


def _areas(name: str, y: Tensor, x: Any, dx: Any, dim: int) -> tuple[Tensor, int] | None:
    """The areas of the trapezoids twice over, or None if there is no interval."""
    axis = normalize_dim(dim, y.dim())
    if y.shape[axis] == 0:
        return None
    if y.dtype is bool_:
        raise RuntimeError(f"{name}: received a bool input for `y`, but bool is not supported")
    count = y.shape[axis]
    pairs = y.narrow(axis, 0, count - 1) + y.narrow(axis, 1, count - 1)
    if isinstance(x, Tensor):
        if x.dtype is bool_:
            raise RuntimeError(f"{name}: received a bool input for `x`, but bool is not supported")
        return _spacing(y, x, axis) * pairs, axis
    return pairs * dx, axis


def _integral(name: str, y: Tensor, x: Any, dx: Any, dim: int) -> tuple[Tensor, int] | None:
    if isinstance(x, (int, float, complex)) and not isinstance(x, bool):
        x, dx = None, x
    return _areas(name, y, x, dx, dim)


@composite(where="torch", aliases=("trapz",))
def trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The integral of `y` along `dim` by the trapezoid rule, at points `x` or `dx` apart."""
    found = _integral("trapezoid", y, x, dx, dim)
    if found is None:
        return y.sum(dim)
    areas, axis = found
    return areas.sum(axis) / 2.0


@composite(where="torch")
def cumulative_trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The running integral of `y` along `dim` by the trapezoid rule: one element fewer than `y`."""
    found = _integral("cumulative_trapezoid", y, x, dx, dim)
    if found is None:
        return y.clone()
    areas, axis = found
    return areas.cumsum(axis) / 2.0
