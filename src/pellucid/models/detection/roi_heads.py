"""What becomes of proposals: a class, a better box, a mask (Girshick 2015, "Fast R-CNN"; He et al.
2017, "Mask R-CNN").

`box_roi_pool` and `mask_roi_pool` cut proposals out of the features: RoI Align
(`MultiScaleRoIAlign`) or RoI Pooling (`MultiScaleRoIPool`), each in the other's place.
"""

from __future__ import annotations

from typing import Any

import pellucid as torch
from pellucid import Tensor, nn
from pellucid.models.detection import _utils
from pellucid.models.detection.masks import maskrcnn_inference, maskrcnn_loss
from pellucid.nn import functional as F
from pellucid.vision import ops

Targets = list[dict[str, Tensor]]


def fastrcnn_loss(
    class_logits: Tensor,
    box_regression: Tensor,
    labels: list[Tensor],
    regression_targets: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor]:
    """Fast R-CNN's equation 1: cross entropy of the class, smooth L1 of the true class's box."""
    classes, targets = torch.cat(labels), torch.cat(list(regression_targets))
    classification = F.cross_entropy(class_logits, classes)
    objects = torch.where(classes > 0)[0]
    boxes = box_regression.reshape(len(classes), -1, 4)
    box_loss = F.smooth_l1_loss(
        boxes[objects, classes[objects]], targets[objects], beta=1 / 9, reduction="sum"
    )
    return classification, box_loss / max(classes.numel(), 1)


class RoIHeads(nn.Module):
    """The second stage. Without the three `mask_…` modules there are boxes only."""

    def __init__(
        self,
        box_roi_pool: nn.Module,
        box_head: nn.Module,
        box_predictor: nn.Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        bbox_reg_weights: tuple[float, float, float, float] | None,
        score_thresh: float,
        nms_thresh: float,
        detections_per_img: int,
        mask_roi_pool: nn.Module | None = None,
        mask_head: nn.Module | None = None,
        mask_predictor: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.box_similarity = ops.box_iou
        self.proposal_matcher = _utils.Matcher(fg_iou_thresh, bg_iou_thresh)
        self.fg_bg_sampler = _utils.BalancedPositiveNegativeSampler(
            batch_size_per_image, positive_fraction
        )
        self.box_coder = _utils.BoxCoder(bbox_reg_weights or (10.0, 10.0, 5.0, 5.0))
        self.box_roi_pool = box_roi_pool
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.mask_roi_pool = mask_roi_pool
        self.mask_head = mask_head
        self.mask_predictor = mask_predictor

    def has_mask(self) -> bool:
        """Whether detections get masks."""
        parts = (self.mask_roi_pool, self.mask_head, self.mask_predictor)
        return all(part is not None for part in parts)

    def assign_targets_to_proposals(
        self, proposals: list[Tensor], gt_boxes: list[Tensor], gt_labels: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The object each proposal answers for, and its class (0 background, -1 neither)."""
        matched, labels = [], []
        for boxes, truth, classes in zip(proposals, gt_boxes, gt_labels, strict=True):
            if truth.numel() == 0:
                matched.append(torch.zeros(len(boxes), dtype=torch.int64))
                labels.append(torch.zeros(len(boxes), dtype=torch.int64))
                continue
            found = self.proposal_matcher(self.box_similarity(truth, boxes))
            label = classes[found.clamp(min=0)].to(torch.int64)
            label[found == _utils.Matcher.BELOW_LOW_THRESHOLD] = 0
            label[found == _utils.Matcher.BETWEEN_THRESHOLDS] = -1
            matched.append(found.clamp(min=0))
            labels.append(label)
        return matched, labels

    def select_training_samples(
        self, proposals: list[Tensor], targets: Targets
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], tuple[Tensor, ...]]:
        """Proposals drawn for the losses (the true boxes among them), with what they should say."""
        kind = proposals[0].dtype
        gt_boxes = [target["boxes"].to(kind) for target in targets]
        gt_labels = [target["labels"] for target in targets]
        proposals = [
            torch.cat((boxes, truth)) for boxes, truth in zip(proposals, gt_boxes, strict=True)
        ]
        matched, labels = self.assign_targets_to_proposals(proposals, gt_boxes, gt_labels)
        positive, negative = self.fg_bg_sampler(labels)
        matched_boxes = []
        for image in range(len(proposals)):
            drawn = torch.where(positive[image] | negative[image])[0]
            proposals[image] = proposals[image][drawn]
            labels[image] = labels[image][drawn]
            matched[image] = matched[image][drawn]
            truth = gt_boxes[image] if len(gt_boxes[image]) else torch.zeros((1, 4), dtype=kind)
            matched_boxes.append(truth[matched[image]])
        return proposals, matched, labels, self.box_coder.encode(matched_boxes, proposals)

    def postprocess_detections(
        self,
        class_logits: Tensor,
        box_regression: Tensor,
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Boxes, scores and classes of each image: suppressed within each class, the best first."""
        counts = [len(boxes) for boxes in proposals]
        boxes_of = self.box_coder.decode(box_regression, proposals).split(counts, 0)
        scores_of = F.softmax(class_logits, -1).split(counts, 0)
        classes = class_logits.shape[-1]
        all_boxes, all_scores, all_labels = [], [], []
        for boxes, scores, shape in zip(boxes_of, scores_of, image_shapes, strict=True):
            # Class 0 is the background; every other class has a box and a score of its own.
            boxes = ops.clip_boxes_to_image(boxes, shape)[:, 1:].reshape(-1, 4)
            scores = scores[:, 1:]
            labels = torch.arange(1, classes).expand(len(scores), -1).reshape(-1)
            scores = scores.reshape(-1)
            keep = torch.where(scores > self.score_thresh)[0]
            keep = keep[ops.remove_small_boxes(boxes[keep], min_size=1e-2)]
            best = ops.batched_nms(boxes[keep], scores[keep], labels[keep], self.nms_thresh)
            keep = keep[best[: self.detections_per_img]]
            all_boxes.append(boxes[keep])
            all_scores.append(scores[keep])
            all_labels.append(labels[keep])
        return all_boxes, all_scores, all_labels

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: Targets | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Detections of each image (none in training), and the losses (none in evaluation)."""
        matched: list[Tensor] = []
        labels: list[Tensor] = []
        wanted: tuple[Tensor, ...] = ()
        if self.training:
            if targets is None:
                raise ValueError("targets should not be None")
            proposals, matched, labels, wanted = self.select_training_samples(proposals, targets)

        box_features = self.box_roi_pool(features, proposals, image_shapes)  # L × C × 7 × 7
        box_features = self.box_head(box_features)  # L × 1024
        class_logits, box_regression = self.box_predictor(box_features)  # L × K, L × 4 K

        detections: list[dict[str, Tensor]] = []
        losses: dict[str, Tensor] = {}
        if self.training:
            classification, boxes = fastrcnn_loss(class_logits, box_regression, labels, wanted)
            losses = {"loss_classifier": classification, "loss_box_reg": boxes}
        else:
            found = self.postprocess_detections(
                class_logits, box_regression, proposals, image_shapes
            )
            detections = [
                {"boxes": boxes, "labels": names, "scores": scores}
                for boxes, scores, names in zip(*found, strict=True)
            ]
        if self.has_mask():
            self._masks(
                features, proposals, matched, labels, image_shapes, targets, detections, losses
            )
        return detections, losses

    def _masks(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        matched: list[Tensor],
        labels: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: Targets | None,
        detections: list[dict[str, Tensor]],
        losses: dict[str, Tensor],
    ) -> None:
        """The mask branch: in training for the proposals that are objects, else for detections."""
        if self.training:
            objects = [torch.where(label > 0)[0] for label in labels]
            boxes = [each[i] for each, i in zip(proposals, objects, strict=True)]
            matched = [each[i] for each, i in zip(matched, objects, strict=True)]
        else:
            boxes = [each["boxes"] for each in detections]
        pool: Any = self.mask_roi_pool
        head: Any = self.mask_head
        predictor: Any = self.mask_predictor
        mask_features = pool(features, boxes, image_shapes)  # L × C × 14 × 14
        logits = predictor(head(mask_features))  # L × K × 28 × 28
        if self.training:
            assert targets is not None
            truth = [target["masks"] for target in targets]
            classes = [target["labels"] for target in targets]
            losses["loss_mask"] = maskrcnn_loss(logits, boxes, truth, classes, matched)
        else:
            found = maskrcnn_inference(logits, [each["labels"] for each in detections])
            for detection, mask in zip(detections, found, strict=True):
                detection["masks"] = mask
