"""`unfold` and `fold`: images to columns of windows and back, each the other's gradient.

`unfold` writes each window of (N, C, H, W) as a column: (N, C * kernel, windows). `fold` adds the
columns up where the windows overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn import kernels_pooling as kernels
from pellucid.ops.nn.kernels_pooling import Window
from pellucid.ops.nn.support import (
    Ints,
    not_implemented,
    require_tensor,
    scratch_for,
    settle,
    sizes,
    working,
)
from pellucid.tensor.dtype import INTEGER
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, empty


def _blocks(size: Ints, window: Window) -> Ints:
    """How many windows fit along each dimension."""
    return tuple(
        (s + 2 * p - d * (f - 1) - 1) // t + 1 for s, f, t, p, d in zip(size, *window, strict=True)
    )


@operator(
    where="internal",
    gradient={
        "input": lambda grad, window, input_layout: columns_to_image(
            grad, input_layout.shape[-2:], window
        )
    },
    backward_name="Im2ColBackward0",
)
def image_to_columns(input: Tensor, window: Window) -> Tensor:
    """(*, C, H, W) to (*, C * F, L): column l holds the elements of window l, zeros outside."""
    *lead, c, height, width = input._layout.shape
    counts = _blocks((height, width), window)
    taps = window.kernel[0] * window.kernel[1]
    out = empty(contiguous((*lead, c * taps, counts[0] * counts[1])), input.dtype)
    columns = out._array.reshape(*lead, c, taps, *counts)
    columns.fill(0)
    for number, outputs, inputs in kernels.plan((height, width), counts, window):
        columns[..., number, :, :][outputs] = input._array[inputs]
    return out


@operator(
    where="internal",
    gradient={"input": lambda grad, window: image_to_columns(grad, window)},
    backward_name="Col2ImBackward0",
)
def columns_to_image(input: Tensor, size: Ints, window: Window) -> Tensor:
    """The transpose of `image_to_columns`: columns added up in images of `size`."""
    *lead, rows, _ = input._layout.shape
    taps = window.kernel[0] * window.kernel[1]
    counts = _blocks(size, window)
    out = empty(contiguous((*lead, rows // taps, *size)), input.dtype)
    scratch = scratch_for(out)
    scratch.fill(0)
    columns = working(input).reshape(*lead, rows // taps, taps, *counts)
    for number, outputs, inputs in kernels.plan(size, counts, window):
        target = scratch[inputs]
        np.add(target, columns[..., number, :, :][outputs], out=target)
    return settle(out, scratch)


def _pair(name: str, parameter: str, position: int, value: Any) -> Ints:
    found = sizes(name, parameter, position, value)
    if not isinstance(value, (tuple, list)):
        found = found * 2
    if len(found) != 2:
        raise RuntimeError(f"It is expected {parameter} equals to 2, but got size {len(found)}")
    return found


def _window(
    name: str, first: int, kernel_size: Any, dilation: Any, padding: Any, stride: Any
) -> Window:
    kernel = _pair(name, "kernel_size", first, kernel_size)
    spaced = _pair(name, "dilation", first + 1, dilation)
    around = _pair(name, "padding", first + 2, padding)
    step = _pair(name, "stride", first + 3, stride)
    for words, letters, values in (
        ("kernel size", "kernel", kernel),
        ("dilation", "dilation", spaced),
        ("stride", "stride", step),
    ):
        if min(values) <= 0:
            raise RuntimeError(
                f"{words} should be greater than zero, but got {letters}_height: {values[0]} "
                f"{letters}_width: {values[1]}"
            )
    if min(around) < 0:
        raise RuntimeError(
            f"padding should be non-negative, but got pad_height: {around[0]} pad_width: "
            f"{around[1]}"
        )
    return Window(kernel, step, around, spaced)


def _refuse_integers(name: str, input: Tensor) -> None:
    if input.dtype.category == INTEGER:
        raise not_implemented(name, input.dtype)


def _described(window: Window) -> str:
    kernel, _, padding, dilation = window
    return f"kernel_size={kernel}, dilation={dilation}, padding={padding}"


@composite(where="nn.functional")
def unfold(
    input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Windows of (N, C, H, W) (or without N) as columns: (N, C * kernel, windows)."""
    require_tensor("im2col", "input", 1, input)
    window = _window("im2col", 2, kernel_size, dilation, padding, stride)
    shape = input._layout.shape
    if len(shape) < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-len(shape)}, "
            f"{len(shape) - 1}], but got 2)\n  unfold takes images: (C, H, W) or (N, C, H, W)."
        )
    if len(shape) not in (3, 4) or not all(shape[-3:]):
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(shape)}"
        )
    counts = _blocks(shape[-2:], window)
    if min(counts) < 1:
        raise RuntimeError(
            f"Given input with spatial size ({shape[-2]}, {shape[-1]}), {_described(window)}, "
            f"calculated shape of the array of sliding blocks as ({counts[0]}, {counts[1]}), but "
            "its components must be at least one."
        )
    _refuse_integers("im2col_out_cpu", input)
    return image_to_columns(input, window)


@composite(where="nn.functional")
def fold(
    input: Tensor,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Columns (N, C * kernel, windows) added up to images (N, C, *output_size)."""
    require_tensor("col2im", "input", 1, input)
    size = _pair("col2im", "output_size", 2, output_size)
    window = _window("col2im", 3, kernel_size, dilation, padding, stride)
    shape = input._layout.shape
    if len(shape) not in (2, 3) or not all(shape[-2:]):
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(shape)}"
        )
    rows, columns = shape[-2:]
    if rows % (window.kernel[0] * window.kernel[1]):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={rows} and kernel_size={window.kernel}."
        )
    counts = _blocks(size, window)
    if counts[0] * counts[1] != columns or min(counts) < 1:
        raise RuntimeError(
            f"Given output_size={size}, {_described(window)}, stride={window.stride}, expected "
            "size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{counts[0]} * {counts[1]} = {counts[0] * counts[1]}, but got input.size(2)={columns}."
        )
    _refuse_integers("col2im_out_cpu", input)
    return columns_to_image(input, size, window)
