"""`gradient`: derivatives of sampled functions by central differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite
from pellucid.ops.inplace import scalar_type
from pellucid.tensor.layout import normalize_dims
from pellucid.tensor.tensor import Tensor


def _dims_and_spacing(input: Tensor, spacing: Any, dim: Any) -> tuple[list[int], list[Any]]:
    """The dimensions to differentiate along, and for each a step or the places of the samples."""
    if isinstance(dim, int):
        dim = [dim]
    if spacing is None:
        spacing = 1
    if dim is None:
        count = input.dim()
        if isinstance(spacing, (list, tuple)) and len(spacing) != count:
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
                f"equal to 'self.dim() = {count}', since dim argument was not given, but got a "
                f"list of length {len(spacing)}"
            )
        dims = list(range(count))
    else:
        dims = list(normalize_dims(tuple(dim), input.dim()))
        if isinstance(spacing, (list, tuple)) and len(spacing) != len(dims):
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and "
                f"dim arguments to have the same length, but got a spacing argument of length "
                f"{len(spacing)} and a dim argument of length {len(dims)}."
            )
    if isinstance(spacing, (list, tuple)):
        return dims, list(spacing)
    return dims, [spacing] * len(dims)


def _check(input: Tensor, dims: Sequence[int], steps: Sequence[Any], edge_order: int) -> None:
    if input.dtype.name == "uint8":
        raise RuntimeError(
            "torch.gradient only supports input tensors of dtype other than uint8, got "
            f"{scalar_type(input.dtype)}"
        )
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    for axis, step in zip(dims, steps, strict=True):
        if input.shape[axis] < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1"
            )
        if isinstance(step, Tensor):
            if step.dim() != 1:
                raise RuntimeError(
                    "torch.gradient expected each element of spacing to have one dimension, but "
                    f"got an element with {step.dim()} dimensions!"
                )
            if step.shape[0] != input.shape[axis]:
                raise RuntimeError(
                    "torch.gradient expected each element of spacing to have the same size as the "
                    "dimension it is for"
                )


def _part(x: Tensor, axis: int, start: int, length: int) -> Tensor:
    return x.narrow(axis, start, length)


def _by_step(x: Tensor, axis: int, step: Any, edge_order: int) -> Tensor:
    """Differences of equally spaced samples."""
    n = x.shape[axis]
    middle = (_part(x, axis, 2, n - 2) - _part(x, axis, 0, n - 2)) / (2 * step)
    if edge_order == 1:
        first = (_part(x, axis, 1, 1) - _part(x, axis, 0, 1)) / step
        last = (_part(x, axis, n - 1, 1) - _part(x, axis, n - 2, 1)) / step
        return F.cat([first, middle, last], axis)
    near = [_part(x, axis, i, 1) for i in range(3)]
    far = [_part(x, axis, n - i, 1) for i in (3, 2, 1)]
    first = (-1.5 * near[0] + 2 * near[1] - 0.5 * near[2]) / step
    last = (0.5 * far[0] - 2 * far[1] + 1.5 * far[2]) / step
    return F.cat([first, middle, last], axis)


def _by_places(x: Tensor, axis: int, places: Tensor, edge_order: int) -> Tensor:
    """Differences of samples at any places: the slope of the parabola through three of them."""
    n = x.shape[axis]
    shape = [-1 if i == axis else 1 for i in range(x.dim())]
    step = places.diff().reshape(shape)
    left, right = _part(step, axis, 0, n - 2), _part(step, axis, 1, n - 2)
    low, centre, high = (_part(x, axis, i, n - 2) for i in range(3))
    middle = (
        high * left / (right * (left + right))
        + centre * (right - left) / (left * right)
        - low * right / (left * (left + right))
    )
    if edge_order == 1:
        first = (_part(x, axis, 1, 1) - _part(x, axis, 0, 1)) / _part(step, axis, 0, 1)
        last = (_part(x, axis, n - 1, 1) - _part(x, axis, n - 2, 1)) / _part(step, axis, n - 2, 1)
        return F.cat([first, middle, last], axis)
    a, b = _part(step, axis, 0, 1), _part(step, axis, 1, 1)
    first = (
        -(2 * a + b) / (a * (a + b)) * _part(x, axis, 0, 1)
        + (a + b) / (a * b) * _part(x, axis, 1, 1)
        - a / (b * (a + b)) * _part(x, axis, 2, 1)
    )
    a, b = _part(step, axis, n - 3, 1), _part(step, axis, n - 2, 1)
    last = (
        b / (a * (a + b)) * _part(x, axis, n - 3, 1)
        - (a + b) / (a * b) * _part(x, axis, n - 2, 1)
        + (a + 2 * b) / (b * (a + b)) * _part(x, axis, n - 1, 1)
    )
    return F.cat([first, middle, last], axis)


@composite(where="torch")
def gradient(
    input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The derivative of sampled values along each of `dim`, as a tuple of tensors.

    `spacing` is a step (one, or one a dimension) or a list of tensors with the samples' places.
    """
    dims, steps = _dims_and_spacing(input, spacing, dim)
    _check(input, dims, steps, edge_order)
    results = []
    for axis, step in zip(dims, steps, strict=True):
        along = _by_places if isinstance(step, Tensor) else _by_step
        results.append(along(input, axis, step, edge_order))
    return tuple(results)
