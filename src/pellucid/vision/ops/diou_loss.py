"""1 - DIoU of pairs of boxes (Zheng et al. 2020, "Distance-IoU Loss")."""

from __future__ import annotations

from pellucid import ops
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops._utils import _loss_inter_union, _upcast_non_float, reduced


def distance_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """The loss of each pair, (N, 4) and (N, 4) to (N,) (equation 7); or their "mean" or "sum"."""
    boxes1, boxes2 = _upcast_non_float(boxes1), _upcast_non_float(boxes2)
    return reduced(_diou_iou_loss(boxes1, boxes2, eps)[0], reduction)


def _diou_iou_loss(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> tuple[Tensor, Tensor]:
    shared, union = _loss_inter_union(boxes1, boxes2)
    iou = shared / (union + eps)
    x1, y1, x2, y2 = boxes1.unbind(dim=-1)
    x1g, y1g, x2g, y2g = boxes2.unbind(dim=-1)
    wide = ops.max(x2, x2g) - ops.min(x1, x1g)
    high = ops.max(y2, y2g) - ops.min(y1, y1g)
    diagonal = wide**2 + high**2 + eps
    distance = ((x2 + x1) / 2 - (x1g + x2g) / 2) ** 2 + ((y2 + y1) / 2 - (y1g + y2g) / 2) ** 2
    return 1 - iou + distance / diagonal, iou
