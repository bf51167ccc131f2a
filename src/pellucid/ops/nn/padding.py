"""Padding: constant, reflecting, replicating and circular; negative amounts cut."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import integers
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.memory.memory import as_scalar
from pellucid.ops.nn import kernels_padding as kernels
from pellucid.ops.nn.support import (
    Ints,
    finished,
    layout_for,
    not_implemented,
    require_tensor,
    sizes,
    working,
)
from pellucid.tensor.dtype import BOOL
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, empty


def _amounts(pad: Ints, dims: int) -> list[tuple[int, int]]:
    """(before, after) for each dimension: `pad` starts with the last one."""
    found = [(0, 0)] * dims
    for i in range(len(pad) // 2):
        found[dims - 1 - i] = (pad[2 * i], pad[2 * i + 1])
    return found


# -- constants


@operator(
    where="torch",
    gradient={"input": lambda grad, pad: constant_pad_nd(grad, tuple(-p for p in pad))},
)
def constant_pad_nd(input: Tensor, pad: Any, value: Any = 0) -> Tensor:
    """`input` with `value` around it: `pad` holds before and after of the last dimension first."""
    pad = integers("constant_pad_nd", "pad", 2, pad)
    shape = input._layout.shape
    _check_length(pad, len(shape))
    amounts = _amounts(pad, len(shape))
    result = tuple(s + low + high for s, (low, high) in zip(shape, amounts, strict=True))
    for dim, (size, given) in enumerate(zip(result, amounts, strict=True)):
        if size < 0:
            if max(pad) <= 0:
                raise RuntimeError(
                    "narrow(): length must be non-negative.\n"
                    f"  Dimension {dim} of size {shape[dim]} is cut by {-given[0]} and {-given[1]}."
                )
            raise RuntimeError(
                f"The input size {shape[dim]}, plus negative padding {given[0]} and {given[1]} "
                "resulted in a negative output size, which is invalid. Check dimension "
                f"{dim} of your input."
            )
    out = empty(layout_for(result, input._layout), input.dtype)
    array = out._array
    inside = tuple(
        slice(max(low, 0), max(low, 0) + s + min(low, 0) + min(high, 0))
        for s, (low, high) in zip(shape, amounts, strict=True)
    )
    seen = tuple(
        slice(max(-low, 0), s - max(-high, 0))
        for s, (low, high) in zip(shape, amounts, strict=True)
    )
    _fill_around(array, inside, as_scalar(value, input.dtype))
    if all(s.stop > s.start for s in inside):
        array[inside] = input._array[seen]
    return out


def _fill_around(array: np.ndarray, inside: tuple[slice, ...], value: Any) -> None:
    """Set what lies outside of `inside`, border by border, each element once."""
    done: tuple[slice, ...] = ()
    for axis, part in enumerate(inside):
        stop = max(part.stop, part.start)
        if part.start > 0:
            array[(*done, slice(None, part.start))] = value
        if stop < array.shape[axis]:
            array[(*done, slice(stop, None))] = value
        done = (*done, slice(part.start, stop))


def _check_length(pad: Ints, dims: int) -> None:
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * dims:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(pad)} and input of dimension {dims}"
        )


# -- borders made of the input


@operator(
    where="internal",
    gradient={"input": lambda grad, pad, mode, input: pad_back(grad, pad, mode, input)},
    backward_name="ReflectionPadBackward0",
)
def pad_borders(input: Tensor, pad: Ints, mode: str) -> Tensor:
    """Pad with what the input holds: "reflect", "replicate" or "circular"."""
    array = input._array
    for dim, (low, high) in enumerate(_amounts(pad, array.ndim)):
        if low or high:
            run = kernels.positions(array.shape[dim], low, high, mode)
            array = kernels.pad(array, dim, run)
    layout = contiguous(array.shape)
    if mode != "circular" and len(pad) > 2:
        layout = layout_for(array.shape, input._layout)
    out = empty(layout, input.dtype)
    out._array[...] = array
    return out


@operator(
    where="internal",
    gradient={
        "input": lambda grad, pad, mode: pad_borders(grad, pad, mode),
        "like": lambda like: F.zeros_like(like),
    },
    backward_name="ReflectionPadBackwardBackward0",
)
def pad_back(input: Tensor, pad: Ints, mode: str, like: Tensor) -> Tensor:
    """The transpose of `pad_borders`: borders added up where they came from in `like`."""
    array = working(input)
    layout = like._layout
    shape = layout.shape
    for dim, (low, high) in reversed(list(enumerate(_amounts(pad, len(shape))))):
        if low or high:
            run = kernels.positions(shape[dim], low, high, mode)
            array = kernels.pad_transpose(array, dim, run, shape[dim])
    return finished(array, input.dtype, layout_for(shape, layout))


_DIMENSIONS = {2: (2, 3), 4: (3, 4), 6: (4, 5)}
_LETTERS = {1: "W", 2: "HW", 3: "DHW"}


def _check_borders(input: Tensor, pad: Ints, mode: str) -> None:
    shape = input._layout.shape
    if len(shape) not in _DIMENSIONS.get(len(pad), ()):
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {len(shape)}D input tensor.\n"
            f"  Mode {mode!r} pads the last 1, 2 or 3 dimensions of inputs with one or two more."
        )
    count = len(pad) // 2
    if mode == "circular":
        _check_wrapping(shape, pad)
        return
    first = 1 if len(shape) == count + 2 else 0
    if not all(shape[first:]):
        raise RuntimeError(
            f"Expected {count + 1}D or {count + 2}D (batch mode) tensor with possibly 0 batch size "
            f"and other non-zero dimensions for input, but got: {list(shape)}"
        )
    if mode == "reflect":
        _check_reflection(shape, pad)
    sizes = [s + a + b for s, (a, b) in zip(shape, _amounts(pad, len(shape)), strict=True)]
    if (count == 1 and sizes[-1] < 1) or min(sizes) < 0:
        given = " ".join(
            f"{letter}: {s}" for letter, s in zip(_LETTERS[count], shape[-count:], strict=True)
        )
        found = " ".join(
            f"{letter}: {s}" for letter, s in zip(_LETTERS[count], sizes[-count:], strict=True)
        )
        raise RuntimeError(f"input ({given}) is too small. Calculated output {found}")
    if input.dtype.category == BOOL:
        kind = "reflection" if mode == "reflect" else "replication"
        raise not_implemented(f"{kind}_pad{count}d", input.dtype)


def _check_reflection(shape: Ints, pad: Ints) -> None:
    for i in range(len(pad) // 2):
        dim = len(shape) - 1 - i
        low, high = pad[2 * i], pad[2 * i + 1]
        if low >= shape[dim] or high >= shape[dim]:
            raise RuntimeError(
                f"Argument #{4 + 2 * i}: Padding size should be less than the corresponding input "
                f"dimension, but got: padding ({low}, {high}) at dimension {dim} of input "
                f"{list(shape)}\n  A reflection repeats each element at most once."
            )


def _check_wrapping(shape: Ints, pad: Ints) -> None:
    for i in range(len(pad) // 2):
        size = shape[len(shape) - 1 - i]
        low, high = pad[2 * i], pad[2 * i + 1]
        if low > size or high > size:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if size + low + high < 0:
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
        if max(low, high) > 0 and size + min(low, 0) + min(high, 0) <= 0:
            raise RuntimeError(
                "Padding value causes wrapping around more than once.\n"
                "  The negative amount cuts everything that the other one would repeat."
            )


@composite(where="nn.functional")
def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """Pad the last dimensions: `pad` = (left, right, top, bottom, front, back), last one first.

    Modes: "constant" (any number of dimensions), "reflect", "replicate", "circular" (the last 1, 2
    or 3). Negative amounts cut.
    """
    require_tensor("pad", "input", 1, input)
    if isinstance(pad, int):
        raise TypeError("pad(): argument 'pad' (position 2) must be tuple of ints, not int")
    amounts = sizes("pad", "pad", 2, pad)
    _check_length(amounts, input.dim())
    if mode == "constant":
        return constant_pad_nd(input, amounts, 0 if value is None else value)
    if value is not None and isinstance(value, numbers.Number) and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    _check_borders(input, amounts, mode)
    return pad_borders(input, amounts, mode)
