"""Adaptive pooling: the output's size is given, each bin covers its share of the input.

Bin i of O covers the inputs from floor(i S / O) up to ceil((i + 1) S / O). Averages are one small
matrix product per dimension, and their gradient is the transposed products. Maxima keep the place
of each, where the gradient goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn import kernels_pooling as kernels
from pellucid.ops.nn.support import (
    Ints,
    finished,
    layout_for,
    not_implemented,
    require_tensor,
    scratch_for,
    settle,
    sizes,
    working,
    working_dtype,
)
from pellucid.ops.overloads import guarded_as
from pellucid.ops.returns import return_type
from pellucid.ops.spec import registry
from pellucid.tensor.dtype import int64
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.tensor import Tensor, empty

_Places = return_type("adaptive_max_pool", "out indices")


def _layout(input: Tensor, out_size: Ints, keep: bool = False) -> Layout:
    """The output's: channels-last images stay so, volumes only if `keep` says so."""
    shape = input._layout.shape[: input.dim() - len(out_size)] + out_size
    return layout_for(shape, input._layout) if len(out_size) < 3 or keep else contiguous(shape)


def _average_backward(grad: Tensor, input: Tensor, out_size: Ints) -> Tensor:
    return adaptive_average_spread(grad, input, len(out_size))


@operator(
    where="internal",
    gradient={"input": _average_backward},
    backward_name="AdaptiveAvgPool2DBackward0",
)
def adaptive_average(input: Tensor, out_size: Ints) -> Tensor:
    """The mean of each bin: (*, *S) gives (*, *O)."""
    spatial = len(out_size)
    layout = _layout(input, out_size, keep=set(out_size) == {1} and input.dim() == 5)
    out = empty(layout, input.dtype)
    if out._layout.numel:
        scratch = scratch_for(out)
        kernels.adaptive_average(working(input), scratch, spatial)
        settle(out, scratch)
    return out


@operator(
    where="internal",
    gradient={
        "input": lambda grad, input, spatial: adaptive_average(grad, tuple(input.shape[-spatial:])),
        "like": lambda like: F.zeros_like(like),
    },
    backward_name="AdaptiveAvgPool2DBackwardBackward0",
)
def adaptive_average_spread(input: Tensor, like: Tensor, spatial: int) -> Tensor:
    """The transpose of `adaptive_average`: each mean's gradient, shared out over its bin."""
    out = empty(layout_for(like._layout.shape, like._layout), input.dtype)
    if not input._layout.numel:
        out._array.fill(0)
        return out
    scratch = scratch_for(out)
    kernels.adaptive_average_transpose(working(input), scratch, spatial)
    return settle(out, scratch)


def _max_backward(grad: Tensor, indices: Tensor, input: Tensor, out_size: Ints) -> Tensor:
    return scatter_places(grad, indices, input, len(out_size))


@operator(
    where="internal",
    fields=("out", "indices"),
    gradient={"input": _max_backward},
    backward_name="AdaptiveMaxPool2DBackward0",
)
def adaptive_max(input: Tensor, out_size: Ints) -> Any:
    """The largest element of each bin, and its place in the flattened image."""
    spatial = len(out_size)
    layout = _layout(input, out_size)
    out, indices = empty(layout, input.dtype), empty(layout, int64)
    if out._layout.numel:
        scratch = scratch_for(out)
        kernels.adaptive_max(working(input), scratch, indices._array, spatial)
        settle(out, scratch)
    return _Places(out, indices)


@operator(
    where="internal",
    gradient={
        "input": lambda grad, indices, spatial: gather_places(grad, indices, spatial),
        "like": lambda like: F.zeros_like(like),
    },
    backward_name="AdaptiveMaxPool2DBackwardBackward0",
)
def scatter_places(input: Tensor, indices: Tensor, like: Tensor, spatial: int) -> Tensor:
    """Zeros of the shape of `like`, with each value added at its place in the flattened image."""
    shape = like._layout.shape
    sums = np.empty(shape, working_dtype(input.dtype))
    kernels.scatter_places(working(input), indices._array, sums, spatial)
    return finished(sums, input.dtype, layout_for(shape, like._layout))


@operator(
    where="internal",
    gradient={
        "input": lambda grad, indices, input, spatial: scatter_places(grad, indices, input, spatial)
    },
)
def gather_places(input: Tensor, indices: Tensor, spatial: int) -> Tensor:
    """The elements of each flattened image at `indices`."""
    if not indices._layout.numel:
        return empty(contiguous(indices._layout.shape), input.dtype)
    found = kernels.gather_places(input._array, indices._array, spatial)
    return finished(found, input.dtype, layout_for(indices._layout.shape, input._layout))


# -- the public names


def _wrong_rank(name: str, count: int, shape: Ints) -> RuntimeError:
    if count == 1:
        return RuntimeError(
            f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 "
            f"'self' (while checking arguments for {name})"
        )
    colon = ":" if "max" in name else ""
    return RuntimeError(
        f"{name}(): Expected {count + 1}D or {count + 2}D tensor, but got{colon} {list(shape)}"
    )


def _refuse_empty(name: str, count: int, shape: Ints) -> None:
    first = 1 if len(shape) == count + 2 else 0
    if "avg" in name and len(shape) == count + 2 and count < 3:
        first = 2  # a batch of images without channels averages to one
    for dim in range(first, len(shape)):
        if not shape[dim]:
            seen, place = list(shape), dim
            if name == "adaptive_avg_pool1d":
                name, seen, place = "adaptive_avg_pool2d", [*shape[:-1], 1, shape[-1]], dim + 1
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but "
                f"input has sizes {seen} with dimension {place} being empty"
            )


def _output_size(name: str, count: int, input: Tensor, value: Any) -> Ints:
    """The sizes asked for; None stands for the input's."""
    if count == 1:
        found = sizes(name, "output_size", 2, value)
        if len(found) != 1:
            raise RuntimeError(
                f"{name}() argument 'output_size' should contain one int (got {len(found)})"
            )
        return found
    if isinstance(value, int):
        return sizes(name, "output_size", 2, value) * count
    if not hasattr(value, "__len__"):
        raise TypeError(f"object of type '{type(value).__name__}' has no len()")
    if len(value) != count:
        if "max" in name:
            raise RuntimeError(f"{name}(): internal error: output_size.size() must be {count}")
        raise RuntimeError(f"{name}: output_size must be {count}")
    shape = input._layout.shape
    if len(shape) <= count:
        raise ValueError(f"Input dimension should be at least {count + 1}")
    asked = [s if v is None else v for v, s in zip(value, shape[-count:], strict=True)]
    return sizes(name, "output_size", 2, asked)


def _check_negative(name: str, input: Tensor, out_size: Ints) -> None:
    if min(out_size) >= 0:
        return
    count = len(out_size)
    given = (1, *out_size) if count == 1 else out_size
    if "max" in name:
        shape = [*input._layout.shape[:-count], *given]
        least = next(v for v in out_size if v < 0)
        raise RuntimeError(f"Trying to create tensor with negative dimension {least}: {shape}")
    shown = ", ".join(map(str, given)) if count < 3 else "{}, {},{}".format(*given)
    raise RuntimeError(
        f"adaptive_avg_pool{max(count, 2)}d: elements of output_size must be greater than or equal "
        f"to 0 but received {{{shown}}}"
    )


def _checked(name: str, count: int, input: Tensor, output_size: Any) -> Ints:
    require_tensor(name, "input", 1, input)
    out_size = _output_size(name, count, input, output_size)
    shape = input._layout.shape
    if len(shape) not in (count + 1, count + 2):
        raise _wrong_rank(name, count, shape)
    _check_negative(name, input, out_size)
    _refuse_empty(name, count, shape)
    if not input.dtype.is_floating_point:
        label = name.replace("1d", "2d")
        raise not_implemented(f"{label}_cpu" if count == 3 else label, input.dtype)
    return out_size


def _adaptive_max_pool(name: str, count: int, input: Tensor, output_size: Any) -> tuple[Any, Any]:
    out_size = _checked(name, count, input, output_size)
    if count == 1:
        out, indices = adaptive_max(input.unsqueeze(-2), (1, *out_size))
        return out.squeeze(-2), indices.squeeze(-2)
    return tuple(adaptive_max(input, out_size))


def _adaptive_avg_pool(name: str, count: int, input: Tensor, output_size: Any) -> Tensor:
    out_size = _checked(name, count, input, output_size)
    if count == 1:
        return adaptive_average(input.unsqueeze(-2), (1, *out_size)).squeeze(-2)
    return adaptive_average(input, out_size)


def _public(count: int) -> None:
    shape = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}[count]
    largest, mean = f"adaptive_max_pool{count}d", f"adaptive_avg_pool{count}d"

    def adaptive_max_pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        out, indices = _adaptive_max_pool(largest, count, input, output_size)
        return (out, indices) if return_indices else out

    def adaptive_max_pool_with_indices(
        input: Tensor, output_size: Any, return_indices: bool = False
    ) -> Any:
        return _adaptive_max_pool(largest, count, input, output_size)

    def adaptive_avg_pool(input: Tensor, output_size: Any) -> Tensor:
        return _adaptive_avg_pool(mean, count, input, output_size)

    adaptive_max_pool.__name__ = largest
    adaptive_max_pool.__doc__ = (
        f"Maxima of {shape} (or without N) over bins, as many as `output_size` says; "
        "`return_indices` adds their places in the flattened image."
    )
    adaptive_max_pool_with_indices.__name__ = f"{largest}_with_indices"
    adaptive_max_pool_with_indices.__doc__ = f"`{largest}` with `return_indices=True`."
    adaptive_avg_pool.__name__ = mean
    adaptive_avg_pool.__doc__ = (
        f"Means of {shape} (or without N) over bins, as many as `output_size` says."
    )
    composite(where="nn.functional")(adaptive_max_pool)
    composite(where="nn.functional")(adaptive_max_pool_with_indices)
    if count == 1:  # torch.adaptive_max_pool1d always answers the indices too
        registry.put(
            "torch", largest, guarded_as(f"torch.{largest}", adaptive_max_pool_with_indices)
        )
    composite(where="nn.functional torch" if count == 1 else "nn.functional")(adaptive_avg_pool)


for _count in (1, 2, 3):
    _public(_count)
