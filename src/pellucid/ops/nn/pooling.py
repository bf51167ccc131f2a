"""Max and average pooling in one, two and three dimensions.

As with convolution, each gradient is an operator of its own, linear in what it passes on, so
gradients of any order exist: max pooling spreads to the places it chose and gathers from them
again, average pooling spreads over its windows and averages them again. The window tells the
number of spatial dimensions; batch and channels are whatever stands before them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn import kernels_pooling as kernels
from pellucid.ops.nn.kernels_pooling import Window
from pellucid.ops.nn.pooling_checks import (
    check_input,
    check_output,
    check_window,
    pooled_size,
    read_window,
)
from pellucid.ops.nn.support import (
    Ints,
    differentiable,
    layout_for,
    not_implemented,
    require_tensor,
    scratch_for,
    settle,
    working,
)
from pellucid.ops.returns import return_type
from pellucid.ops.spec import NoGradient
from pellucid.tensor.dtype import BOOL, COMPLEX, INTEGER, int32, int64, uint8
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.tensor import Tensor, empty

_Choice = return_type("max_pool_choice", "out choices")


def _pooled(input: Tensor, window: Window, out_size: Ints) -> Layout:
    shape = input._layout.shape
    return layout_for(shape[: len(shape) - len(window.kernel)] + out_size, input._layout)


# -- maxima


@operator(where="internal", gradient=NoGradient("used where no gradient is wanted"))
def max_pool_values(input: Tensor, window: Window, out_size: Ints) -> Tensor:
    """The largest element of each window: (*, *S) gives (*, *O)."""
    out = empty(_pooled(input, window, out_size), input.dtype)
    scratch = scratch_for(out)
    kernels.max_pool(working(input), window, scratch)
    return settle(out, scratch)


@operator(
    where="internal",
    fields=("out", "choices"),
    gradient={
        "input": lambda grad, choices, window, input: spread_choices(grad, choices, window, input)
    },
    backward_name="MaxPool2DWithIndicesBackward0",
)
def max_pool_choices(input: Tensor, window: Window, out_size: Ints) -> Any:
    """Max pooling, and the number of the tap that was chosen in each window."""
    layout = _pooled(input, window, out_size)
    out = empty(layout, input.dtype)
    choices = empty(layout, uint8 if math.prod(window.kernel) <= 256 else int32)
    scratch = scratch_for(out)
    kernels.max_pool_choices(working(input), window, scratch, choices._array)
    return _Choice(settle(out, scratch), choices)


@operator(
    where="internal",
    gradient={
        "input": lambda grad, choices, window: gather_choices(grad, choices, window),
        "like": lambda like: F.zeros_like(like),
    },
    backward_name="MaxPool2DWithIndicesBackwardBackward0",
)
def spread_choices(input: Tensor, choices: Tensor, window: Window, like: Tensor) -> Tensor:
    """Max pooling's gradient, laid out as the pooled tensor: each value goes to its maximum.

    The places do not change with the pooled tensor, so its own second gradient is zero.
    """
    out = empty(layout_for(like._layout.shape, like._layout), input.dtype)
    scratch = scratch_for(out)
    kernels.spread_choices(working(input), choices._array, window, scratch)
    return settle(out, scratch)


@operator(
    where="internal",
    gradient={
        "input": lambda grad, choices, window, input: spread_choices(grad, choices, window, input)
    },
)
def gather_choices(input: Tensor, choices: Tensor, window: Window) -> Tensor:
    """The elements of `input` at the places that max pooling chose."""
    out = empty(layout_for(choices._layout.shape, input._layout), input.dtype)
    kernels.gather_choices(input._array, choices._array, window, out._array)
    return out


@operator(where="internal", gradient=NoGradient("returns indices"))
def chosen_places(choices: Tensor, size: Ints, window: Window) -> Tensor:
    """Chosen taps as PyTorch's indices: places in the flattened image."""
    out = empty(choices._layout, int64)
    out._array[...] = kernels.places_of(choices._array, size, window)
    return out


def _max_pool(
    name: str,
    count: int,
    input: Tensor,
    arguments: tuple[Any, ...],
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    require_tensor(name, "input", 1, input)
    if count == 1 and return_indices:
        name = "max_pool1d_with_indices"  # computed, and so refused, as 2-d
    window = read_window(name, count, *arguments)
    check_window(name, count, window)
    check_input(name, count, input)
    category = input.dtype.category
    if category in (BOOL, COMPLEX):
        raise not_implemented("max_pool1d_impl" if count == 1 else name, input.dtype)
    if count == 1 and category == INTEGER and not return_indices:
        raise not_implemented("max_pool1d_impl", input.dtype)
    out_size = pooled_size(input._layout.shape[-count:], window, bool(ceil_mode))
    check_output(name, count, input, out_size, window)
    if not (return_indices or differentiable(input)):
        return max_pool_values(input, window, out_size)
    if count == 1:
        input, window, out_size = input.unsqueeze(-2), _as_2d(window), (1, *out_size)
    out, choices = max_pool_choices(input, window, out_size)
    if count == 1:
        out = out.squeeze(-2)
    if not return_indices:
        return out
    indices = chosen_places(choices, input._layout.shape[-len(out_size) :], window)
    return out, indices.squeeze(-2) if count == 1 else indices


def _as_2d(window: Window) -> Window:
    """A 1-d window as one over images of height 1, as PyTorch pools signals."""
    (kernel,), (stride,), (padding,), (dilation,) = window
    return Window((1, kernel), (1, stride), (0, padding), (1, dilation))


# -- means


@operator(
    where="internal",
    gradient={
        "input": lambda grad, window, include_pad, divisor, input: average_spread(
            grad, window, include_pad, divisor, input
        )
    },
    backward_name="AvgPool2DBackward0",
)
def average_windows(
    input: Tensor, window: Window, out_size: Ints, include_pad: bool, divisor: int | None
) -> Tensor:
    """The mean of each window (its sum over `divisor` if there is one): (*, *S) gives (*, *O)."""
    layout = _pooled(input, window, out_size)
    out = empty(contiguous(layout.shape) if len(out_size) == 3 else layout, input.dtype)
    scratch = scratch_for(out)
    kernels.sum_windows(working(input), window, scratch)
    size = input._layout.shape[-len(out_size) :]
    counts = _divisors(size, out_size, window, include_pad, divisor, scratch.dtype)
    if input.dtype.category == INTEGER:
        towards_zero = np.abs(scratch) // np.abs(counts)  # as in C
        np.copyto(scratch, np.sign(scratch) * np.sign(counts) * towards_zero)
    else:
        np.divide(scratch, counts, out=scratch)
    return settle(out, scratch)


def _divisors(
    size: Ints,
    out_size: Ints,
    window: Window,
    include_pad: bool,
    divisor: int | None,
    d: np.dtype,
) -> Any:
    if divisor is not None:
        return d.type(divisor)
    if not any(window.padding) and _all_inside(size, out_size, window):
        return d.type(math.prod(window.kernel))
    return kernels.window_counts(size, out_size, window, include_pad).astype(d)


def _all_inside(size: Ints, out_size: Ints, window: Window) -> bool:
    return all(
        (o - 1) * t + f <= s
        for s, o, f, t in zip(size, out_size, window.kernel, window.stride, strict=True)
    )


def _average_again(
    grad: Tensor, window: Window, include_pad: bool, divisor: int | None, input_layout: Layout
) -> Tensor:
    out_size = input_layout.shape[-len(window.kernel) :]
    return average_windows(grad, window, out_size, include_pad, divisor)


@operator(
    where="internal",
    gradient={"input": _average_again, "like": lambda like: F.zeros_like(like)},
    backward_name="AvgPool2DBackwardBackward0",
)
def average_spread(
    input: Tensor, window: Window, include_pad: bool, divisor: int | None, like: Tensor
) -> Tensor:
    """The transpose of `average_windows`: each mean's gradient, shared out over its window."""
    layout = like._layout
    out = empty(layout_for(layout.shape, layout), input.dtype)
    scratch = scratch_for(out)
    count = len(window.kernel)
    grad = working(input)
    out_size = grad.shape[-count:]
    size = layout.shape[-count:]
    divided = grad / _divisors(size, out_size, window, include_pad, divisor, scratch.dtype)
    kernels.spread_windows(divided, window, scratch)
    return settle(out, scratch)


def _avg_pool(
    name: str,
    count: int,
    input: Tensor,
    arguments: tuple[Any, ...],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Tensor:
    require_tensor(name, "input", 1, input)
    window = read_window(name, count, *arguments)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    if count == 2 and input.dim() < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-max(input.dim(), 1)}, "
            f"{max(input.dim(), 1) - 1}], but got -3)\n"
            f"  {name} pools images: give it (C, H, W) or (N, C, H, W)."
        )
    check_window(name, count, window)
    check_input(name, count, input)
    out_size = pooled_size(input._layout.shape[-count:], window, bool(ceil_mode))
    check_output(name, count, input, out_size, window)
    _check_average_dtype(count, input)
    if count == 1:
        signal, taken = input.unsqueeze(-2), (1, *out_size)
        return average_windows(
            signal, _as_2d(window), taken, bool(count_include_pad), None
        ).squeeze(-2)
    return average_windows(input, window, out_size, bool(count_include_pad), divisor_override)


def _check_average_dtype(count: int, input: Tensor) -> None:
    d = input.dtype
    if d is not int64 and not d.is_floating_point:
        raise not_implemented("avg_pool3d_out_frame" if count == 3 else "avg_pool2d", d)


# -- the public names


def _public(count: int) -> None:
    sizes = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}[count]
    largest, mean = f"max_pool{count}d", f"avg_pool{count}d"

    def max_pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        arguments = (kernel_size, stride, padding, dilation)
        return _max_pool(largest, count, input, arguments, ceil_mode, return_indices)

    def max_pool_with_indices(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        arguments = (kernel_size, stride, padding, dilation)
        return _max_pool(largest, count, input, arguments, ceil_mode, True)

    max_pool.__name__ = largest
    max_pool.__doc__ = (
        f"The largest element of each window of {sizes} (or without N); padding counts as -inf. "
        "`return_indices` adds the place of each maximum in its flattened image."
    )
    max_pool_with_indices.__name__ = f"{largest}_with_indices"
    max_pool_with_indices.__doc__ = f"`{largest}` with `return_indices=True`."
    composite(where="nn.functional torch")(max_pool)
    composite(where="nn.functional torch" if count == 1 else "nn.functional")(max_pool_with_indices)

    def avg_pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:
        arguments = (kernel_size, stride, padding)
        return _avg_pool(
            mean, count, input, arguments, ceil_mode, count_include_pad, divisor_override
        )

    def avg_pool_1d(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> Tensor:
        arguments = (kernel_size, stride, padding)
        return _avg_pool(mean, count, input, arguments, ceil_mode, count_include_pad)

    average = avg_pool_1d if count == 1 else avg_pool
    average.__name__ = mean
    average.__doc__ = (
        f"The mean of each window of {sizes} (or without N); zeros of the padding count unless "
        "`count_include_pad` is false."
    )
    place = "nn.functional torch" if count == 1 else "nn.functional"
    composite(where=place, out=count > 1)(average)


for _count in (1, 2, 3):
    _public(_count)
