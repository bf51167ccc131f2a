"""`nms`: of boxes that overlap, the one with the highest score."""

from __future__ import annotations

import numpy as np

from pellucid.ops.dispatch import operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.nn.support import not_implemented, require_tensor, working
from pellucid.ops.spec import NoGradient
from pellucid.tensor.tensor import Tensor, adopt


def _check(boxes: Tensor, scores: Tensor) -> None:
    require_tensor("nms", "boxes", 1, boxes)
    require_tensor("nms", "scores", 2, scores)
    shape, count = boxes._layout.shape, scores._layout.shape
    if len(shape) != 2:
        raise RuntimeError(f"boxes should be a 2d tensor, got {len(shape)}D")
    if shape[1] != 4:
        raise RuntimeError(
            f"boxes should have 4 elements in dimension 1, got {shape[1]}\n"
            "  Each row is (x1, y1, x2, y2)."
        )
    if len(count) != 1:
        raise RuntimeError(f"scores should be a 1d tensor, got {len(count)}D")
    if shape[0] != count[0]:
        raise RuntimeError(
            "boxes and scores should have same number of elements in dimension 0, got "
            f"{shape[0]} and {count[0]}"
        )
    if boxes.dtype is not scores.dtype:
        raise RuntimeError(
            "dets should have the same type as scores, got "
            f"{scalar_type(boxes.dtype)} and {scalar_type(scores.dtype)}"
        )
    if not boxes.dtype.is_floating_point:
        raise not_implemented("nms_kernel", boxes.dtype)


@operator(where="internal", gradient=NoGradient("it answers which boxes, not how much"))
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices (int64) of the boxes kept, by falling score.

    Greedily: the best box stays and removes those whose intersection over union with it exceeds
    `iou_threshold`. Equal scores stand in the order they came in, NaN counts as the highest.
    `boxes` is (K, 4), `scores` (K,).
    """
    _check(boxes, scores)
    values = working(scores)
    order = np.argsort(np.where(np.isnan(values), -np.inf, -values), kind="stable")
    return adopt(keep(working(boxes)[order], order, np.float64(iou_threshold)))


def keep(boxes: np.ndarray, order: np.ndarray, threshold: np.float64) -> np.ndarray:
    """The entries of `order` whose boxes no better box removes; `boxes` stand in that order."""
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.T)
    areas = (x2 - x1) * (y2 - y1)
    left = np.arange(len(boxes))
    kept = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(best)
        wide = np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left])
        high = np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left])
        shared = np.maximum(wide, 0) * np.maximum(high, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            overlap = shared / (areas[best] + areas[left] - shared)
        left = left[~(overlap > threshold)]
    return order[np.asarray(kept, np.int64)].astype(np.int64)
