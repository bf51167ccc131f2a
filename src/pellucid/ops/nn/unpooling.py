"""Max unpooling, power-average pooling and fractional max pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.nn.adaptive_pooling import gather_places, scatter_places
from pellucid.ops.nn.support import (
    Ints,
    finished,
    layout_for,
    not_implemented,
    refuse_gradient,
    require_tensor,
    sizes,
    working,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import int64
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, empty

# -- max_unpool: elements back at the places that pooling chose


@operator(
    where="internal",
    gradient={
        "input": lambda grad, indices, output_size: gather_places(grad, indices, len(output_size))
    },
    backward_name="MaxUnpool2DBackward0",
)
def place(input: Tensor, indices: Tensor, output_size: Ints) -> Tensor:
    """Zeros (*, *output_size) with each element at its place in the flattened image."""
    spatial = len(output_size)
    lead = input._layout.shape[: input.dim() - spatial]
    shape = (*lead, *output_size)
    out = np.zeros(shape, input.dtype.numpy)
    flat = out.reshape(*lead, -1)
    if input._layout.numel:
        positions = indices._array.reshape(*lead, -1)
        _check_places(positions, flat.shape[-1], output_size)
        np.put_along_axis(flat, positions, input._array.reshape(*lead, -1), -1)
    layout = layout_for(shape, input._layout) if spatial < 3 else contiguous(shape)
    return finished(out, input.dtype, layout)


def _check_places(positions: np.ndarray, length: int, output_size: Ints) -> None:
    wrong = (positions < 0) | (positions >= length)
    if wrong.any():
        shown = "x".join(map(str, output_size))
        raise RuntimeError(
            f"Found an invalid max index: {positions[wrong].flat[0]} (output volumes are of size "
            f"{shown}"
        )


def _unpool_size(
    input: Tensor, kernel: Ints, stride: Ints, padding: Ints, output_size: Any
) -> Ints:
    """The output's spatial sizes: by the window, or as given if that is less than a stride away."""
    count = len(kernel)
    shape = input._layout.shape
    default = tuple(
        (s - 1) * t + f - 2 * p
        for s, f, t, p in zip(shape[-count:], kernel, stride, padding, strict=True)
    )
    if output_size is None:
        return default
    given = sizes("max_unpool", "output_size", 2, output_size)
    if len(given) == count + 2:
        given = given[2:]
    if len(given) != count:
        raise ValueError(
            "output_size should be a sequence containing "
            f"{count} or {count + 2} elements, but it has a length of '{len(given)}'"
        )
    for size, middle, t in zip(given, default, stride, strict=True):
        if not middle - t < size < middle + t:
            low = [m - s for m, s in zip(default, stride, strict=True)]
            high = [m + s for m, s in zip(default, stride, strict=True)]
            raise ValueError(
                f'invalid output_size "{list(given)}" (dim 0 must be between {low[0]} and '
                f"{high[0]})"
            )
    return given


def _each(name: str, parameter: str, position: int, value: Any, count: int) -> Ints:
    found = sizes(name, parameter, position, value)
    return found * count if len(found) == 1 else found


def _unpool(
    name: str,
    count: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
) -> Tensor:
    kernel = _each(name, "kernel_size", 3, kernel_size, count)
    step = kernel if stride is None else _each(name, "stride", 4, stride, count)
    around = _each(name, "padding", 5, padding, count)
    size = _unpool_size(input, kernel, step, around, output_size)
    if indices.dtype is not int64:
        raise RuntimeError(
            f"elements in indices should be type int64 but got: {scalar_type(indices.dtype)}"
        )
    shape = input._layout.shape
    if len(shape) not in (count + 1, count + 2):
        shown = max(count, 2)
        raise RuntimeError(
            f"Input to max_unpooling{shown}d should be a {shown + 1}d or {shown + 2}d Tensor, but "
            f"got a tensor with {len(shape) + (count == 1)} dims."
        )
    if indices._layout.shape != shape:
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({list(shape)}) but got indices tensor with shape: {list(indices.shape)}"
        )
    if count == 1:
        return place(input.unsqueeze(-1), indices.unsqueeze(-1), (*size, 1)).squeeze(-1)
    return place(input, indices, size)


def _public_unpool(count: int) -> None:
    name = f"max_unpool{count}d"

    def max_unpool(
        input: Tensor,
        indices: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Tensor:
        return _unpool(name, count, input, indices, kernel_size, stride, padding, output_size)

    max_unpool.__name__ = name
    max_unpool.__doc__ = (
        f"Undo `max_pool{count}d`: each maximum back at its place in `indices`, zeros elsewhere."
    )
    composite(where="nn.functional")(max_unpool)


for _count in (1, 2, 3):
    _public_unpool(_count)


# -- lp_pool: (sum of x^p)^(1/p)


def _lp_pool(
    count: int, input: Tensor, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Tensor:
    if norm_type in (float("inf"), -float("inf")):
        largest = getattr(F.nn, f"max_pool{count}d")
        if norm_type > 0:
            return largest(F.abs(input), kernel_size, stride, 0, 1, ceil_mode)
        return -largest(-F.abs(input), kernel_size, stride, 0, 1, ceil_mode)
    mean = getattr(F.nn, f"avg_pool{count}d")
    out = mean(F.pow(input, norm_type), kernel_size, stride, 0, ceil_mode)
    elements = 1
    for f in _each(f"lp_pool{count}d", "kernel_size", 3, kernel_size, count):
        elements *= f
    return F.pow(F.sign(out) * F.relu(F.abs(out)) * elements, 1.0 / norm_type)


def _public_lp(count: int) -> None:
    def lp_pool(
        input: Tensor,
        norm_type: float,
        kernel_size: Any,
        stride: Any = None,
        ceil_mode: bool = False,
    ) -> Tensor:
        return _lp_pool(count, input, norm_type, kernel_size, stride, ceil_mode)

    lp_pool.__name__ = f"lp_pool{count}d"
    lp_pool.__doc__ = "(sum of x^p)^(1/p) over each window; the largest |x| for p of infinity."
    composite(where="nn.functional")(lp_pool)


for _count in (1, 2, 3):
    _public_lp(_count)


# -- fractional max pooling (Graham 2014): windows at pseudo-random steps

_Fractional = return_type("fractional_max_pool", "out indices")


def _starts(sample: np.ndarray, size: int, out_size: int, kernel: int) -> np.ndarray:
    """First input of each window, one row per sample: (samples, out_size)."""
    if out_size == 1:
        return np.full((sample.size, 1), size - kernel, np.int64)
    alpha = sample.dtype.type(size - kernel) / sample.dtype.type(out_size - 1)
    steps = np.arange(out_size - 1, dtype=sample.dtype)
    moved = ((steps + sample[:, None]) * alpha).astype(np.int64)
    found = moved - (sample[:, None] * alpha).astype(np.int64)
    last = np.full((sample.size, 1), size - kernel, np.int64)
    return np.concatenate([found, last], axis=1)


@operator(
    where="internal",
    fields=("out", "indices"),
    gradient={
        "input": lambda grad, indices, input, out_size: scatter_places(
            grad, indices, input, len(out_size)
        )
    },
    backward_name="FractionalMaxPool2DBackward0",
)
def fractional_max(input: Tensor, kernel: Ints, out_size: Ints, samples: Tensor) -> Any:
    """The largest element of each window, and its place; `samples` (N, C, dims) set the steps."""
    spatial = len(kernel)
    x = working(input)
    lead, size = x.shape[:-spatial], x.shape[-spatial:]
    rows = int(np.prod(lead, dtype=np.int64))
    flat = x.reshape(rows, *size)
    n, c = _lead2(lead)
    draws = working(samples)[:n, :c].reshape(-1, spatial)  # more samples than needed are fine
    order = (1, 0) if spatial == 2 else (0, 1, 2)  # images have the sample of the width first
    starts = [
        _starts(draws[:, order[axis]], size[axis], out_size[axis], kernel[axis])
        for axis in range(spatial)
    ]
    best = np.full((rows, *out_size), -np.inf, x.dtype)
    places = np.zeros((rows, *out_size), np.int64)
    row = np.arange(rows).reshape(-1, *[1] * spatial)
    for tap in np.ndindex(*kernel):
        index = [
            (start + i).reshape(rows, *[1] * axis, out_size[axis], *[1] * (spatial - 1 - axis))
            for axis, (start, i) in enumerate(zip(starts, tap, strict=True))
        ]
        seen = flat[(row, *index)]
        position = np.zeros(1, np.int64)
        for s, i in zip(size, index, strict=True):
            position = position * s + i
        wins = (seen > best) | np.isnan(seen)
        if not any(tap):
            wins[...] = True
        np.copyto(best, seen, where=wins)
        np.copyto(places, np.broadcast_to(position, places.shape), where=wins)
    shape = (*lead, *out_size)
    indices = empty(contiguous(shape), int64)
    indices._array[...] = places.reshape(shape)
    return _Fractional(finished(best.reshape(shape), input.dtype), indices)


def _lead2(lead: Ints) -> Ints:
    return lead if len(lead) == 2 else (1, *lead)


def _fractional(
    count: int,
    input: Tensor,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    samples: Tensor | None,
) -> tuple[Tensor, Tensor]:
    name = f"fractional_max_pool{count}d"
    require_tensor(name, "input", 1, input)
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    shape = input._layout.shape
    if output_size is None:
        ratios = (
            output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * count
        )
        if len(ratios) > 2 and count == 2:
            raise ValueError(
                f"{name} requires output_ratio to either be a single Int or tuple of Ints."
            )
        output_size = [int(s * r) for s, r in zip(shape[-count:], ratios, strict=True)]
    kernel = _each(name, "kernel_size", 2, kernel_size, count)
    out_size = _each(name, "output_size", 3, output_size, count)
    _check_fractional(name, count, input, kernel, out_size)
    if samples is None:
        lead = _lead2(shape[:-count])
        samples = F.rand(*lead, count, dtype=input.dtype)
    _check_samples(shape[:-count], count, samples)
    refuse_gradient(name, random_samples=samples)
    out, indices = fractional_max(input, kernel, out_size, samples)
    return out, indices


def _check_samples(lead: Ints, count: int, samples: Tensor) -> None:
    n, c = _lead2(lead)
    shape = samples._layout.shape
    if len(shape) != 3:
        raise RuntimeError(f"Expect _random_samples to have 3 dimensions, got {len(shape)}")
    if shape[0] < n:
        raise RuntimeError("Expect _random_samples.size(0) no less then input batch size.")
    if shape[1] != c:
        raise RuntimeError("Expect _random_samples.size(1) equals to input channel size.")
    if shape[2] != count:
        raise RuntimeError(f"Expect _random_samples.size(2) equals to {count}; got {shape[2]}.")


def _check_fractional(name: str, count: int, input: Tensor, kernel: Ints, out_size: Ints) -> None:
    shape = input._layout.shape
    if len(shape) not in (count + 1, count + 2) or not all(shape[-count - 1 :]):
        raise RuntimeError(
            f"{name}(): Expected {count + 1}D or {count + 2}D tensor, but got: {list(shape)}"
            if len(shape) not in (count + 1, count + 2)
            else f"{name}: Expected input to have non-zero  size for non-batch dimensions, but got "
            f"{list(shape)} with dimension {len(shape) - count - 1 + shape[-count - 1 :].index(0)} "
            "being empty."
        )
    letters = ("height", "width") if count == 2 else ("time", "height", "width")
    for letter, s, f, o in zip(letters, shape[-count:], kernel, out_size, strict=True):
        if o + f - 1 > s:
            raise RuntimeError(
                f"{name}(): pool {letter} {f} too large relative to input {letter} {s}"
            )
    if not input.dtype.is_floating_point:
        raise not_implemented(f"{name}_out_frame", input.dtype)


def _public_fractional(count: int) -> None:
    def fractional(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        out, indices = _fractional(
            count, input, kernel_size, output_size, output_ratio, _random_samples
        )
        return (out, indices) if return_indices else out

    def with_indices(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> Any:
        return _fractional(count, input, kernel_size, output_size, output_ratio, _random_samples)

    fractional.__name__ = f"fractional_max_pool{count}d"
    fractional.__doc__ = (
        "Maxima over windows whose steps are drawn at random (Graham 2014), as many as "
        "`output_size` (or the input's size times `output_ratio`) says."
    )
    with_indices.__name__ = f"fractional_max_pool{count}d_with_indices"
    with_indices.__doc__ = f"`fractional_max_pool{count}d` with the places of the maxima."
    composite(where="nn.functional")(fractional)
    composite(where="nn.functional")(with_indices)


for _count in (2, 3):
    _public_fractional(_count)
