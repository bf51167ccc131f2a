"""Tensors from sizes: `zeros`, `ones`, `full`, `empty`, their `_like` and `new_` forms, `eye`,
triangles' indices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np

from pellucid.autograd.node import wants_grad
from pellucid.ops.arguments import integer, integers, wrong_type
from pellucid.ops.creation.factory import (
    Options,
    blank,
    check_options,
    check_shape,
    fill,
    finish,
    place,
    read_dtype,
    read_sizes,
)
from pellucid.ops.dispatch import composite
from pellucid.ops.inplace import copy_array, scalar_type
from pellucid.ops.memory.memory import as_scalar, layout_in
from pellucid.tensor.device import memory_format as MemoryFormat
from pellucid.tensor.device import preserve_format
from pellucid.tensor.dtype import default, int32, int64
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.levels import every, levels
from pellucid.tensor.promotion import number_dtype
from pellucid.tensor.tensor import Tensor, make
from pellucid.tensor.tensor import empty as allocate


def _filled(name: str, value: int) -> Callable[..., Tensor]:
    def make(*size: Any, out: Tensor | None = None, **options: Unpack[Options]) -> Tensor:
        shape = read_sizes(name, size, options)
        if not value and min(shape, default=0) < 0:
            raise RuntimeError(f"zeros: Dimension size must be non-negative.\n  Got {list(shape)}.")
        result = place(name, shape, None, out, options)
        fill(result, value)
        return finish(name, result, options)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A tensor of this size filled with {value}: `{name}(2, 3)` or `{name}((2, 3))`."
    return composite(where="torch")(make)


zeros = _filled("zeros", 0)
ones = _filled("ones", 1)


@composite(where="torch")
def empty(
    *size: Any,
    out: Tensor | None = None,
    memory_format: MemoryFormat | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """An uninitialised tensor of this size, its strides in the order of `memory_format`."""
    if memory_format is preserve_format:
        raise RuntimeError(
            "unsupported memory format Preserve\n"
            "  There is no tensor whose format could be preserved: name one, or use empty_like."
        )
    shape = read_sizes("empty", size, options)
    return finish("empty", place("empty", shape, None, out, options, memory_format), options)


def fill_number(name: str, position: int, value: Any) -> Any:
    """The Python number in `value`: a number or a 0-dim tensor. Raises TypeError for anything
    else.
    """
    if isinstance(value, (bool, int, float, complex)):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return value.item()
    if isinstance(value, Tensor) and not value._layout.shape and not wants_grad(value):
        return value.item()
    raise wrong_type(name, "fill_value", position, "Number", value)


def _write(result: Tensor, value: Any) -> None:
    if not result._storage.meta:
        alone = result._layout.numel == 1
        result._array.fill(as_scalar(value, result.dtype, saturate=alone))


@composite(where="torch")
def full(
    size: Any, fill_value: Any, *, out: Tensor | None = None, **options: Unpack[Options]
) -> Tensor:
    """A tensor of this size filled with `fill_value`, whose type gives the dtype if none is
    named.
    """
    if not isinstance(size, (tuple, list)):
        raise wrong_type("full", "size", 1, "tuple of ints", size)
    value = fill_number("full", 2, fill_value)
    shape = integers("full", "size", 1, size)
    result = place("full", shape, number_dtype(value), out, options)
    _write(result, value)
    return finish("full", result, options)


# -- strides of one's own


@composite(where="torch")
def empty_strided(size: Any, stride: Any, **options: Unpack[Options]) -> Tensor:
    """An uninitialised tensor with this size and these strides (in elements)."""
    shape = integers("empty_strided", "size", 1, size)
    strides = integers("empty_strided", "stride", 2, stride)
    if len(shape) != len(strides):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides "
            f"({len(strides)})"
        )
    check_shape(shape)
    if min(strides, default=0) < 0:
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(shape)} and "
            f"strides={list(strides)}\n"
            "  Strides cannot be negative; flip() copies in reversed order."
        )
    layout = Layout(shape, strides, 0)
    check_options("empty_strided", options)
    kind = read_dtype("empty_strided", options.get("dtype"), None, default.floating)
    memory = blank(contiguous((layout.span,)), kind, options)._storage
    return finish("empty_strided", make(memory, layout, kind), options)


@composite(where="torch")
def empty_permuted(size: Any, physical_layout: Any, **options: Unpack[Options]) -> Tensor:
    """An uninitialised tensor whose dimensions lie in memory in the order `physical_layout`."""
    shape = check_shape(integers("empty_permuted", "size", 1, size))
    order = integers("empty_permuted", "physical_layout", 2, physical_layout)
    if len(order) != len(shape):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for place_, dim in enumerate(order):
        if not 0 <= dim < len(shape):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got "
                f"{dim} "
                f"at index {place_}).  NB: negative dims not currently supported."
            )
    if len(set(order)) < len(order):
        raise RuntimeError("Duplicate dim not allowed")
    inner = contiguous(tuple(shape[i] for i in order)).strides
    strides = tuple(inner[order.index(i)] for i in range(len(shape)))
    return empty_strided(shape, strides, **options)


# -- like another tensor


def _place_like(name: str, input: Any, format: MemoryFormat | None, options: Options) -> Tensor:
    if not isinstance(input, Tensor):
        raise wrong_type(name, "input", 1, "Tensor", input)
    kind = input.dtype
    if options:
        check_options(name, options)
        kind = read_dtype(name, options.get("dtype"), None, kind)
    if options.get("device") is None:
        options["device"] = input.device
    return blank(layout_in(format, input._layout), kind, options)


def _like(name: str, value: int | None) -> Callable[..., Tensor]:
    def make(
        input: Tensor, *, memory_format: MemoryFormat | None = None, **options: Unpack[Options]
    ) -> Tensor:
        result = _place_like(name, input, memory_format, options)
        if value is not None:
            fill(result, value)
        result = finish(name, result, options)
        return every(input, result) if levels.stack else result

    make.__name__ = make.__qualname__ = name
    content = "uninitialised" if value is None else f"filled with {value}"
    make.__doc__ = f"A tensor in the shape, dtype and order of strides of `input`, {content}."
    return composite(where="torch")(make)


zeros_like = _like("zeros_like", 0)
ones_like = _like("ones_like", 1)
empty_like = _like("empty_like", None)


@composite(where="torch")
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    memory_format: MemoryFormat | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """A tensor in the shape, dtype and order of strides of `input`, filled with `fill_value`."""
    value = fill_number("full_like", 2, fill_value)
    result = _place_like("full_like", input, memory_format, options)
    _write(result, value)
    result = finish("full_like", result, options)
    return every(input, result) if levels.stack else result


def _new(name: str, make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        if options.get("dtype") is None:
            options["dtype"] = self.dtype
        if options.get("device") is None:
            options["device"] = self.device
        made = make(*args, **options)
        return every(self, made) if levels.stack else made

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`torch.{name[4:]}` in this tensor's dtype, unless another one is named."
    return composite(where="Tensor")(method)


new_zeros = _new("new_zeros", zeros)
new_ones = _new("new_ones", ones)
new_empty = _new("new_empty", empty)
new_full = _new("new_full", full)
new_empty_strided = _new("new_empty_strided", empty_strided)


# -- diagonals and triangles


@composite(where="torch")
def eye(
    n: int, m: int | None = None, *, out: Tensor | None = None, **options: Unpack[Options]
) -> Tensor:
    """The identity matrix: `(n, m)`, `(n, n)` if m is not given."""
    rows = integer("eye", "n", 1, n)
    columns = rows if m is None else integer("eye", "m", 2, m)
    for letter, size in (("n", rows), ("m", columns)):
        if size < 0:
            raise RuntimeError(f"{letter} must be greater or equal to 0, got {size}")
    result = place("eye", (rows, columns), None, out, options)
    result._array.fill(0)
    diagonal = np.arange(min(rows, columns))
    result._array[diagonal, diagonal] = 1
    return finish("eye", result, options)


def _triangle(name: str, below: bool) -> Callable[..., Tensor]:
    def make(row: int, col: int, offset: int = 0, **options: Unpack[Options]) -> Tensor:
        for letter, size in (("row", row), ("col", col)):
            if size < 0:
                raise RuntimeError(f"{letter} must be non-negative, got{size}")
        check_options(name, options)
        kind = read_dtype(name, options.get("dtype"), None, int64)
        if kind not in (int32, int64):
            raise NotImplementedError(f"\"{name}\" not implemented for '{scalar_type(kind)}'")
        inside = np.tri(row, col, offset if below else offset - 1, dtype=bool)
        found = np.nonzero(inside if below else ~inside)
        result = allocate(contiguous((2, found[0].size)), kind)
        copy_array(result._array, np.stack(found))
        return finish(name, result, options)

    make.__name__ = make.__qualname__ = name
    side = "on and below" if below else "on and above"
    make.__doc__ = (
        f"Row and column indices of the entries {side} diagonal `offset` of a `(row, col)` "
        "matrix.\n\n"
        "    Shape: `(2, entries)`, row by row; int64 or int32."
    )
    return composite(where="torch")(make)


tril_indices = _triangle("tril_indices", below=True)
triu_indices = _triangle("triu_indices", below=False)
