"""The path of an image through a two-stage detector."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pellucid as torch
from pellucid import Tensor, nn
from pellucid.models.detection.roi_heads import RoIHeads

Target = dict[str, Tensor]


class GeneralizedRCNN(nn.Module):
    """Transform, backbone, proposals, heads (Ren et al. 2015, figure 2)."""

    def __init__(
        self, backbone: nn.Module, rpn: nn.Module, roi_heads: nn.Module, transform: nn.Module
    ) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads

    def forward(self, images: list[Tensor], targets: list[Target] | None = None) -> Any:
        """In training the losses by name, else for each image boxes (L, 4), labels and scores (L,),
        and with a mask branch masks (L, 1, H, W) from 0 to 1.

        `images` are tensors (C, H, W) from 0 to 1, of any sizes. `targets`, one for each image in
        training, hold "boxes" (L, 4) as (x1, y1, x2, y2) in pixels, "labels" (L,) int64 from 1 on,
        and for masks "masks" (L, H, W).

        Raises: ValueError or TypeError for targets that are missing or malformed.
        """
        if self.training:
            masks = isinstance(self.roi_heads, RoIHeads) and self.roi_heads.has_mask()
            check_targets(images, targets, masks)
        original = [(image.shape[-2], image.shape[-1]) for image in images]
        batch, targets = self.transform(images, targets)
        features = self.backbone(batch.tensors)
        if isinstance(features, Tensor):
            features = OrderedDict([("0", features)])
        proposals, of_proposals = self.rpn(batch, features, targets)
        detections, of_detections = self.roi_heads(features, proposals, batch.image_sizes, targets)
        if self.training:
            return {**of_detections, **of_proposals}
        return self.transform.postprocess(detections, batch.image_sizes, original)


def check_targets(images: list[Tensor], targets: list[Target] | None, masks: bool = False) -> None:
    """Refuse what no loss can be computed from; `masks` are needed where the model learns them."""
    if targets is None:
        raise ValueError(
            "targets should not be none when in training mode\n"
            "  For detections call model.eval() first."
        )
    if len(targets) != len(images):
        raise ValueError(f"there are {len(images)} images and {len(targets)} targets")
    for place, target in enumerate(targets):
        missing = {"boxes", "labels", *(["masks"] if masks else [])} - target.keys()
        if missing:
            raise ValueError(f"targets[{place}] lacks {', '.join(sorted(missing))}")
        boxes = target["boxes"]
        if not isinstance(boxes, Tensor):
            raise TypeError(f"Expected target boxes to be of type Tensor, got {type(boxes)}.")
        if boxes.dim() != 2 or boxes.shape[-1] != 4:
            raise ValueError(
                f"Expected target boxes to be a tensor of shape [N, 4], got {list(boxes.shape)}."
            )
        if len(target["labels"]) != len(boxes):
            raise ValueError(
                f"targets[{place}] has {len(boxes)} boxes and {len(target['labels'])} labels"
            )
        if target["labels"].dtype is not torch.int64:
            raise TypeError(
                "target labels must of int64 type, instead got "
                f"{target['labels'].dtype}\n  Give it labels.long()."
            )
        wanted = (len(boxes), *images[place].shape[-2:])
        if masks and tuple(target["masks"].shape) != wanted:
            raise ValueError(
                f"targets[{place}]: masks must be {wanted}, one for each box in the size of the "
                f"image, got {tuple(target['masks'].shape)}"
            )
        # A NaN is on neither side of anything: written so that it is refused too.
        bad = torch.where(~(boxes[:, 2:] > boxes[:, :2]).all(dim=1))[0]
        if bad.numel():
            first = int(bad[0])
            raise ValueError(
                "All bounding boxes should have positive height and width. Found invalid box "
                f"{boxes[first].tolist()} for target at index {place}."
            )
