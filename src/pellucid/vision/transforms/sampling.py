"""Images read between their pixels: element types, affine maps, grids, colours of corners."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.tensor.dtype import float32
from pellucid.tensor.tensor import Tensor
from pellucid.vision.transforms.interpolation import InterpolationMode


def as_floats(image: Tensor) -> tuple[Tensor, bool]:
    """(N, C, H, W) in floating point, and whether it was whole numbers."""
    batch = image[None, None]
    if image.dim() > 2:
        count, channels = math.prod(image.shape[:-3]), image.shape[-3]
        if not channels:  # masks of no objects: no images, as kernels take no empty channels
            count, channels = 0, 1
        batch = image.reshape(count, channels, *image.shape[-2:])
    whole = not batch.is_floating_point()
    return (batch.to(float32) if whole else batch), whole


def as_before(found: Tensor, image: Tensor, whole: bool) -> Tensor:
    """Back in the shape and element type of `image`, rounded and cut to its range."""
    shape = (*image.shape[:-2], *found.shape[-2:])
    if whole:
        found = found.round()
        if image.dtype.name == "uint8":
            found = found.clamp(0, 255)
    return found.reshape(shape).to(image.dtype)


def inverse_affine_matrix(
    center: Sequence[float],
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float],
) -> list[float]:
    """Six numbers a b c d e f: the pixel (x, y) comes from (a x + b y + c, d x + e y + f).

    The forward map is T(translate) C R(angle) S(scale) Shear C⁻¹ with C the move to `center`.
    """
    rotation, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    a = math.cos(rotation - sy) / math.cos(sy)
    b = -math.cos(rotation - sy) * math.tan(sx) / math.cos(sy) - math.sin(rotation)
    c = math.sin(rotation - sy) / math.cos(sy)
    d = -math.sin(rotation - sy) * math.tan(sx) / math.cos(sy) + math.cos(rotation)
    matrix = [d / scale, -b / scale, 0.0, -c / scale, a / scale, 0.0]
    x, y = -center[0] - translate[0], -center[1] - translate[1]
    matrix[2] = matrix[0] * x + matrix[1] * y + center[0]
    matrix[5] = matrix[3] * x + matrix[4] * y + center[1]
    return matrix


def expanded_size(matrix: list[float], height: int, width: int) -> tuple[int, int]:
    """The size that holds every corner of the turned image."""
    a, b, _, d, e, _ = matrix
    corners = [(x, y) for x in (-0.5 * width, 0.5 * width) for y in (-0.5 * height, 0.5 * height)]
    xs = [a * x + d * y for x, y in corners]  # the inverse of a rotation is its transpose
    ys = [b * x + e * y for x, y in corners]
    wide = math.ceil(round(max(xs), 4)) - math.floor(round(min(xs), 4))
    high = math.ceil(round(max(ys), 4)) - math.floor(round(min(ys), 4))
    return high, wide


def affine_grid(
    matrix: list[float], image: Sequence[int], size: Sequence[int], kind: Any
) -> Tensor:
    """Where the pixels of an image of `size` lie in the one of size `image`: (height, width, 2)."""
    (height, width), (high, wide) = image, size
    x = ops.arange(wide).to(kind) + (0.5 - wide * 0.5)
    y = ops.arange(high).to(kind)[:, None] + (0.5 - high * 0.5)
    a, b, c, d, e, f = matrix
    across = (a * x + b * y + c) / (0.5 * width)
    down = (d * x + e * y + f) / (0.5 * height)
    grid: Tensor = ops.stack([across, down], dim=-1)
    return grid


def read_at(img: Tensor, grid: Tensor, mode: InterpolationMode, fill: Any) -> Tensor:
    """The tensor (…, C, H, W) read at `grid` (H', W', 2), from -1 to 1 across it; `fill` outside.

    Raises: ValueError for modes other than nearest and bilinear, and for a fill that is not a
        number or one for each channel.
    """
    if mode not in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        raise ValueError(
            f"Interpolation mode '{mode.value}' is unsupported with Tensor input\n"
            "  Between pixels of tensors there are nearest and bilinear."
        )
    batch, whole = as_floats(img)
    channels = batch.shape[1]
    values = list(fill) if isinstance(fill, (tuple, list)) else [fill]
    if fill is not None and len(values) not in (1, channels):
        raise ValueError(
            "The number of elements in 'fill' cannot broadcast to match the number of channels of "
            f"the image ({len(values)} != {channels})"
        )
    grid = grid.expand(batch.shape[0], *grid.shape[-3:])
    mask = ops.ones_like(batch[:, :1])
    read = F.grid_sample(
        ops.cat([batch, mask], 1), grid, mode=mode.value, padding_mode="zeros", align_corners=False
    )
    found, mask = read[:, :-1], read[:, -1:]
    if fill is not None:
        colour = ops.tensor([float(value) for value in values]).to(batch.dtype).reshape(1, -1, 1, 1)
        if mode is InterpolationMode.NEAREST:
            found = ops.where(mask < 0.5, colour.expand_as(found), found)
        else:
            found = (found - colour) * mask + colour
    return as_before(found, img, whole)


def colour_of(img: Any, fill: Any) -> Any:
    """`fill` as Pillow wants it: one number for each band."""
    bands = len(img.getbands())
    if fill is None:
        fill = 0
    if isinstance(fill, (int, float)) and bands > 1:
        return (int(fill),) * bands
    if isinstance(fill, (tuple, list)):
        if len(fill) == 1:
            fill = tuple(fill) * bands
        if len(fill) != bands:
            raise ValueError(
                "The number of elements in 'fill' does not match the number of channels of the "
                f"image ({len(fill)} != {bands})"
            )
        return tuple(fill)
    return fill
