"""Making tensors from sizes: zeros, ones, full, empty, and their `_like` and `new_` forms; arange, linspace, eye.

`factory` reads the keywords they all share: `dtype, layout, device, requires_grad, pin_memory, memory_format, out`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.arguments import sizes
from pellucid.ops.dispatch import composite
from pellucid.ops.inplace import copy_array, resize_output
from pellucid.ops.memory import as_scalar, layout_in
from pellucid.tensor.device import memory_format as MemoryFormat
from pellucid.tensor.device import require_cpu, strided
from pellucid.tensor.dtype import default, dtype, int64
from pellucid.tensor.events import Event, listeners
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.promotion import number_dtype
from pellucid.tensor.tensor import Tensor
from pellucid.tensor.tensor import empty as allocate


def finish(
    name: str,
    out: Tensor,
    requires_grad: bool = False,
    device: Any = None,
    layout: Any = None,
    pin_memory: bool = False,
    names: Any = None,
    generator: Any = None,
) -> Tensor:
    """What every factory does last: check where the tensor is to live, mark it, tell it."""
    if device is not None:
        require_cpu(device)
    if layout is not None and layout is not strided:
        raise RuntimeError(f"{name}(): layout {layout} is not there; Pellucid's tensors are torch.strided")
    if requires_grad:
        if out.dtype.category < 2:
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        out._requires_grad = True
    if state.inference:
        out._inference = True
    if listeners:
        event = Event(name, (), (out,), "copy", out.nbytes, 0.0)
        for listener in tuple(listeners):
            listener(event)
    return out


def _check_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    for size in shape:
        if size < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {size}: {list(shape)}")
    return shape


def _target(shape: tuple[int, ...], d: dtype, out: Tensor | None, format: MemoryFormat | None = None) -> Tensor:
    """The tensor to fill: a fresh one, or `out` made to fit."""
    layout = layout_in(format, contiguous(_check_shape(shape)))
    if out is None:
        return allocate(layout, d)
    resize_output(out, layout)
    out._storage.version += 1
    return out


def _filled(name: str, value: Any) -> Any:
    def make(
        *size: Any, out: Tensor | None = None, dtype: dtype | None = None, memory_format: MemoryFormat | None = None, **options: Any
    ) -> Tensor:
        if "size" in options:
            size = (options.pop("size"),)
        d = dtype or (out.dtype if out is not None else default.floating)
        result = _target(sizes(name, size), d, out, memory_format)
        if value is not None:
            result._array.fill(value)
        return finish(name, result, **options)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A tensor of this size, {'uninitialised' if value is None else f'filled with {value}'}."
    return composite(where="torch")(make)


zeros = _filled("zeros", 0)
ones = _filled("ones", 1)
empty = _filled("empty", None)


@composite(where="torch")
def full(size: Any, fill_value: Any, *, out: Tensor | None = None, dtype: dtype | None = None, **options: Any) -> Tensor:
    """A tensor of this size filled with `fill_value`, whose type gives the dtype if none is named."""
    if isinstance(fill_value, Tensor):
        d, value = dtype or fill_value.dtype, fill_value._array
    else:
        d = dtype or (out.dtype if out is not None else number_dtype(fill_value))
        value = as_scalar(fill_value, d)
    result = _target(sizes("full", (size,)), d, out)
    copy_array(result._array, value)
    return finish("full", result, **options)


@composite(where="torch")
def empty_strided(size: Any, stride: Any, *, dtype: dtype | None = None, **options: Any) -> Tensor:
    """An uninitialised tensor with this size and these strides (in elements)."""
    shape, strides = tuple(int(s) for s in size), tuple(int(s) for s in stride)
    if len(shape) != len(strides):
        raise RuntimeError(f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(strides)})")
    if min(strides, default=0) < 0:
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(strides)}")
    layout = Layout(_check_shape(shape), strides, 0)
    result = allocate(contiguous((layout.span,)), dtype or default.floating)
    result._layout = layout
    return finish("empty_strided", result, **options)


@composite(where="torch")
def empty_permuted(size: Any, physical_layout: Any, *, dtype: dtype | None = None, **options: Any) -> Tensor:
    """An uninitialised tensor whose dimensions lie in memory in the order `physical_layout`."""
    shape, order = tuple(size), tuple(physical_layout)
    if len(order) != len(shape):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = {len(shape)} is not "
            f"equal to len(physical_layout) = {len(order)}"
        )
    if sorted(order) != list(range(len(shape))):
        raise RuntimeError("empty_permuted: duplicate dim not allowed" if len(set(order)) < len(order) else "Dimension out of range")
    inner = contiguous(tuple(shape[i] for i in order)).strides
    strides = tuple(inner[order.index(i)] for i in range(len(shape)))
    return empty_strided(shape, strides, dtype=dtype, **options)


def _like(name: str, value: Any) -> Any:
    def make(
        input: Tensor, *, dtype: dtype | None = None, memory_format: MemoryFormat | None = None, **options: Any
    ) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
        result = allocate(layout_in(memory_format, input._layout), dtype or input.dtype)
        if value is not None:
            result._array.fill(value)
        return finish(name, result, **options)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = "A tensor laid out like `input`, " + ("uninitialised." if value is None else f"filled with {value}.")
    return composite(where="torch")(make)


zeros_like = _like("zeros_like", 0)
ones_like = _like("ones_like", 1)
empty_like = _like("empty_like", None)


@composite(where="torch")
def full_like(
    input: Tensor, fill_value: Any, *, dtype: dtype | None = None, memory_format: MemoryFormat | None = None, **options: Any
) -> Tensor:
    """A tensor laid out like `input`, filled with `fill_value`."""
    if not isinstance(input, Tensor):
        raise TypeError(f"full_like(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    d = dtype or input.dtype
    result = allocate(layout_in(memory_format, input._layout), d)
    copy_array(result._array, fill_value._array if isinstance(fill_value, Tensor) else as_scalar(fill_value, d))
    return finish("full_like", result, **options)


def _new(name: str, make: Any) -> Any:
    def method(self: Tensor, *size: Any, dtype: dtype | None = None, **options: Any) -> Tensor:
        return make(*size, dtype=dtype or self.dtype, **options)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{make.__name__}` with this tensor's dtype."
    return composite(where="Tensor")(method)


new_zeros = _new("new_zeros", zeros)
new_ones = _new("new_ones", ones)
new_empty = _new("new_empty", empty)
new_full = _new("new_full", full)
new_empty_strided = _new("new_empty_strided", empty_strided)


def _range_dtype(values: tuple[Any, ...]) -> dtype:
    kinds = [v.dtype if isinstance(v, Tensor) else number_dtype(v) for v in values]
    return default.floating if any(k.category >= 2 for k in kinds) else int64


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, (Tensor, np.generic)) else value


@composite(where="torch")
def arange(*args: Any, out: Tensor | None = None, dtype: dtype | None = None, **options: Any) -> Tensor:
    """`arange(end)`, `arange(start, end, step=1)`: ceil((end - start) / step) values, `start + i * step`."""
    start, end, step = options.pop("start", 0), options.pop("end", None), options.pop("step", 1)
    if len(args) == 1:
        if end is None:
            (end,) = args
        else:
            (start,) = args
    elif len(args) == 2:
        start, end = args
    elif len(args) == 3:
        start, end, step = args
    d = dtype or (out.dtype if out is not None else _range_dtype((start, end, step)))
    start, end, step = _number(start), _number(end), _number(step)
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if d.category <= 1 and all(isinstance(v, int) for v in (start, end, step)):
        count = -((start - end) // step)
    else:
        count = math.ceil((end - start) / step)
    result = _target((count,), d, out)
    index = np.arange(count, dtype=np.int64 if d.category <= 1 else np.float64)
    copy_array(result._array, (int(start) if d.category <= 1 else start) + index * (int(step) if d.category <= 1 else step))
    return finish("arange", result, **options)


@composite(where="torch")
def linspace(start: Any, end: Any, steps: Any, *, out: Tensor | None = None, dtype: dtype | None = None, **options: Any) -> Tensor:
    """`steps` values from `start` to `end`, both included; computed from both ends as PyTorch does."""
    start, end = _number(start), _number(end)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    d = dtype or (out.dtype if out is not None else default.floating)
    result = _target((int(steps),), d, out)
    copy_array(result._array, linear_values(start, end, int(steps), d))
    return finish("linspace", result, **options)


def linear_values(start: Any, end: Any, steps: int, d: dtype) -> np.ndarray:
    """The values of `linspace` before they are rounded to `d`."""
    if steps == 1:
        return np.asarray([start])
    work = np.dtype(np.float32) if d.name in ("float32", "float16", "bfloat16") else np.dtype(np.float64)
    if d.is_complex:
        work = d.numpy
    step = (work.type(end) - work.type(start)) / work.type(max(steps - 1, 1))
    index = np.arange(steps)
    rising = work.type(start) + step * index.astype(work)
    falling = work.type(end) - step * (steps - 1 - index).astype(work)
    return np.where(index < steps // 2, rising, falling)


@composite(where="torch")
def eye(n: int, m: int | None = None, *, out: Tensor | None = None, dtype: dtype | None = None, **options: Any) -> Tensor:
    """The identity matrix, n rows and m columns (n if not given)."""
    m = n if m is None else m
    for letter, size in (("n", n), ("m", m)):
        if size < 0:
            raise RuntimeError(f"{letter} must be greater or equal to 0, got {size}")
    result = _target((n, m), dtype or (out.dtype if out is not None else default.floating), out)
    result._array.fill(0)
    np.fill_diagonal(result._array, 1)
    return finish("eye", result, **options)
