"""What transforms do to boxes (moved with their image) and masks (never interpolated)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from pellucid import ops
from pellucid.tensor.dtype import float32, int64
from pellucid.tensor.tensor import Tensor
from pellucid.vision.transforms import geometry, warp
from pellucid.vision.transforms.box_formats import CXCYWH, XYXY, clamped, from_corners, to_corners
from pellucid.vision.transforms.interpolation import InterpolationMode
from pellucid.vision.transforms.kinds import kernel
from pellucid.vision.transforms.sampling import expanded_size, inverse_affine_matrix
from pellucid.vision.tv_tensors import BoundingBoxes, Mask, plain, wrap

Size = geometry.Size


def _done(found: Tensor, boxes: BoundingBoxes, canvas: Sequence[int], cut: bool = True) -> Any:
    """Boxes in the format of `boxes` on another canvas, cut to it."""
    if cut:
        found = clamped(found, boxes.format, canvas, boxes.clamping_mode)
    return wrap(found.to(boxes.dtype), like=boxes, canvas_size=tuple(canvas))


def _moved(boxes: BoundingBoxes, x: int, y: int) -> Tensor:
    """Boxes moved by whole pixels; the sizes in a format that has them stay."""
    step = [x, y, x, y] if boxes.format is XYXY else [x, y, 0, 0]
    found: Tensor = plain(boxes) + ops.tensor(step, dtype=boxes.dtype)
    return found


@kernel("hflip", BoundingBoxes)
def _hflip(boxes: BoundingBoxes) -> Any:
    return _mirrored(boxes, 0)


@kernel("vflip", BoundingBoxes)
def _vflip(boxes: BoundingBoxes) -> Any:
    return _mirrored(boxes, 1)


def _mirrored(boxes: BoundingBoxes, axis: int) -> Any:
    far = boxes.canvas_size[1 - axis]
    columns = list(plain(boxes).unbind(-1))
    if boxes.format is XYXY:
        columns[axis], columns[axis + 2] = far - columns[axis + 2], far - columns[axis]
    else:
        size = 0 if boxes.format is CXCYWH else columns[axis + 2]
        columns[axis] = far - (columns[axis] + size)
    return wrap(ops.stack(columns, -1), like=boxes)


@kernel("resize", BoundingBoxes)
def _resize(
    boxes: BoundingBoxes,
    size: Size | None,
    interpolation: Any = None,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    height, width = boxes.canvas_size
    new_height, new_width = geometry.output_size(height, width, size, max_size)
    ratio = ops.tensor([new_width / width, new_height / height] * 2)
    return _done(plain(boxes) * ratio, boxes, (new_height, new_width), cut=False)


@kernel("crop", BoundingBoxes)
def _crop(boxes: BoundingBoxes, top: int, left: int, height: int, width: int) -> Any:
    return _done(_moved(boxes, -left, -top), boxes, (height, width))


@kernel("center_crop", BoundingBoxes)
def _center_crop(boxes: BoundingBoxes, output_size: Size) -> Any:
    high, wide = geometry.pair(output_size)
    height, width = boxes.canvas_size
    return _crop(boxes, round((height - high) / 2), round((width - wide) / 2), high, wide)


@kernel("resized_crop", BoundingBoxes)
def _resized_crop(
    boxes: BoundingBoxes,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Size,
    interpolation: Any = None,
    antialias: bool | None = True,
) -> Any:
    return _resize(_crop(boxes, top, left, height, width), geometry.pair(size))


@kernel("pad", BoundingBoxes)
def _pad(
    boxes: BoundingBoxes, padding: Size, fill: Any = None, padding_mode: str = "constant"
) -> Any:
    if padding_mode != "constant":
        raise ValueError(f"Padding mode '{padding_mode}' is not supported with bounding boxes")
    left, top, right, bottom = geometry.sides_of(padding)
    height, width = boxes.canvas_size
    return _done(_moved(boxes, left, top), boxes, (height + top + bottom, width + left + right))


def _around(points: Tensor) -> Tensor:
    """(N, 4, 2) corners as (N, 4), the upright box around each four."""
    found: Tensor = ops.cat([points.amin(1), points.amax(1)], -1)
    return found


def _four(corners: Tensor) -> Tensor:
    """(N, 4) as the four corners (N, 4, 2) of each box."""
    x1, y1, x2, y2 = corners.unbind(-1)
    xs, ys = ops.stack([x1, x2, x2, x1], -1), ops.stack([y1, y1, y2, y2], -1)
    points: Tensor = ops.stack([xs, ys], -1)
    return points


def _in_fractions(boxes: BoundingBoxes) -> Tensor:
    """Corners (N, 4) in floating point."""
    values = plain(boxes)
    return to_corners(values if values.is_floating_point() else values.float(), boxes.format)


def _bent(boxes: BoundingBoxes, corners: Tensor, canvas: Sequence[int]) -> Any:
    """The upright boxes `corners`, cut, in the format of `boxes`."""
    inside = clamped(corners, XYXY, canvas, boxes.clamping_mode)
    return _done(from_corners(inside, boxes.format), boxes, canvas, cut=False)


@kernel("affine", BoundingBoxes)
def _affine(
    boxes: BoundingBoxes,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: Any,
    interpolation: Any = None,
    fill: Any = None,
    center: Sequence[float] | None = None,
    expand: bool = False,
) -> Any:
    geometry.require_affine(translate, scale)
    height, width = boxes.canvas_size
    about = (width * 0.5, height * 0.5) if center is None else (center[0], center[1])
    matrix = inverse_affine_matrix(about, angle, translate, scale, geometry.shears_of(shear))
    a, b, c, d, e, f = _inverted(matrix)
    turned = ops.tensor([[a, d], [b, e]]), ops.tensor([c, f])
    points = _four(_in_fractions(boxes))
    found = points @ turned[0].to(points.dtype) + turned[1].to(points.dtype)
    canvas = (height, width)
    if expand:
        frame = _four(ops.tensor([[0.0, 0.0, float(width), float(height)]], dtype=points.dtype))
        moved = frame @ turned[0].to(points.dtype) + turned[1].to(points.dtype)
        found = found - moved.amin((0, 1))
        # The size of the turned image; torchvision's canvas may be a pixel off its own image.
        canvas = expanded_size(matrix, height, width)
    return _bent(boxes, _around(found), canvas)


def _inverted(matrix: list[float]) -> list[float]:
    """The map in the other direction. ValueError where there is none."""
    a, b, c, d, e, f = matrix
    det = a * e - b * d
    if det == 0:
        raise ValueError(f"the map {matrix} cannot be inverted, so boxes cannot follow it")
    return [
        e / det,
        -b / det,
        (b * f - e * c) / det,
        -d / det,
        a / det,
        (d * c - a * f) / det,
    ]


@kernel("rotate", BoundingBoxes)
def _rotate(
    boxes: BoundingBoxes,
    angle: float,
    interpolation: Any = None,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Any = None,
) -> Any:
    return _affine(boxes, -angle, (0, 0), 1.0, (0.0, 0.0), center=center, expand=expand)


@kernel("perspective", BoundingBoxes)
def _perspective(
    boxes: BoundingBoxes,
    startpoints: Any,
    endpoints: Any,
    interpolation: Any = None,
    fill: Any = None,
    coefficients: Sequence[float] | None = None,
) -> Any:
    a, b, c, d, e, f, g, h = warp.chosen_coefficients(startpoints, endpoints, coefficients)
    det = a * e - b * d
    if det == 0:
        raise RuntimeError(
            f"the perspective {[a, b, c, d, e, f, g, h]} cannot be inverted, so boxes cannot "
            "follow it"
        )
    # The inverse of the matrix with rows (a b c), (d e f), (g h 1), up to a factor.
    rows = ops.tensor(
        [
            [e - f * h, c * h - b, b * f - c * e],
            [f * g - d, a - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, det],
        ]
    )
    points = _four(_in_fractions(boxes))
    x, y, w = (points @ rows[:, :2].T.to(points.dtype) + rows[:, 2].to(points.dtype)).unbind(-1)
    found = ops.stack([x / w, y / w], -1)
    return _bent(boxes, _around(found), boxes.canvas_size)


@kernel("elastic", BoundingBoxes)
def _elastic(
    boxes: BoundingBoxes, displacement: Tensor, interpolation: Any = None, fill: Any = None
) -> Any:
    height, width = boxes.canvas_size
    geometry.require_pixels(height, width)
    warp.require_displacement(displacement, height, width)
    kind = boxes.dtype if boxes.is_floating_point() else float32
    # An approximation, as torchvision's: the grid minus the displacement for its inverse.
    inverse = warp.identity_grid(height, width, kind) - displacement[0].to(kind)
    points = _four(_in_fractions(boxes)).ceil().to(int64)
    x, y = points[..., 0].clamp(0, width - 1), points[..., 1].clamp(0, height - 1)
    size = ops.tensor([float(width), float(height)], dtype=kind)
    found = _around((inverse[y, x] + 1) * (0.5 * size) - 0.5)
    return _bent(boxes, found.to(boxes.dtype), boxes.canvas_size)


def _masks(function: Callable[..., Any], interpolated: bool) -> Callable[..., Any]:
    """The function of images on masks (…, H, W); nothing between two classes is made up."""

    signature = inspect.signature(function)

    def done(mask: Mask, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(plain(mask), *args, **kwargs)
        if interpolated:
            given.arguments["interpolation"] = _nearest(given.arguments.get("interpolation"))
        return wrap(function(*given.args, **given.kwargs), like=mask)

    return done


def _nearest(given: Any) -> InterpolationMode:
    exact = given in (InterpolationMode.NEAREST_EXACT, "nearest-exact")
    return InterpolationMode.NEAREST_EXACT if exact else InterpolationMode.NEAREST


for _function in (
    geometry.hflip,
    geometry.vflip,
    geometry.crop,
    geometry.center_crop,
    geometry.pad,
):
    kernel(_function.__name__, Mask)(_masks(_function, False))
for _function in (
    geometry.resize,
    geometry.resized_crop,
    geometry.rotate,
    geometry.affine,
    warp.perspective,
    warp.elastic,
):
    kernel(_function.__name__, Mask)(_masks(_function, True))
