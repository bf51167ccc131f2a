"""Boxes: conversion, area, overlap, suppression. A box is (x1, y1, x2, y2) unless `fmt` says other.

Overlap functions give every pair, (N, 4) and (M, 4) to (N, M); the losses beside this file take
pairs that belong together.
"""

from __future__ import annotations

import math

from pellucid import ops
from pellucid.autograd.modes import no_grad
from pellucid.ops.arguments import type_name
from pellucid.ops.detection import suppression
from pellucid.tensor.dtype import bool_, float32, int64
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops import rotated
from pellucid.vision.ops._utils import _upcast

FORMATS = ("xyxy", "xywh", "cxcywh")
"""Corners; corner and size; centre and size."""


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices (int64) of the boxes kept by non-maximum suppression, by falling score.

    The best box stays and removes those whose IoU with it exceeds `iou_threshold`; then the best
    that is left, and so on. `boxes` (K, 4), `scores` (K,).

    Raises: RuntimeError for other shapes.
    """
    kept: Tensor = suppression.nms(boxes, scores, iou_threshold)
    return kept


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each category: boxes of different `idxs` (K,) never remove one another.

    Raises: ValueError unless there is one index for each box.
    """
    if boxes.numel() == 0:
        return ops.empty((0,), dtype=int64)
    require_boxes("batched_nms", boxes)
    if idxs.shape != boxes.shape[:1]:
        raise ValueError(
            f"batched_nms: idxs must be ({boxes.shape[0]},), one category for each box, got shape "
            f"{list(idxs.shape)}"
        )
    if boxes.numel() > 4000:
        return _batched_nms_vanilla(boxes, scores, idxs, iou_threshold)
    return _batched_nms_coordinate_trick(boxes, scores, idxs, iou_threshold)


def _batched_nms_coordinate_trick(
    boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float
) -> Tensor:
    """Move each category to a place of its own, where no other overlaps it; then one `nms`."""
    offsets = idxs.to(boxes.dtype) * (boxes.max() + 1)
    return nms(boxes + offsets[:, None], scores, iou_threshold)


def _batched_nms_vanilla(
    boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float
) -> Tensor:
    """One `nms` for each category."""
    mask = ops.zeros_like(scores, dtype=bool_)
    for category in ops.unique(idxs):
        mine = ops.where(idxs == category)[0]
        mask[mine[nms(boxes[mine], scores[mine], iou_threshold)]] = True
    kept = ops.where(mask)[0]
    return kept[scores[kept].sort(descending=True)[1]]


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """Indices (int64) of the boxes (N, 4) whose sides are both at least `min_size`."""
    require_boxes("remove_small_boxes", boxes)
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return ops.where((wide >= min_size) & (high >= min_size))[0]


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (…, 4) cut to an image of `size` (height, width)."""
    require_boxes("clip_boxes_to_image", boxes)
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(f"clip_boxes_to_image: size must be (height, width), got {size!r}")
    height, width = size
    x = boxes[..., 0::2].clamp(min=0, max=width)
    y = boxes[..., 1::2].clamp(min=0, max=height)
    return ops.stack((x, y), dim=boxes.dim()).reshape(boxes.shape)


def require_boxes(name: str, boxes: Tensor, columns: int = 4) -> None:
    """Raises: TypeError unless a tensor; ValueError unless its rows are boxes (…, `columns`)."""
    if not isinstance(boxes, Tensor):
        raise TypeError(f"{name}: boxes must be a Tensor, not {type_name(boxes)}")
    if boxes.dim() == 0 or boxes.shape[-1] != columns:
        raise ValueError(
            f"{name}: boxes must have {columns} columns, got shape {list(boxes.shape)}"
            + ("\n  One box is boxes[None]." if boxes.dim() == 0 else "")
        )


def _to_corners(boxes: Tensor, fmt: str) -> Tensor:
    if fmt == "xyxy":
        return boxes
    a, b, w, h = boxes.unbind(-1)
    if fmt == "xywh":
        return ops.stack([a, b, a + w, b + h], dim=-1)
    return ops.stack([a - 0.5 * w, b - 0.5 * h, a + 0.5 * w, b + 0.5 * h], dim=-1)


def _from_corners(boxes: Tensor, fmt: str) -> Tensor:
    if fmt == "xyxy":
        return boxes
    x1, y1, x2, y2 = boxes.unbind(-1)
    if fmt == "xywh":
        return ops.stack((x1, y1, x2 - x1, y2 - y1), dim=-1)
    return ops.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), dim=-1)


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes (…, 4) from one of "xyxy", "xywh", "cxcywh" to another, or (…, 5) and (…, 8) between
    the formats with an angle, "xywhr", "cxcywhr" and "xyxyxyxy": always a fresh tensor.

    Raises: ValueError for other formats or numbers of columns; NotImplementedError from boxes
        with an angle to boxes without, and back.
    """
    known = (*FORMATS, *rotated.FORMATS)
    if in_fmt not in known or out_fmt not in known:
        raise ValueError(
            f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}"
            f"\n  There are {', '.join(known)}."
        )
    turned = in_fmt in rotated.FORMATS
    columns = (8 if in_fmt == "xyxyxyxy" else 5) if turned else 4
    require_boxes(f"box_convert from {in_fmt}", boxes, columns)
    if in_fmt == out_fmt:
        return boxes.clone()
    if turned != (out_fmt in rotated.FORMATS):
        raise NotImplementedError(
            f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}"
            "\n  One of them has an angle and the other has not."
        )
    if turned:
        return rotated.convert(boxes, in_fmt, out_fmt)
    return _from_corners(_to_corners(boxes, in_fmt), out_fmt)


def _corners(name: str, boxes: Tensor, fmt: str) -> Tensor:
    if fmt not in FORMATS:
        raise ValueError(
            f"Unsupported Bounding Box {name} for given format {fmt}\n"
            f"  There are {', '.join(FORMATS)}."
        )
    require_boxes(f"box_{name.lower()}", boxes)
    return _to_corners(boxes, fmt)


def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """Areas (N,) of boxes (N, 4)."""
    corners = _corners("area", boxes, fmt)
    if fmt != "xyxy":
        boxes = _upcast(boxes)
        return boxes[..., 2] * boxes[..., 3]
    corners = _upcast(corners)
    return (corners[..., 2] - corners[..., 0]) * (corners[..., 3] - corners[..., 1])


def _box_inter_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    areas1, areas2 = box_area(boxes1), box_area(boxes2)
    low = ops.max(boxes1[..., :, None, :2], boxes2[..., None, :, :2])
    high = ops.min(boxes1[..., :, None, 2:], boxes2[..., None, :, 2:])
    sides = _upcast(high - low).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    return shared, areas1[..., :, None] + areas2[..., None, :] - shared


def _enclosing(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Sides (…, N, M, 2) of the smallest box around each pair."""
    low = ops.min(boxes1[..., :, None, :2], boxes2[..., None, :, :2])
    high = ops.max(boxes1[..., :, None, 2:], boxes2[..., None, :, 2:])
    return _upcast(high - low).clamp(min=0)


def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """Intersection over union of every pair: (N, 4) and (M, 4) give (N, M)."""
    boxes1, boxes2 = _corners("IoU", boxes1, fmt), _corners("IoU", boxes2, fmt)
    shared, union = _box_inter_union(boxes1, boxes2)
    return shared / union


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """IoU less the empty share of the box around both (Rezatofighi et al. 2019): (N, M)."""
    shared, union = _box_inter_union(boxes1, boxes2)
    sides = _enclosing(boxes1, boxes2)
    area = sides[..., 0] * sides[..., 1]
    return shared / union - (area - union) / area


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """IoU less the squared distance of centres, relative to the enclosing diagonal (Zheng et al.
    2020, equation 7): (N, M)."""
    boxes1, boxes2 = _upcast(boxes1), _upcast(boxes2)
    return _box_diou_iou(boxes1, boxes2, eps)[0]


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """`distance_box_iou` less how far the aspect ratios differ (Zheng et al. 2020, equation 10)."""
    boxes1, boxes2 = _upcast(boxes1), _upcast(boxes2)
    diou, iou = _box_diou_iou(boxes1, boxes2, eps)
    w1, h1 = boxes1[:, None, 2] - boxes1[:, None, 0], boxes1[:, None, 3] - boxes1[:, None, 1]
    w2, h2 = boxes2[:, 2] - boxes2[:, 0], boxes2[:, 3] - boxes2[:, 1]
    v = (4 / math.pi**2) * ops.pow(ops.atan(w1 / h1) - ops.atan(w2 / h2), 2)
    with no_grad():
        alpha = v / (1 - iou + v + eps)
    return diou - alpha * v


def _box_diou_iou(boxes1: Tensor, boxes2: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    iou = box_iou(boxes1, boxes2)
    sides = _enclosing(boxes1, boxes2)
    diagonal = sides[..., 0] ** 2 + sides[..., 1] ** 2 + eps
    centres1 = (boxes1[..., :2] + boxes1[..., 2:]) / 2
    centres2 = (boxes2[..., :2] + boxes2[..., 2:]) / 2
    apart = _upcast(centres1[..., :, None, :] - centres2[..., None, :, :])
    distance = apart[..., 0] ** 2 + apart[..., 1] ** 2
    return iou - distance / diagonal, iou


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The box (N, 4), float32, around the non-zero pixels of each mask (N, H, W).

    x2 and y2 are the last pixel's index, not one beyond it.

    Raises: RuntimeError for a mask without a pixel.
    """
    if masks.numel() == 0:
        return ops.zeros((0, 4), dtype=float32)
    if masks.dim() != 3:
        raise ValueError(
            f"masks_to_boxes: masks must be (N, H, W), got shape {list(masks.shape)}"
            + ("\n  One mask is masks[None]." if masks.dim() == 2 else "")
        )
    filled = masks != 0
    rows, columns = filled.any(dim=2), filled.any(dim=1)
    empty = ops.where(~rows.any(dim=1))[0]
    if empty.numel():
        raise RuntimeError(
            f"masks_to_boxes: mask {empty[0].item()} is empty, no box encloses it\n"
            "  Drop such masks first: masks[masks.flatten(1).any(dim=1)]."
        )
    height, width = masks.shape[-2:]
    rows, columns = rows.int(), columns.int()
    sides = (
        columns.argmax(dim=1),
        rows.argmax(dim=1),
        width - 1 - columns.flip(1).argmax(dim=1),
        height - 1 - rows.flip(1).argmax(dim=1),
    )
    return ops.stack(sides, dim=1).to(float32)
