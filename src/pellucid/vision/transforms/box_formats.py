"""What the numbers of a box are, and boxes cut to their canvas. Plain tensors (N, 4) inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid import ops
from pellucid.tensor.tensor import Tensor
from pellucid.vision.tv_tensors import (
    BoundingBoxes,
    BoundingBoxFormat,
    TVTensor,
    format_of,
    is_rotated_bounding_format,
    plain,
    wrap,
)

Format = BoundingBoxFormat
XYXY, XYWH, CXCYWH = Format.XYXY, Format.XYWH, Format.CXCYWH


def _half(size: Tensor) -> Tensor:
    """Half of a size; whole numbers are rounded down."""
    half: Tensor = size / 2 if size.is_floating_point() else size // 2
    return half


def to_corners(boxes: Tensor, format: Format) -> Tensor:
    """(…, 4) as (x1, y1, x2, y2), in the same element type."""
    if format is XYXY:
        return boxes
    place, size = boxes[..., :2], boxes[..., 2:]
    if format is XYWH:
        return ops.cat([place, place + size], -1)
    if not boxes.is_floating_point():  # in fractions, which are cut off at the end
        return to_corners(boxes.float(), format).to(boxes.dtype)
    low = place - size / 2
    return ops.cat([low, low + size], -1)


def from_corners(boxes: Tensor, format: Format) -> Tensor:
    """(x1, y1, x2, y2) as another format, in the same element type."""
    if format is XYXY:
        return boxes
    low, high = boxes[..., :2], boxes[..., 2:]
    if format is XYWH:
        return ops.cat([low, high - low], -1)
    return ops.cat([_half(low * 2 + (high - low)), high - low], -1)


def converted(boxes: Tensor, old: Format, new: Format) -> Tensor:
    """(…, 4) from one format to another. ValueError for formats with an angle."""
    if is_rotated_bounding_format(old) or is_rotated_bounding_format(new):
        raise ValueError(f"boxes with an angle are not there: {old.value} to {new.value}")
    if old is new:
        return boxes
    place, size = boxes[..., :2], boxes[..., 2:]
    if old is XYWH and new is CXCYWH:
        return ops.cat([place + _half(size), size], -1)
    if old is CXCYWH and new is XYWH and boxes.is_floating_point():
        return ops.cat([place - size / 2, size], -1)
    return from_corners(to_corners(boxes, old), new)


def convert_bounding_box_format(
    inpt: Tensor,
    old_format: Format | str | None = None,
    new_format: Format | str | None = None,
    inplace: bool = False,
) -> Any:
    """Boxes in `new_format`; plain tensors (…, 4) need `old_format`, `BoundingBoxes` know theirs.

    Raises: TypeError, ValueError where the formats are missing or said twice.
    """
    if new_format is None:
        raise TypeError("convert_bounding_box_format() missing 1 required argument: 'new_format'")
    new = format_of(new_format)
    if isinstance(inpt, BoundingBoxes):
        if old_format is not None:
            raise ValueError("For bounding box tv_tensor inputs, `old_format` must not be passed.")
        found = converted(plain(inpt), inpt.format, new)
        return wrap(_kept(inpt, found, inplace), like=inpt, format=new)
    _require_plain(inpt)
    if old_format is None:
        raise ValueError("For pure tensor inputs, `old_format` has to be passed.")
    return _kept(inpt, converted(inpt, format_of(old_format), new), inplace)


def _kept(inpt: Tensor, found: Tensor, inplace: bool) -> Tensor:
    return plain(inpt).copy_(found) if inplace else found


def _require_plain(inpt: Any) -> None:
    if not isinstance(inpt, Tensor) or isinstance(inpt, TVTensor):
        raise TypeError(
            "Input can either be a plain tensor or a bounding box tv_tensor, but got "
            f"{type(inpt)} instead."
        )


def clamped(boxes: Tensor, format: Format, canvas: Sequence[int], mode: str | None) -> Tensor:
    """Boxes cut to the canvas (height, width), or a copy where `mode` is None."""
    if mode is None:
        return boxes.clone()
    values = boxes if boxes.is_floating_point() else boxes.float()
    corners = to_corners(values, format)
    high = ops.tensor([canvas[1], canvas[0]] * 2, dtype=corners.dtype)
    inside = ops.minimum(ops.maximum(corners, ops.zeros_like(high)), high)
    return from_corners(inside, format).to(boxes.dtype)


def clamp_bounding_boxes(
    inpt: Tensor,
    format: Format | str | None = None,
    canvas_size: Sequence[int] | None = None,
    clamping_mode: str | None = "auto",
) -> Any:
    """Boxes cut to their canvas (height, width). Plain tensors need all arguments.

    `clamping_mode`: "soft" and "hard" cut (upright boxes in the same way), None does not, "auto"
    asks the boxes.

    Raises: ValueError for arguments that are missing, said twice or unknown.
    """
    if clamping_mode not in (None, "soft", "hard", "auto"):
        raise ValueError(f"clamping_mode must be soft, hard, auto or None, got {clamping_mode}")
    if isinstance(inpt, BoundingBoxes):
        if format is not None or canvas_size is not None:
            raise ValueError(
                "For bounding box tv_tensor inputs, `format` and `canvas_size` must not be passed."
            )
        mode = inpt.clamping_mode if clamping_mode == "auto" else clamping_mode
        return wrap(clamped(plain(inpt), inpt.format, inpt.canvas_size, mode), like=inpt)
    _require_plain(inpt)
    if format is None or canvas_size is None or clamping_mode == "auto":
        raise ValueError(
            "For pure tensor inputs, `format`, `canvas_size` and `clamping_mode` have to be passed."
        )
    return clamped(inpt, format_of(format), canvas_size, clamping_mode)


def valid_boxes(
    boxes: Tensor, format: Format, canvas: Sequence[int], min_size: float, min_area: float
) -> Tensor:
    """(N,) bool: inside the canvas, both sides at least `min_size`, at least `min_area`."""
    corners = to_corners(boxes, format)
    wide, high = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    large = (wide >= min_size) & (high >= min_size) & (wide * high >= min_area)
    far = ops.tensor([canvas[1], canvas[0]] * 2)
    found: Tensor = large & ((corners >= 0) & (corners <= far)).all(dim=-1)
    return found


def sanitize_bounding_boxes(
    bounding_boxes: Tensor,
    format: Format | str | None = None,
    canvas_size: Sequence[int] | None = None,
    min_size: float = 1.0,
    min_area: float = 1.0,
) -> tuple[Any, Tensor]:
    """The boxes that are large enough and inside their canvas, and which (N, bool) these are.

    Raises: ValueError where a plain tensor comes without `format` and `canvas_size`, or boxes with.
    """
    if isinstance(bounding_boxes, BoundingBoxes):
        if format is not None or canvas_size is not None:
            raise ValueError(
                "format and canvas_size must be None when bounding_boxes is a "
                "tv_tensors.BoundingBoxes instance. "
                f"Got format={format} and canvas_size={canvas_size}."
            )
        boxes, chosen, canvas = (
            plain(bounding_boxes),
            bounding_boxes.format,
            bounding_boxes.canvas_size,
        )
        valid = valid_boxes(boxes, chosen, canvas, min_size, min_area)
        return wrap(boxes[valid], like=bounding_boxes), valid
    if not isinstance(bounding_boxes, Tensor) or isinstance(bounding_boxes, TVTensor):
        raise ValueError(
            "bounding_boxes must be a tv_tensors.BoundingBoxes instance or a pure tensor."
        )
    if format is None or canvas_size is None:
        raise ValueError(
            "format and canvas_size cannot be None if bounding_boxes is a pure tensor. "
            f"Got format={format} and canvas_size={canvas_size}."
        )
    valid = valid_boxes(bounding_boxes, format_of(format), canvas_size, min_size, min_area)
    return bounding_boxes[valid], valid
