"""Where pixels stand: sizes, crops, flips, rotations. Pillow images and tensors (…, C, H, W)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.tensor.dtype import float32
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import pillow
from pellucid.vision.transforms.conversion import get_dimensions, require_image
from pellucid.vision.transforms.interpolation import PILLOW, InterpolationMode, mode_of
from pellucid.vision.transforms.kinds import by_kind
from pellucid.vision.transforms.sampling import (
    affine_grid,
    as_before,
    as_floats,
    colour_of,
    expanded_size,
    inverse_affine_matrix,
    read_at,
)

Size = int | Sequence[int]
_PADDING = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}


def output_size(
    height: int, width: int, size: Size | None, max_size: int | None
) -> tuple[int, int]:
    """(height, width) that `size` asks for: one number is the shorter side's, as the other follows.

    Raises: ValueError where `size` and `max_size` contradict each other, or a side is below 1.
    """
    require_pixels(height, width)
    new_height, new_width = _output_size(height, width, size, max_size)
    if min(new_height, new_width) < 1:
        raise ValueError(f"height and width must be > 0, got {new_height} and {new_width}")
    return new_height, new_width


def require_pixels(height: int, width: int) -> None:
    """Raises: ValueError for an image, or a canvas of boxes, without pixels."""
    if min(height, width) < 1:
        raise ValueError(
            f"there are no pixels in {height} x {width} (height x width)\n"
            "  Boxes are of the size that their canvas_size says: canvas_size=(height, width)."
        )


def _output_size(
    height: int, width: int, size: Size | None, max_size: int | None
) -> tuple[int, int]:
    if size is None:
        if max_size is None:
            raise ValueError("size can only be None if max_size is an integer")
        long = max(height, width)
        return max_size * height // long, max_size * width // long
    sizes = [size] if isinstance(size, int) else list(size)
    if len(sizes) not in (1, 2):
        raise ValueError(f"Size must be an int or a 1 or 2 element tuple/list, not a {len(sizes)}")
    if len(sizes) == 2:
        if max_size is not None:
            raise ValueError(
                "max_size should only be passed if size specifies the length of the smaller edge"
            )
        return int(sizes[0]), int(sizes[1])
    short, long = sorted((height, width))
    new_short, new_long = sizes[0], int(sizes[0] * long / short)
    if max_size is not None:
        if max_size <= sizes[0]:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the "
                f"smaller edge size = {size}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if height <= width else (new_long, new_short)


@by_kind
def resize(
    img: Any,
    size: Size | None,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """The image in another size: (height, width), or one number for the shorter side.

    Pillow always smooths what it shrinks; `antialias` says whether tensors are smoothed too.
    """
    require_image(img)
    mode = mode_of(interpolation)
    _, height, width = get_dimensions(img)
    new_height, new_width = output_size(height, width, size, max_size)
    if not isinstance(img, Tensor):
        if antialias is False:
            warnings.warn(
                "Anti-alias option is always applied for PIL Image input. Argument antialias is "
                "ignored.",
                stacklevel=3,
            )
        if (new_height, new_width) == (height, width):
            return img
        return img.resize((new_width, new_height), PILLOW[mode])
    if (new_height, new_width) == (height, width):
        return img
    smooth = mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
    if not smooth and mode not in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
        raise ValueError(
            "This interpolation mode is unsupported with Tensor input: "
            f"{mode.value}\n  Tensors have nearest, nearest-exact, bilinear and bicubic."
        )
    batch, whole = as_floats(img)
    found = F.interpolate(
        batch,
        size=(new_height, new_width),
        mode=mode.value,
        align_corners=False if smooth else None,
        antialias=bool(antialias) and smooth,
    )
    return as_before(found, img, whole)


@by_kind
def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part from (top, left); black where it reaches beyond the image."""
    require_image(img)
    if not isinstance(img, Tensor):
        return img.crop((left, top, left + width, top + height))
    _, high, wide = get_dimensions(img)
    part = img[..., max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    around = [
        max(min(-left, width), 0),
        max(min(left + width - wide, width), 0),
        max(min(-top, height), 0),
        max(min(top + height - high, height), 0),
    ]
    return F.pad(part, around) if any(around) else part


@by_kind
def center_crop(img: Any, output_size: Size) -> Any:
    """The middle, (height, width) or one number for both; black around a smaller image."""
    high, wide = pair(output_size)
    _, height, width = get_dimensions(img)
    if wide > width or high > height:
        around = [
            max((wide - width) // 2, 0),
            max((high - height) // 2, 0),
            max((wide - width + 1) // 2, 0),
            max((high - height + 1) // 2, 0),
        ]
        img = pad(img, around)
        _, height, width = get_dimensions(img)
        if (high, wide) == (height, width):
            return img
    top = round((height - high) / 2.0)
    left = round((width - wide) / 2.0)
    return crop(img, top, left, high, wide)


@by_kind
def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Size,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """`crop`, then `resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


@by_kind
def five_crop(img: Any, size: Size) -> tuple[Any, ...]:
    """The four corners and the middle: upper left, upper right, lower left, lower right, centre."""
    high, wide = pair(size)
    _, height, width = get_dimensions(img)
    if wide > width or high > height:
        raise ValueError(
            f"Requested crop size {(high, wide)} is bigger than input size {(height, width)}"
        )
    corners = [(0, 0), (0, width - wide), (height - high, 0), (height - high, width - wide)]
    parts = [crop(img, top, left, high, wide) for top, left in corners]
    return (*parts, center_crop(img, (high, wide)))


@by_kind
def ten_crop(img: Any, size: Size, vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the image and of its mirror image."""
    mirrored = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(mirrored, size)


@by_kind
def pad(
    img: Any,
    padding: Size,
    fill: Any = 0,
    padding_mode: str = "constant",
) -> Any:
    """Border added: one number, (sides, top and bottom), or (left, top, right, bottom).

    `padding_mode` is "constant" (`fill`), "edge", "reflect" or "symmetric".
    """
    require_image(img)
    left, top, right, bottom = sides_of(padding)
    if padding_mode not in (*_PADDING, "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    if not isinstance(img, Tensor):
        return _pad_pillow(img, (left, top, right, bottom), fill, padding_mode)
    if padding_mode == "symmetric":
        return _pad_symmetric(img, left, top, right, bottom)
    batch, whole = as_floats(img)
    if padding_mode == "constant" and isinstance(fill, (tuple, list)):
        planes = [
            F.pad(plane, [left, right, top, bottom], value=float(value))
            for plane, value in zip(batch.split(1, 1), list(fill) * batch.shape[1], strict=False)
        ]
        found = ops.cat(planes, 1)
    elif padding_mode == "constant":
        found = F.pad(batch, [left, right, top, bottom], value=float(fill or 0))
    else:
        found = F.pad(batch, [left, right, top, bottom], mode=_PADDING[padding_mode])
    return as_before(found, img, whole)


def _pad_symmetric(img: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    _, height, width = get_dimensions(img)
    rows = _mirrored(height, top, bottom)
    columns = _mirrored(width, left, right)
    result: Tensor = img[..., rows, :][..., columns]
    return result


def _mirrored(cells: int, before: int, after: int) -> Tensor:
    """Indices with the border repeated: 1 0 | 0 1 2 | 2 1."""
    place = ops.arange(-before, cells + after).remainder(2 * cells)
    result: Tensor = ops.where(place < cells, place, 2 * cells - 1 - place)
    return result


def _pad_pillow(img: Any, around: tuple[int, ...], fill: Any, mode: str) -> Any:
    palette = img.getpalette() if img.mode == "P" else None
    if mode == "constant":
        found = pillow("ImageOps").expand(img, border=around, fill=colour_of(img, fill))
    else:
        left, top, right, bottom = (max(-side, 0) for side in around)
        if any((left, top, right, bottom)):  # negative padding cuts
            img = img.crop((left, top, img.width - right, img.height - bottom))
        left, top, right, bottom = (max(side, 0) for side in around)
        widths = [(top, bottom), (left, right), (0, 0)][: 3 if len(img.getbands()) > 1 else 2]
        kind: Any = mode  # NumPy has the same names
        found = pillow().fromarray(np.pad(np.asarray(img), widths, mode=kind))
    if palette is not None:
        found.putpalette(palette)
    return found


@by_kind
def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    require_image(img)
    return img.flip(-1) if isinstance(img, Tensor) else img.transpose(0)


@by_kind
def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    require_image(img)
    return img.flip(-2) if isinstance(img, Tensor) else img.transpose(1)


@by_kind
def rotate(
    img: Any,
    angle: float,
    interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Any:
    """Turned counter-clockwise by `angle` degrees around `center` (x, y), the middle without it.

    `expand` enlarges the image so that all of it stays; `fill` is the colour of the corners.
    """
    require_image(img)
    mode = mode_of(interpolation)
    if not isinstance(img, Tensor):
        return img.rotate(angle, PILLOW[mode], expand, center, fillcolor=colour_of(img, fill))
    _, height, width = get_dimensions(img)
    about = (0.0, 0.0) if center is None else (center[0] - width * 0.5, center[1] - height * 0.5)
    matrix = inverse_affine_matrix(about, -angle, (0.0, 0.0), 1.0, (0.0, 0.0))
    size = expanded_size(matrix, height, width) if expand else (height, width)
    kind = img.dtype if img.is_floating_point() else float32
    return read_at(img, affine_grid(matrix, (height, width), size, kind), mode, fill)


def require_affine(translate: Sequence[float], scale: float) -> None:
    """Raises: ValueError unless `scale` is positive and `translate` is (x, y)."""
    if not 0.0 < scale < math.inf:
        raise ValueError(f"Argument scale should be positive, got {scale}")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")


@by_kind
def affine(
    img: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Sequence[float] | float,
    interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[float] | None = None,
) -> Any:
    """Turned clockwise by `angle` degrees, scaled, sheared and moved, around `center`."""
    require_image(img)
    require_affine(translate, scale)
    mode = mode_of(interpolation)
    sheared = shears_of(shear)
    _, height, width = get_dimensions(img)
    if isinstance(img, Tensor):
        about = (
            (0.0, 0.0) if center is None else (center[0] - width * 0.5, center[1] - height * 0.5)
        )
        matrix = inverse_affine_matrix(about, angle, translate, scale, sheared)
        kind = img.dtype if img.is_floating_point() else float32
        grid = affine_grid(matrix, (height, width), (height, width), kind)
        return read_at(img, grid, mode, fill)
    about = (width * 0.5, height * 0.5) if center is None else (center[0], center[1])
    matrix = inverse_affine_matrix(about, angle, translate, scale, sheared)
    return img.transform((width, height), 0, matrix, PILLOW[mode], fillcolor=colour_of(img, fill))


def pair(size: Size) -> tuple[int, int]:
    """One number for both, or (height, width)."""
    values = [size] if isinstance(size, int) else list(size)
    if len(values) == 1:
        return int(values[0]), int(values[0])
    if len(values) != 2:
        raise ValueError("Please provide only two dimensions (h, w) for size.")
    return int(values[0]), int(values[1])


def sides_of(padding: Size) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a padding. ValueError for other than 1, 2 or 4 numbers."""
    values = [padding] if isinstance(padding, int) else list(padding)
    if len(values) not in (1, 2, 4):
        raise ValueError(
            "Padding must be an int or a 1, 2, or 4 element tuple, not a "
            f"{len(values)} element tuple"
        )
    left, top, right, bottom = (values * 4)[:4] if len(values) < 4 else values
    return int(left), int(top), int(right), int(bottom)


def shears_of(shear: Sequence[float] | float) -> tuple[float, float]:
    """(x, y) in degrees; one number is x. ValueError for more than two."""
    values = [shear] if isinstance(shear, (int, float)) else list(shear)
    if len(values) not in (1, 2):
        raise ValueError(f"Shear should be a sequence containing one or two values. Got {shear}")
    return float(values[0]), float(values[1]) if len(values) == 2 else 0.0
