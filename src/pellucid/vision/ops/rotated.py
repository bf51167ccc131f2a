"""Boxes with an angle from one format to another.

"xywhr": the upper left corner, the size, and the angle r in degrees, counter-clockwise as seen;
"cxcywhr": the centre in place of the corner; "xyxyxyxy": upper left, upper right, lower right,
lower left. Whole numbers are rounded at the end.
"""

from __future__ import annotations

import math

from pellucid import ops
from pellucid.tensor.tensor import Tensor

FORMATS = ("xywhr", "cxcywhr", "xyxyxyxy")


def _as_before(columns: list[Tensor], boxes: Tensor) -> Tensor:
    found: Tensor = ops.stack(columns, -1)
    return found if boxes.is_floating_point() else found.round().to(boxes.dtype)


def _turned(boxes: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """cos r, sin r, and the five columns."""
    columns = boxes.unbind(-1)
    angle = columns[4] * math.pi / 180.0
    return ops.cos(angle), ops.sin(angle), columns


def _centred(boxes: Tensor, sign: float) -> Tensor:
    """xywhr to cxcywhr (sign 1) and back (-1): half the diagonal, turned, is added."""
    cos, sin, (x, y, w, h, r) = _turned(boxes)
    across, down = w / 2 * sign, h / 2 * sign
    return _as_before(
        [x + across * cos + down * sin, y - across * sin + down * cos, w, h, r], boxes
    )


def _cornered(boxes: Tensor) -> Tensor:
    cos, sin, (x, y, w, h, _) = _turned(boxes)
    right, below = (w * cos, -(w * sin)), (h * sin, h * cos)
    x2, y2 = x + right[0], y + right[1]
    corners = [x, y, x2, y2, x2 + below[0], y2 + below[1], x + below[0], y + below[1]]
    return _as_before(corners, boxes)


def _measured(boxes: Tensor) -> Tensor:
    """xyxyxyxy to xywhr: lengths of two sides, and the direction of the first."""
    x1, y1, x2, y2, x3, y3, _, _ = boxes.unbind(-1)
    angle = ops.atan2(y1 - y2, x2 - x1) * 180 / math.pi
    w = ((x2 - x1) ** 2 + (y1 - y2) ** 2).sqrt()
    h = ((x3 - x2) ** 2 + (y3 - y2) ** 2).sqrt()
    return _as_before([x1, y1, w, h, angle], boxes)


def convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes (…, 5) or (…, 8) between the formats above, by way of "xywhr"."""
    if in_fmt == "cxcywhr":
        boxes = _centred(boxes, -1.0)
    elif in_fmt == "xyxyxyxy":
        boxes = _measured(boxes)
    if out_fmt == "cxcywhr":
        return _centred(boxes, 1.0)
    return _cornered(boxes) if out_fmt == "xyxyxyxy" else boxes
