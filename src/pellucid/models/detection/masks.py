"""Masks of detections (He et al. 2017, "Mask R-CNN", section 3), to the loss and to the image."""

from __future__ import annotations

import pellucid as torch
from pellucid import Tensor
from pellucid.nn import functional as F
from pellucid.vision.ops import roi_align


def maskrcnn_inference(x: Tensor, labels: list[Tensor]) -> list[Tensor]:
    """The mask of each detection's own class: (L, classes, M, M) to (L, 1, M, M) an image."""
    probability = x.sigmoid()
    counts = [len(label) for label in labels]
    place = torch.arange(len(x))
    own = probability[place, torch.cat(labels)][:, None]
    return list(own.split(counts, dim=0))


def project_masks_on_boxes(gt_masks: Tensor, boxes: Tensor, matched_idxs: Tensor, M: int) -> Tensor:
    """What a mask of M × M should be for each box: its object's mask, cut out by RoI Align."""
    rois = torch.cat([matched_idxs[:, None].to(boxes.dtype), boxes], dim=1)
    return roi_align(gt_masks[:, None].to(rois.dtype), rois, (M, M), 1.0)[:, 0]


def maskrcnn_loss(
    mask_logits: Tensor,
    proposals: list[Tensor],
    gt_masks: list[Tensor],
    gt_labels: list[Tensor],
    mask_matched_idxs: list[Tensor],
) -> Tensor:
    """L_mask: binary cross entropy of the mask of the true class; other classes do not compete."""
    size = mask_logits.shape[-1]
    labels = [label[i] for label, i in zip(gt_labels, mask_matched_idxs, strict=True)]
    wanted = [
        project_masks_on_boxes(masks, boxes, i, size)
        for masks, boxes, i in zip(gt_masks, proposals, mask_matched_idxs, strict=True)
    ]
    classes, targets = torch.cat(labels), torch.cat(wanted)
    if targets.numel() == 0:
        return mask_logits.sum() * 0
    own = mask_logits[torch.arange(len(classes)), classes]
    return F.binary_cross_entropy_with_logits(own, targets)


def expand_boxes(boxes: Tensor, scale: float) -> Tensor:
    """Boxes (L, 4) larger by `scale` around their centres."""
    x1, y1, x2, y2 = boxes.unbind(1)
    wide, high = (x2 - x1) * 0.5 * scale, (y2 - y1) * 0.5 * scale
    x, y = (x1 + x2) * 0.5, (y1 + y2) * 0.5
    return torch.stack([x - wide, y - high, x + wide, y + high], dim=1)


def expand_masks(mask: Tensor, padding: int) -> tuple[Tensor, float]:
    """A border of zeros around masks, and by how much that makes them larger."""
    size = mask.shape[-1]
    return F.pad(mask, (padding,) * 4), float(size + 2 * padding) / size


def paste_mask_in_image(mask: Tensor, box: Tensor, im_h: int, im_w: int) -> Tensor:
    """One mask (M, M) stretched over its box (4 whole numbers) in an image of zeros."""
    x1, y1, x2, y2 = (int(value) for value in box.tolist())
    wide, high = max(x2 - x1 + 1, 1), max(y2 - y1 + 1, 1)
    stretched = F.interpolate(mask[None, None], size=(high, wide), mode="bilinear")[0, 0]
    left, right = max(x1, 0), min(x2 + 1, im_w)
    top, bottom = max(y1, 0), min(y2 + 1, im_h)
    image = torch.zeros((im_h, im_w), dtype=mask.dtype)
    if left < right and top < bottom:
        image[top:bottom, left:right] = stretched[top - y1 : bottom - y1, left - x1 : right - x1]
    return image


def paste_masks_in_image(
    masks: Tensor, boxes: Tensor, img_shape: tuple[int, int], padding: int = 1
) -> Tensor:
    """Masks (L, 1, M, M) in an image of `img_shape`: (L, 1, height, width)."""
    bordered, scale = expand_masks(masks, padding)
    whole = expand_boxes(boxes, scale).to(torch.int64)
    height, width = img_shape
    found = [
        paste_mask_in_image(mask[0], box, height, width)
        for mask, box in zip(bordered, whole, strict=True)
    ]
    if not found:
        return masks.new_empty((0, 1, height, width))
    return torch.stack(found, dim=0)[:, None]
