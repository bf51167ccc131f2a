"""1 - CIoU of pairs of boxes (Zheng et al. 2020, "Distance-IoU Loss", section "Complete IoU")."""

from __future__ import annotations

import math

from pellucid import ops
from pellucid.autograd.modes import no_grad
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops._utils import _upcast_non_float, reduced
from pellucid.vision.ops.diou_loss import _diou_iou_loss


def complete_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """The loss of each pair, (N, 4) and (N, 4) to (N,) (equation 10); or their "mean" or "sum"."""
    boxes1, boxes2 = _upcast_non_float(boxes1), _upcast_non_float(boxes2)
    loss, iou = _diou_iou_loss(boxes1, boxes2)
    x1, y1, x2, y2 = boxes1.unbind(dim=-1)
    x1g, y1g, x2g, y2g = boxes2.unbind(dim=-1)
    ratio = ops.atan((x2g - x1g) / (y2g - y1g)) - ops.atan((x2 - x1) / (y2 - y1))
    v = (4 / math.pi**2) * ops.pow(ratio, 2)
    with no_grad():
        alpha = v / (1 - iou + v + eps)
    return reduced(loss + alpha * v, reduction)
