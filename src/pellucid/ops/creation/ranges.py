"""Evenly spaced numbers: `arange`, `range`, `linspace`, `logspace`.

Values are computed as PyTorch's kernels for AVX2 do
(aten/src/ATen/native/cpu/RangeFactoriesKernel.cpp,
RangeFactories.cpp), so that the last bit agrees: which end is counted from, what is rounded on the
way, and where the compiler fuses a multiplication with an addition.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, Unpack

import numpy as np

from pellucid.ops.arguments import integer, wrong_type
from pellucid.ops.creation.factory import (
    Options,
    check_options,
    check_out,
    finish,
    place,
    read_dtype,
)
from pellucid.ops.dispatch import composite
from pellucid.ops.inplace import copy_array, resize, scalar_type
from pellucid.tensor.dtype import (
    COMPLEX,
    FLOATING,
    REDUCED,
    bool_,
    default,
    default_complex,
    dtype,
    float32,
    float64,
    int64,
)
from pellucid.tensor.layout import contiguous
from pellucid.tensor.random.checks import cpp_name, refuse_wide_unsigned
from pellucid.tensor.random.fused import fused_multiply_add
from pellucid.tensor.tensor import Tensor, adopt

_LANES = {"float64": 4, "float32": 8, "float16": 16, "bfloat16": 16}
"""Elements in a vector of 256 bits: `arange` starts afresh from a rounded value for each vector."""


def _number(name: str, parameter: str, position: int, value: Any) -> Any:
    """A Python number: itself, a NumPy scalar's, a 0-dim tensor's. Raises TypeError otherwise."""
    if isinstance(value, (int, float, complex)):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return value.item()
    if isinstance(value, Tensor) and not value._layout.shape:
        return value.item()
    raise wrong_type(name, parameter, position, "Number", value)


def _bounds(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any, Any]:
    """start, end and step of `f(end)`, `f(start, end)`, `f(start, end, step)`, any by keyword."""
    found: dict[str, Any] = {
        key: options.pop(key) for key in ("start", "end", "step") if key in options
    }
    names = [key for key in ("start", "end", "step") if key not in found]
    if len(args) == 1 and "end" in names:
        names = ["end"]
    if len(args) > len(names) or not (args or "end" in found):
        kinds = ", ".join(type(value).__name__ for value in args)
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({kinds}), but expected "
            "one of:\n * (Number end)\n * (Number start, Number end)\n"
            " * (Number start, Number end, Number step = 1)"
        )
    found.update(zip(names, args, strict=False))
    start, end, step = found.get("start", 0), found["end"], found.get("step", 1)
    position = 2 if "start" in found else 1
    return (
        _number(name, "start", 1, start),
        _number(name, "end", position, end),
        _number(name, "step", 3, step),
    )


def _check_bounds(start: Any, end: Any, step: Any) -> None:
    for value in (start, end, step):
        if isinstance(value, complex):
            raise RuntimeError("value cannot be converted to type double without overflow")
    if not (step > 0 or step < 0):
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start:g} -> {end:g}")
    if (end < start) if step > 0 else (end > start):
        raise RuntimeError(
            "upper bound and lower bound inconsistent with step sign\n"
            f"  A step of {step} does not lead from {start} to {end}; swap them, or negate the "
            "step."
        )


# -- arange


@composite(where="torch")
def arange(*args: Any, out: Tensor | None = None, **options: Any) -> Tensor:
    """`start + i * step` for i from 0 up to, not including, `end`: `arange(end)`, `arange(start,
    end, step=1)`.

    Shape: `(ceil((end - start) / step),)`. int64 if all three are integers, else the default dtype.
    Raises: RuntimeError for a step of zero or away from `end`, and for infinite bounds.
    """
    start, end, step = _bounds("arange", args, options)
    whole = all(isinstance(value, int) for value in (start, end, step))
    check_options("arange", options)  # type: ignore[arg-type]
    if out is not None:
        check_out("arange", out)
    kind = read_dtype("arange", options.get("dtype"), out, int64 if whole else default.floating)
    _check_bounds(start, end, step)
    refuse_wide_unsigned("arange_cpu", kind)
    if kind is bool_:
        raise NotImplementedError("\"arange_cpu\" not implemented for 'Bool'")
    count = _count(start, end, step, kind)
    values = range_values(start, step, count, kind)
    if out is None:
        return finish("arange", adopt(values, kind), options)  # type: ignore[arg-type]
    if out._layout.numel != count:
        if out._layout.numel:
            warnings.warn(
                f"The number of elements in the out tensor of shape {list(out._layout.shape)} is "
                f"{out._layout.numel} which does not match the computed number of elements "
                f"{count}. "
                "Note that this may occur as a result of rounding error. The out tensor will be "
                f"resized to a tensor of shape ({count},).",
                UserWarning,
                stacklevel=2,
            )
        resize(out, contiguous((count,)))
    copy_array(out._array, values.reshape(out._layout.shape))
    out._storage.version += 1
    return finish("arange", out, options)  # type: ignore[arg-type]


def _count(start: Any, end: Any, step: Any, kind: dtype) -> int:
    if kind is not int64:
        return math.ceil((float(end) - float(start)) / float(step))
    start, end, step = int(start), int(end), int(step)
    if step == 0:
        raise ValueError(
            "step must be nonzero\n  int64 cuts the step to 0: use a floating dtype, or a step of "
            "1 or more."
        )
    return -((start - end) // step)


def range_values(start: Any, step: Any, count: int, kind: dtype) -> np.ndarray:
    """`start + i * step` as `arange` computes it: `(count,)` of `kind`."""
    if kind.category < FLOATING:
        index = np.arange(count, dtype=np.int64)
        return (int(start) + index * int(step)).astype(kind.numpy)
    wide = np.float32 if kind in REDUCED else np.float64
    first, stride = float(wide(start)), float(wide(step))
    places = np.arange(count, dtype=np.float64)
    if kind is not float64:
        scalar = (first + places * stride).astype(kind.numpy)
    else:
        scalar = fused_multiply_add(places, stride, first)
    lanes = _LANES[kind.name]
    vectors = count // (2 * lanes) * 2 * lanes
    if not vectors or (first.is_integer() and stride.is_integer() and kind not in REDUCED):
        return scalar
    heads = np.repeat(scalar[:vectors:lanes].astype(np.float64), lanes)
    places = np.tile(np.arange(lanes, dtype=np.float64), vectors // lanes)
    if kind is float64:
        scalar[:vectors] = fused_multiply_add(places, stride, heads)
    else:
        scalar[:vectors] = (heads + places * stride).astype(wide).astype(kind.numpy)
    return scalar


@composite(where="torch", name="range")
def closed_range(*args: Any, out: Tensor | None = None, **options: Any) -> Tensor:
    """`start + i * step` up to and including `end`: what PyTorch had before `arange`, of the
    default dtype.
    """
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with Python's range builtin. Instead, use torch.arange, which produces "
        "values "
        "in [start, end).",
        UserWarning,
        stacklevel=2,
    )
    start, end, step = _bounds("range", args, options)
    kind = read_dtype("range", options.get("dtype"), out, default.floating)
    _check_bounds(start, end, step)
    if kind.category < FLOATING:
        start, end, step = int(start), int(end), int(step)
        if not step:
            raise RuntimeError("step must be nonzero")
        count = abs(end - start) // abs(step) + 1
        values = start + step * np.arange(count)
    else:
        count = int((end - start) / step + 1)
        values = start + step * np.arange(count, dtype=np.float64)
    result = place("range", (count,), kind, out, options)  # type: ignore[arg-type]
    copy_array(result._array, values)
    return finish("range", result, options)  # type: ignore[arg-type]


# -- spaces


def _space(
    name: str, start: Any, end: Any, steps: Any, out: Tensor | None, options: Options
) -> tuple[Any, Any, int, Tensor]:
    """The ends as numbers, the number of steps, and the tensor to fill."""
    dims = {
        which: len(value._layout.shape)
        for which, value in (("start", start), ("end", end))
        if isinstance(value, Tensor)
    }
    if any(dims.values()):
        told = " and ".join(f"{which} with {count} dimension(s)" for which, count in dims.items())
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got {told}."
        )
    start, end = _number(name, "start", 1, start), _number(name, "end", 2, end)
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer, Tensor)):
        kinds = ", ".join(type(value).__name__ for value in (start, end, steps))
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({kinds}), but expected "
            "one of:\n * (Number start, Number end, int steps)\n"
            f"  The third argument, steps={steps!r}, counts values and must be an int."
        )
    count = integer(name, "steps", 3, steps)
    if count < 0:
        raise RuntimeError("number of steps must be non-negative")
    inferred = default.floating
    if isinstance(start, complex) or isinstance(end, complex):
        inferred = default_complex()
        kind = read_dtype(name, options.get("dtype"), out, inferred)
        if kind.category < COMPLEX:
            raise RuntimeError(
                f"torch.{name}(): inferred dtype {cpp_name(inferred)} can't be safely cast to "
                "passed "
                f"dtype {scalar_type(kind)}"
            )
    result = place(name, (count,), inferred, out, options)
    if result.dtype is bool_ or result.dtype.name in ("uint16", "uint32", "uint64"):
        raise NotImplementedError(
            f"\"{name}_cpu\" not implemented for '{scalar_type(result.dtype)}'"
        )
    return start, end, count, result


@composite(where="torch", by_element=True)
def linspace(
    start: Any, end: Any, steps: int, *, out: Tensor | None = None, **options: Unpack[Options]
) -> Tensor:
    """`steps` values from `start` to `end`, both included, evenly spaced: `(steps,)`.

    The default dtype unless one is named. Ends may be 0-dim tensors; gradients do not flow to them.
    """
    start, end, count, result = _space("linspace", start, end, steps, out, options)
    copy_array(result._array, linear_values(start, end, count, result.dtype))
    return finish("linspace", result, options)


def linear_values(start: Any, end: Any, steps: int, kind: dtype) -> np.ndarray:
    """`linspace` as computed in `kind`: the first half counted from `start`, the second from
    `end`.
    """
    if steps <= 1:
        return np.full(steps, start)
    first: Any
    last: Any
    if kind.category < FLOATING:
        first, last, work = int(start), int(end), np.dtype(np.float64)
        step = (float(last) - float(first)) / (steps - 1)
    else:
        work = kind.numpy
        cut: type[Any] = complex if kind.is_complex else float
        first, last = work.type(cut(start)), work.type(cut(end))
        step = (last - first) / work.type(steps - 1)
    half = steps // 2
    up = np.arange(half).astype(work)
    down = np.arange(steps - half - 1, -1, -1).astype(work)
    if kind in (float32, float64) or kind.category < FLOATING:
        rising = fused_multiply_add(up, float(step), float(first))
        falling = fused_multiply_add(down, -float(step), float(last))
    else:
        rising, falling = first + step * up, last - step * down
    return np.concatenate([rising, falling])


@composite(where="torch", by_element=True)
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    out: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """`steps` powers of `base`, their exponents evenly spaced from `start` to `end`: `(steps,)`."""
    start, end, count, result = _space("logspace", start, end, steps, out, options)
    copy_array(result._array, _powers(base, start, end, count, result.dtype))
    return finish("logspace", result, options)


def _powers(base: Any, start: Any, end: Any, steps: int, kind: dtype) -> np.ndarray:
    with np.errstate(all="ignore"):
        if kind.is_complex:
            exponents = linear_values(start, end, steps, kind)
            return np.power(kind.numpy.type(base), exponents.astype(kind.numpy))
        if steps <= 1:
            return np.power(float(base), np.full(steps, float(start)))
        first, last = (float(np.asarray(v).astype(kind.numpy)) for v in (start, end))
        step = float(np.asarray(last - first).astype(kind.numpy)) / (steps - 1)
        index = np.arange(steps, dtype=np.float64)
        half = steps // 2
        exponents = np.concatenate(
            [first + step * index[:half], last - step * (steps - 1 - index[half:])]
        )
        return np.power(float(base), exponents)
