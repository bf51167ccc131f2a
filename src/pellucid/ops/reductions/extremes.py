"""Extremes: `amax`, `amin`, `aminmax`, `argmax`, `argmin`, and `max` and `min` in all their forms.

NaN is more extreme than any number. `amax` shares its gradient among equal elements, `max` with a
dimension gives it all to the element it chose, the first of equal ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import dims_of, integer, wrong_type
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import EXACT, scalar_type
from pellucid.ops.reductions.reduce import plan_of, reduce, run, unreduce, work_array
from pellucid.ops.returns import return_type
from pellucid.ops.spec import NoGradient, OutRule
from pellucid.tensor.dtype import COMPLEX, bool_, int64
from pellucid.tensor.layout import contiguous, normalize_dim, reduction_layout
from pellucid.tensor.tensor import Tensor, empty


def refuse_empty(name: str, input: Tensor, dim: Any, error: type[Exception] = IndexError) -> None:
    """Refuse to look for an element along dimensions that have none."""
    if input._layout.numel:
        return
    if dim is None or dim == () or dim == []:
        raise error(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
            "the reduction dim with the 'dim' argument."
        )
    for axis in dims_of(dim, input.dim()):
        if not input._layout.shape[axis]:
            raise IndexError(f"{name}(): Expected reduction dim {axis} to have non-zero size.")


def refuse_complex(kernel: str, input: Tensor) -> None:
    """Refuse complex numbers, which have no order."""
    if input.dtype.category == COMPLEX:
        raise NotImplementedError(
            f"\"{kernel}\" not implemented for '{scalar_type(input.dtype)}'\n"
            "  Complex numbers have no order: compare .abs(), .real or .imag."
        )


def _shared(grad: Any, input: Any, out: Any, dim: Any, keepdim: bool) -> Any:
    """Equal extreme values share their gradient evenly."""
    grad = unreduce(grad, input.shape, dim, keepdim)
    mask = input == unreduce(out, input.shape, dim, keepdim)
    return (grad * mask) / mask.sum(dim, keepdim=True)


def _along(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda array, axes, out: ufunc.reduce(array, axis=axes, out=out, keepdims=True)


def _same_dtype(source: Any, target: Any) -> None:
    if source is not target:
        names = [scalar_type(each) for each in (source, target)]
        raise RuntimeError(
            "Expected the dtype for input and out to match, but got "
            f"{names[0]} for input's dtype and {names[1]} for out's dtype."
        )


_LARGEST, _SMALLEST = _along(np.maximum), _along(np.minimum)


def _extreme(name: str, compute: Callable[..., Any]) -> Callable[..., Tensor]:
    def body(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
        plan = plan_of(input, dim, keepdim, name)
        refuse_complex(f"{name[1:]}_values_cpu", input)
        refuse_empty(name, input, dim, RuntimeError)
        return run(plan, work_array(input, input.dtype), input.dtype, compute)

    body.__name__ = name
    word = "largest" if name == "amax" else "smallest"
    body.__doc__ = f"The {word} element over `dim`; NaN wins; ties share the gradient."
    return operator(out=OutRule(_same_dtype), gradient={"input": _shared})(body)


amax = _extreme("amax", _LARGEST)
amin = _extreme("amin", _SMALLEST)

_Aminmax = return_type("aminmax", "min max")


def _aminmax_grad(grads: Any, input: Any, min: Any, max: Any, dim: Any, keepdim: bool) -> Any:
    total = None
    for grad, out in zip(grads, (min, max), strict=True):
        if grad is not None:
            part = _shared(grad, input, out, dim, keepdim)
            total = part if total is None else total + part
    return total


@operator(out=EXACT, fields=("min", "max"), gradient={"input": _aminmax_grad})
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest element over `dim`, as `(min, max)`."""
    plan = plan_of(input, dim, keepdim, "aminmax")
    refuse_complex("aminmax_cpu", input)
    if not input._layout.numel and dim is None:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            "identity."
        )
    refuse_empty("aminmax", input, dim)
    array = work_array(input, input.dtype)
    return _Aminmax(
        run(plan, array, input.dtype, _SMALLEST), run(plan, array, input.dtype, _LARGEST)
    )


# --- indices --------------------------------------------------------------------------------------


def _arg(name: str, largest: bool) -> Callable[..., Tensor]:
    find = np.argmax if largest else np.argmin

    def body(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        shape = input._layout.shape
        axis = None
        if dim is not None:
            axis = normalize_dim(integer(name, "dim", 2, dim), len(shape))
        if input.dtype is bool_ or input.dtype.category == COMPLEX:
            raise NotImplementedError(
                f"\"{name}_cpu\" not implemented for '{scalar_type(input.dtype)}'\n"
                "  Convert the input to an integer or floating dtype first."
            )
        if axis is None and not input._layout.numel:
            raise IndexError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
            )
        refuse_empty(name, input, axis)
        array = work_array(input, input.dtype)
        if axis is None or not shape:
            out = empty(contiguous((1,) * len(shape) if keepdim else ()), int64)
            out._array[...] = find(array)
            return out
        out = empty(reduction_layout(input._layout, axis, keepdim), int64)
        out._array[...] = find(array, axis, keepdims=keepdim)
        return out

    body.__name__ = name
    word = "largest" if largest else "smallest"
    body.__doc__ = f"The index of the first {word} element over `dim` (of the flattened tensor)."
    return operator(out=True, gradient=NoGradient("returns indices"))(body)


argmax = _arg("argmax", True)
argmin = _arg("argmin", False)


# --- max and min ----------------------------------------------------------------------------------


def scatter_back(grad: Any, input_layout: Any, indices: Any, dim: int, keepdim: bool) -> Any:
    """The gradient of a choice: it goes to the element that was chosen."""
    if not input_layout.shape:
        return grad
    if not keepdim:
        grad, indices = grad.unsqueeze(dim), indices.unsqueeze(dim)
    return F.zeros(input_layout.shape, dtype=grad.dtype).scatter(dim, indices, grad)


def shared_whole(grad: Any, input: Any, out: Any) -> Any:
    """The gradient of an element chosen from all: shared by those equal to it, NaNs by NaNs."""
    mask = F.isnan(input) if bool((out != out).any()) else input == out
    return mask * (grad / mask.sum())


def _choose(name: str, largest: bool) -> tuple[Callable[..., Any], Callable[..., Tensor]]:
    result = return_type(name, "values indices")
    find, compute = (np.argmax, _LARGEST) if largest else (np.argmin, _SMALLEST)

    @operator(
        where="internal",
        name=f"{name}_dim",
        out=True,
        fields=("values", "indices"),
        gradient={"input": scatter_back},
        backward_name=f"{name.capitalize()}Backward0",
    )
    def along(input: Tensor, dim: int, keepdim: bool = False) -> Any:
        shape = input._layout.shape
        axis = normalize_dim(integer(name, "dim", 2, dim), len(shape))
        refuse_complex(f"{name}_cpu", input)
        refuse_empty(name, input, axis)
        layout = reduction_layout(input._layout, (axis,), keepdim)
        values, indices = empty(layout, input.dtype), empty(layout, int64)
        if not shape:
            values._array[...], indices._array[...] = input._array, 0
            return result(values, indices)
        found = find(work_array(input, input.dtype), axis, keepdims=True)
        picked = np.take_along_axis(input._array, found, axis)
        indices._array[...] = found if keepdim else found.squeeze(axis)
        values._array[...] = picked if keepdim else picked.squeeze(axis)
        return result(values, indices)

    @operator(
        where="internal",
        name=f"{name}_all",
        out=True,
        gradient={"input": shared_whole},
        backward_name=f"{name.capitalize()}Backward1",
    )
    def whole(input: Tensor) -> Tensor:
        refuse_complex(f"{name}_all", input)
        if not input._layout.numel:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify "
                "the reduction dim with the 'dim' argument."
            )
        return reduce(input, None, False, input.dtype, compute)

    return along, whole


_max_along, _max_whole = _choose("max", True)
_min_along, _min_whole = _choose("min", False)


def _by_arguments(
    along: Any, whole: Any, pairwise: str, input: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """`max(x)`, `max(x, dim)` and `max(x, other)` are three operators under one name."""
    if not isinstance(input, Tensor):
        raise wrong_type(pairwise[:3], "input", 1, "Tensor", input)
    if "axis" in kwargs:  # NumPy's name, which PyTorch takes as well
        kwargs["dim"] = kwargs.pop("axis")
    if "keepdims" in kwargs:
        kwargs["keepdim"] = kwargs.pop("keepdims")
    if (args and isinstance(args[0], Tensor)) or "other" in kwargs:
        return getattr(F, pairwise)(input, *args, **kwargs)
    if args or "dim" in kwargs:
        return along(input, *args, **kwargs)
    return whole(input, **kwargs)


@composite()
def max(input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """`max(input)`; `max(input, dim, keepdim)` with indices; `max(input, other)` elementwise."""
    return _by_arguments(_max_along, _max_whole, "maximum", input, args, kwargs)


@composite()
def min(input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """`min(input)`; `min(input, dim, keepdim)` with indices; `min(input, other)` elementwise."""
    return _by_arguments(_min_along, _min_whole, "minimum", input, args, kwargs)
