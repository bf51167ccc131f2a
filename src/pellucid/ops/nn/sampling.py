"""Spatial transformers (Jaderberg et al. 2015): `affine_grid` makes points, `grid_sample` samples
images at them.

A derivative of a sample in its point's coordinates is again a sample, with other weights; so one
operator with an order of differentiation for each axis, and its transpose, give gradients of any
order in both images and points.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.nn import kernels_sampling as kernels
from pellucid.ops.nn.kernels_sampling import Sampling
from pellucid.ops.nn.support import (
    Ints,
    finished,
    not_implemented,
    require_tensor,
    working,
    working_dtype,
)
from pellucid.ops.nn.support import sizes as read_sizes
from pellucid.tensor.dtype import dtype
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, empty

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


# -- points


def _base_points(sizes: Ints, align_corners: bool, d: dtype) -> np.ndarray:
    """(P, axes + 1): the points of the identity, innermost axis first, then a 1."""
    kind = working_dtype(d)
    along = []
    for size in sizes:
        if size <= 1:
            line = np.zeros(size, kind)
        else:
            line = np.linspace(-1, 1, size).astype(kind)
            if not align_corners:
                line = line * kind.type((size - 1) / size)
        along.append(line)
    grids = np.meshgrid(*along, indexing="ij")
    ones = np.ones(math.prod(sizes), kind)
    return np.stack([*[g.reshape(-1) for g in reversed(grids)], ones], axis=1)


def _affine_gradient(grad: Tensor, theta: Tensor, size: Ints, align_corners: bool) -> Tensor:
    base = finished(_base_points(tuple(size[2:]), align_corners, grad.dtype), grad.dtype)
    flat = grad.reshape(grad.shape[0], -1, grad.shape[-1])
    return F.matmul(base.t(), flat).transpose(1, 2)


@operator(
    where="torch",
    gradient={"theta": _affine_gradient},
    backward_name="AffineGridGeneratorBackward0",
)
def affine_grid_generator(theta: Tensor, size: Ints, align_corners: bool) -> Tensor:
    """The points to which affine maps (N, axes, axes + 1) take a regular grid: (N, *S, axes)."""
    sizes = tuple(size[2:])
    base = _base_points(sizes, align_corners, theta.dtype)
    points = base @ working(theta).swapaxes(1, 2)
    return finished(points.reshape(theta.shape[0], *sizes, len(sizes)), theta.dtype)


def _corners(align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
            "documentation of grid_sample for details.",
            stacklevel=3,
        )
    return bool(align_corners)


@composite(where="nn.functional")
def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """Points for `grid_sample`: (N, H, W, 2) for maps (N, 2, 3) and size (N, C, H, W).

    For volumes (N, D, H, W, 3), maps (N, 3, 4), size (N, C, D, H, W). Coordinates run from -1 to 1
    between the centres of the corner pixels (`align_corners`) or between the image's edges.
    """
    require_tensor("affine_grid", "theta", 1, theta)
    aligned = _corners(align_corners)
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    axes = len(size) - 2
    if axes not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    if theta.dim() != 3 or tuple(theta.shape[1:]) != (axes, axes + 1):
        raise ValueError(
            f"Expected a batch of {axes}D affine matrices of shape Nx{axes}x{axes + 1} for size "
            f"{size}. Got {theta.shape}."
        )
    if aligned and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when "
            "align_corners=True. This is not an intended use case of affine_grid. See the "
            "documentation of affine_grid for details.",
            stacklevel=2,
        )
    elif min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    size = read_sizes("affine_grid_generator", "size", 2, size)
    if theta.shape[0] != size[0]:
        raise RuntimeError(
            f"Expected theta to have batch size {size[0]}, but got {theta.shape[0]}\n"
            "  There is one affine map for each image of the batch."
        )
    return affine_grid_generator(theta, size, aligned)


# -- samples


def _point_gradient(
    grad: Tensor, input: Tensor, grid: Tensor, how: Sampling, order: Ints
) -> Tensor:
    """The gradient for the points, whose coordinates stand innermost axis first."""
    if how.mode == "nearest":
        return F.zeros_like(grid, memory_format=None)
    along = []
    for axis in reversed(range(len(order))):
        steeper = (*order[:axis], order[axis] + 1, *order[axis + 1 :])
        along.append((grad * sample(input, grid, how, steeper)).sum(1))
    return F.stack(along, -1)


def _sample_gradient(
    grad: Tensor, input: Tensor, grid: Tensor, how: Sampling, order: Ints, needs: Any
) -> tuple[Tensor | None, Tensor | None]:
    images = points = None
    if "input" in needs:
        images = spread(grad, grid, how, order, tuple(input.shape[2:]))
    if "grid" in needs:
        points = _point_gradient(grad, input, grid, how, order)
    return images, points


def _spread_gradient(
    grad: Tensor, input: Tensor, grid: Tensor, how: Sampling, order: Ints, needs: Any
) -> tuple[Tensor | None, Tensor | None]:
    values = points = None
    if "input" in needs:
        values = sample(grad, grid, how, order)
    if "grid" in needs:
        points = _point_gradient(input, grad, grid, how, order)
    return values, points


def _sampled(input: Tensor, grid: Tensor, how: Sampling, order: Ints) -> Tensor:
    shape = (*input._layout.shape[:2], *grid._layout.shape[1:-1])
    out = empty(contiguous(shape), input.dtype)
    with np.errstate(all="ignore"):
        kernels.sample(input._array, grid._array, how, order, out._array)
    return out


def _sampler(axes: int) -> Any:
    @operator(
        where="internal",
        name=f"grid_sampler_{axes}d",
        gradient={("input", "grid"): _sample_gradient},
        backward_name=f"GridSampler{axes}DBackward0",
    )
    def grid_sampler(input: Tensor, grid: Tensor, how: Sampling, order: Ints) -> Tensor:
        return _sampled(input, grid, how, order)

    return grid_sampler


_SAMPLERS = {4: _sampler(2), 5: _sampler(3)}


def sample(input: Tensor, grid: Tensor, how: Sampling, order: Ints) -> Tensor:
    """Samples (N, C, *P) of images (N, C, *S) at points (N, *P, axes), differentiated `order[i]`
    times in the coordinate along spatial axis i.
    """
    return _SAMPLERS[input.dim()](input, grid, how, order)


@operator(
    where="internal",
    name="grid_sampler_spread",
    gradient={("input", "grid"): _spread_gradient},
    backward_name="GridSamplerBackwardBackward0",
)
def spread(input: Tensor, grid: Tensor, how: Sampling, order: Ints, sizes: Ints) -> Tensor:
    """The transpose of `sample` in the images: (N, C, *P) to (N, C, *sizes)."""
    out = empty(contiguous((*input._layout.shape[:2], *sizes)), input.dtype)
    with np.errstate(all="ignore"):
        kernels.spread(input._array, grid._array, how, order, out._array)
    return out


def _check_sampler(input: Tensor, grid: Tensor, mode: str) -> None:
    shape, points = list(input.shape), list(grid.shape)
    both = f"but got input with sizes {shape} and grid with sizes {points}"
    if shape[:1] != points[:1]:
        raise RuntimeError(
            f"grid_sampler(): expected grid and input to have same batch size, {both}"
        )
    if points[-1] != len(shape) - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {len(shape) - 2} in last dimension, but "
            f"got grid with sizes {points}"
        )
    for dim in range(2, len(shape)):
        if not shape[dim]:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input "
                f"has sizes {shape} with dimension {dim} being empty"
            )
    if len(shape) not in (4, 5) or len(points) != len(shape):
        raise RuntimeError(
            f"grid_sampler(): expected {4 if len(shape) == 4 else 5}D input and grid with same "
            f"number of dimensions, {both}"
        )
    if len(shape) == 5 and mode == "bicubic":
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if not input.is_floating_point():
        raise not_implemented(f"grid_sampler_{len(shape) - 2}d_cpu_kernel_impl", input.dtype)
    if grid.dtype is not input.dtype:
        raise RuntimeError(
            f"expected scalar type {scalar_type(input.dtype)} but found {scalar_type(grid.dtype)}\n"
            "  Images and points must have the same dtype."
        )


@composite(where="torch")
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sample` with its modes as numbers, in the order in which it lists them."""
    require_tensor("grid_sampler", "input", 1, input)
    require_tensor("grid_sampler", "grid", 2, grid)
    how = Sampling(_MODES[interpolation_mode], _PADDINGS[padding_mode], bool(align_corners))
    _check_sampler(input, grid, how.mode)
    return sample(input, grid, how, (0,) * (input.dim() - 2))


def _of_rank(rank: int) -> None:
    name = f"grid_sampler_{rank - 2}d"

    def function(
        input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
    ) -> Tensor:
        return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`grid_sampler` of {'images' if rank == 4 else 'volumes'}."
    composite(where="torch")(function)


for _rank in _SAMPLERS:
    _of_rank(_rank)


@composite(where="nn.functional")
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Sample images (N, C, H, W) at points (N, P, Q, 2): (N, C, P, Q).

    Volumes (N, C, D, H, W) take points (N, O, P, Q, 3). A point's coordinates are (x, y[, z]),
    from -1 to 1 across the image. Modes: "bilinear", "nearest", "bicubic" (images only); outside
    the image "zeros", "border" (the nearest pixel) or "reflection".
    """
    if mode not in _MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    aligned = _corners(align_corners)
    return grid_sampler(input, grid, _MODES.index(mode), _PADDINGS.index(padding_mode), aligned)
