"""Focal loss (Lin et al. 2017, "Focal Loss for Dense Object Detection")."""

from __future__ import annotations

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops._utils import reduced


def sigmoid_focal_loss(
    inputs: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
) -> Tensor:
    """α_t (1 - p_t)^γ times the binary cross entropy (equation 5); `alpha` -1 leaves α_t out.

    `inputs` are logits and `targets` 0 or 1, of the same shape.

    Raises: ValueError for `alpha` outside [0, 1] and not -1, or another `reduction`.
    """
    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(
            f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1 for ignore."
        )
    p = ops.sigmoid(inputs)
    entropy = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = entropy * ((1 - p_t) ** gamma)
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return reduced(loss, reduction)
