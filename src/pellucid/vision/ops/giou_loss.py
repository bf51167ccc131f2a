"""1 - GIoU of pairs of boxes (Rezatofighi et al. 2019, "Generalized Intersection over Union")."""

from __future__ import annotations

from pellucid import ops
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops._utils import _loss_inter_union, _upcast_non_float, reduced


def generalized_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """The loss of each pair, (N, 4) and (N, 4) to (N,); or their "mean" or "sum"."""
    boxes1, boxes2 = _upcast_non_float(boxes1), _upcast_non_float(boxes2)
    shared, union = _loss_inter_union(boxes1, boxes2)
    iou = shared / (union + eps)
    x1, y1, x2, y2 = boxes1.unbind(dim=-1)
    x1g, y1g, x2g, y2g = boxes2.unbind(dim=-1)
    wide = ops.max(x2, x2g) - ops.min(x1, x1g)
    high = ops.max(y2, y2g) - ops.min(y1, y1g)
    area = wide * high
    return reduced(1 - (iou - (area - union) / (area + eps)), reduction)
