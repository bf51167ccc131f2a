"""What pooling's arguments must be, in PyTorch's words, and the sizes of its outputs."""

from __future__ import annotations

from typing import Any

from pellucid.ops.nn.kernels_pooling import Window
from pellucid.ops.nn.support import Ints, sizes
from pellucid.tensor.tensor import Tensor

_WORDS = {1: "one int", 2: "two ints", 3: "three ints"}
_AXES = {1: ("H", "W"), 2: ("H", "W"), 3: ("T", "H", "W")}
_AS_2D = ("avg_pool1d", "max_pool1d_with_indices")
"""Pooling of signals whose words are those of images of height 1."""


def _one_per_dimension(name: str, parameter: str, position: int, value: Any, count: int) -> Ints:
    values = sizes(name, parameter, position, value)
    if len(values) == 1:
        return values * count
    if len(values) == count:
        return values
    raise RuntimeError(_wrong_count(name, parameter, values, count))


def _wrong_count(name: str, parameter: str, values: Ints, count: int) -> str:
    if name == "max_pool1d":
        wanted = {
            "stride": "None, an int, list of ints, or tuple of ints",
            "padding": "an int, list of ints, or tuple of ints",
        }.get(parameter, "an int, list of ints or tuple of ints")
        return f"{name}() {parameter} must be {wanted} of size 1 but got size {len(values)}"
    if count == 1:
        return f"{name}() argument '{parameter}' should contain one int (got {len(values)})"
    omitted = "omitted, " if parameter == "stride" else ""
    tuple_of = f"a single int, or a tuple of {_WORDS[count]}"
    if name == "avg_pool3d":
        return f"{name}: {parameter} must be {omitted}{tuple_of}"
    if parameter == "dilation":
        return f"{name}: {parameter} must be either {tuple_of}"
    return f"{name}: {parameter} must either be {omitted}{tuple_of}"


def read_window(
    name: str, count: int, kernel: Any, stride: Any, padding: Any, dilation: Any = 1
) -> Window:
    """The window's numbers, one per dimension; a stride that is left out is the kernel's size."""
    kernel_size = _one_per_dimension(name, "kernel_size", 2, kernel, count)
    if stride is None or (isinstance(stride, (tuple, list)) and not len(stride)):
        strides = kernel_size
    else:
        strides = _one_per_dimension(name, "stride", 3, stride, count)
    return Window(
        kernel_size,
        strides,
        _one_per_dimension(name, "padding", 4, padding, count),
        _one_per_dimension(name, "dilation", 5, dilation, count),
    )


def pooled_size(size: Ints, window: Window, ceil_mode: bool) -> Ints:
    """Spatial sizes of the output: floor((S + 2 p - d (F - 1) - 1) / s) + 1.

    With `ceil_mode` the quotient is rounded up, but the last window starts inside the input or its
    left padding.
    """
    result = []
    for s, f, t, p, d in zip(size, *window, strict=True):
        if t == 0:
            raise RuntimeError("stride should not be zero")
        span = s + 2 * p - d * (f - 1) - 1 + (t - 1 if ceil_mode else 0)
        count = span // t + 1
        if ceil_mode and (count - 1) * t >= s + p:
            count -= 1
        result.append(count)
    return tuple(result)


def _named(letter: str, count: int, values: Ints) -> str:
    """`kH: 2 kW: 2`; a 1-d window is shown as the 2-d one that PyTorch makes of it."""
    shown = (1, *values) if count == 1 else values
    return " ".join(f"{letter}{a}: {v}" for a, v in zip(_AXES[count], shown, strict=True))


def check_window(name: str, count: int, window: Window) -> None:
    """Refuse sizes that no window has."""
    if name == "max_pool1d":
        _check_window_1d(window)
        return
    if 0 in window.stride:
        raise RuntimeError("stride should not be zero")
    for value, words in zip(window.kernel, ("kernel size",) * count, strict=True):
        if value <= 0:
            raise RuntimeError(
                f"{words} should be greater than zero, but got {_named('k', count, window.kernel)}"
            )
    if min(window.stride) < 0:
        raise RuntimeError(
            f"stride should be greater than zero, but got {_named('d', count, window.stride)}"
        )
    if min(window.dilation) <= 0:
        shown = _named("dilation", count, window.dilation)
        raise RuntimeError(f"dilation should be greater than zero, but got {shown}")
    for p, f, d in zip(window.padding, window.kernel, window.dilation, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > (d * (f - 1) + 1) // 2:
            raise RuntimeError(
                "pad should be at most half of effective kernel size, but got "
                f"pad={p}, kernel_size={f} and dilation={d}"
            )


def _check_window_1d(window: Window) -> None:
    (f,), (t,), (p,), (d,) = window
    for words, value in (("kernel_size", f), ("stride", t), ("dilation", d)):
        if value <= 0:
            raise RuntimeError(f"max_pool1d() {words} must be greater than zero, but got {value}")
    if p < 0:
        raise RuntimeError(f"max_pool1d() padding must be non-negative, but got {p}")
    if p > f // 2:
        raise RuntimeError(
            "max_pool1d() padding should be at most half of kernel size, but got "
            f"padding={p} and kernel_size={f}"
        )


def check_input(name: str, count: int, input: Tensor) -> None:
    """Refuse inputs of other ranks, and empty ones (an empty batch is fine)."""
    shape = input._layout.shape
    if len(shape) not in (count + 1, count + 2):
        raise RuntimeError(_wrong_rank(name, count, shape))
    image = shape[-count - 1 :]
    if all(image):
        return
    if count == 3:
        place = next(i for i, s in enumerate(image) if not s)
        kernel = "max_pool3d_with_indices_out_cpu_template" if "max" in name else name
        raise RuntimeError(
            f"{kernel}(): Expected input's non-batch dimensions to have positive length, but "
            f"input has a shape of {list(shape)} and non-batch dimension {max(place - 1, 0)} has "
            "length zero!"
        )
    low, seen = count + 1, list(shape)
    label = f"{name}: " if name == "max_pool1d" else ""
    if name in _AS_2D:
        low, seen = 3, [*shape[:-1], 1, shape[-1]]
    raise RuntimeError(
        f"{label}Expected {low}D or {low + 1}D (batch mode) tensor with optional 0 dim batch size "
        f"for input, but got:{seen}"
    )


def _wrong_rank(name: str, count: int, shape: Ints) -> str:
    low = count + 1
    if name == "max_pool2d" or count == 3:
        return f"non-empty {low}D or {low + 1}D (batch mode) tensor expected for input"
    if name in _AS_2D:
        return (
            f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 "
            f"'self' (while checking arguments for {name})"
        )
    label = "max_pool1d: " if count == 1 else ""
    return (
        f"{label}Expected {low}D or {low + 1}D (batch mode) tensor with optional 0 dim batch size "
        f"for input, but got:{list(shape)}"
    )


def check_output(name: str, count: int, input: Tensor, out_size: Ints, window: Window) -> None:
    """Refuse windows that do not fit into the input."""
    if min(out_size) >= 1:
        return
    if name == "max_pool1d":
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {out_size[0]}")
    shape = input._layout.shape
    size, channels = shape[-count:], shape[-count - 1]
    if name == "avg_pool3d":
        raise RuntimeError(
            f"input image ({_named('', 3, size)}) smaller than kernel size "
            f"({_named('k', 3, window.kernel)})"
        )
    if count == 1:
        size, out_size = (1, *size), (1, *out_size)
    given = "x".join(map(str, (channels, *size)))
    found = "x".join(map(str, (channels, *out_size)))
    raise RuntimeError(
        f"Given input size: ({given}). Calculated output size: ({found}). Output size is too small"
    )
