"""The region proposal network (Ren, He, Girshick, Sun 2015, "Faster R-CNN", section 3.1).

A 3 × 3 convolution slides over every level of the features; two 1 × 1 convolutions say of each of
the A anchors at a cell whether it is an object, and how its box differs.
"""

from __future__ import annotations

from typing import Any

import pellucid as torch
from pellucid import Tensor, nn
from pellucid.models.detection import _utils
from pellucid.models.detection.anchor_utils import AnchorGenerator
from pellucid.models.detection.image_list import ImageList
from pellucid.nn import functional as F
from pellucid.vision import ops
from pellucid.vision.ops import Conv2dNormActivation

Targets = list[dict[str, Tensor]]


class RPNHead(nn.Module):
    """Objectness (N, A, H, W) and differences (N, 4 A, H, W) of each level (figure 3)."""

    _version = 2

    def __init__(self, in_channels: int, num_anchors: int, conv_depth: int = 1) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(
                Conv2dNormActivation(in_channels, in_channels, kernel_size=3, norm_layer=None)
                for _ in range(conv_depth)
            )
        )
        self.cls_logits = nn.Conv2d(in_channels, num_anchors, kernel_size=1)
        self.bbox_pred = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.constant_(layer.bias, 0)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, local_metadata: Any, *rest: Any
    ) -> None:
        version = local_metadata.get("version")
        if version is None or version < 2:
            _utils.renamed(state_dict, f"{prefix}conv", f"{prefix}conv.0.0")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        shared = [self.conv(feature) for feature in x]
        return [self.cls_logits(t) for t in shared], [self.bbox_pred(t) for t in shared]


def _by_anchor(layer: Tensor, numbers: int) -> Tensor:
    """(N, A · numbers, H, W) as (N, H W A, numbers): the order of the anchors."""
    n, _, height, width = layer.shape
    moved = layer.reshape(n, -1, numbers, height, width).permute(0, 3, 4, 1, 2)
    return moved.reshape(n, -1, numbers)


class RegionProposalNetwork(nn.Module):
    """Proposals of each image, and in training the two losses of equation 1.

    Args:
        fg_iou_thresh, bg_iou_thresh: overlap from which an anchor is an object, below which it is
            background.
        batch_size_per_image, positive_fraction: anchors that the losses see.
        pre_nms_top_n, post_nms_top_n: proposals kept of each level before suppression and of each
            image after it, by "training" and "testing".
        nms_thresh: overlap from which the better proposal removes the other.
        score_thresh: least objectness.
    """

    def __init__(
        self,
        anchor_generator: AnchorGenerator,
        head: nn.Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        pre_nms_top_n: dict[str, int],
        post_nms_top_n: dict[str, int],
        nms_thresh: float,
        score_thresh: float = 0.0,
    ) -> None:
        super().__init__()
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_coder = _utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self.box_similarity = ops.box_iou
        self.proposal_matcher = _utils.Matcher(
            fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True
        )
        self.fg_bg_sampler = _utils.BalancedPositiveNegativeSampler(
            batch_size_per_image, positive_fraction
        )
        self._pre_nms_top_n = pre_nms_top_n
        self._post_nms_top_n = post_nms_top_n
        self.nms_thresh = nms_thresh
        self.score_thresh = score_thresh
        self.min_size = 1e-3

    def _phase(self) -> str:
        return "training" if self.training else "testing"

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: Targets
    ) -> tuple[list[Tensor], list[Tensor]]:
        """For each anchor 1 (object), 0 (background) or -1 (neither), and the box it is for."""
        labels, boxes = [], []
        for of_image, target in zip(anchors, targets, strict=True):
            truth = target["boxes"]
            if truth.numel() == 0:
                boxes.append(torch.zeros_like(of_image))
                labels.append(torch.zeros(len(of_image)))
                continue
            matched = self.proposal_matcher(self.box_similarity(truth, of_image))
            boxes.append(truth[matched.clamp(min=0)])
            label = (matched >= 0).to(torch.float32)
            label[matched == _utils.Matcher.BETWEEN_THRESHOLDS] = -1.0
            labels.append(label)
        return labels, boxes

    def filter_proposals(
        self,
        proposals: Tensor,
        objectness: Tensor,
        image_shapes: list[tuple[int, int]],
        num_anchors_per_level: list[int],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The best proposals (N, anchors, 4) of each image, after suppression within each level."""
        objectness = objectness.detach().reshape(len(proposals), -1)
        levels, chosen, start = [], [], 0
        for level, count in enumerate(num_anchors_per_level):
            most = min(self._pre_nms_top_n[self._phase()], count)
            best = objectness[:, start : start + count].topk(most, dim=1)[1] + start
            chosen.append(best)
            levels.append(torch.full((most,), level, dtype=torch.int64))
            start += count
        top, level_of = torch.cat(chosen, 1), torch.cat(levels)
        batch = torch.arange(len(proposals))[:, None]
        scores_of = torch.sigmoid(objectness[batch, top])
        boxes_of = proposals[batch, top]
        kept_boxes, kept_scores = [], []
        for boxes, scores, shape in zip(boxes_of, scores_of, image_shapes, strict=True):
            boxes = ops.clip_boxes_to_image(boxes, shape)
            keep = ops.boxes.remove_small_boxes(boxes, self.min_size)
            keep = keep[scores[keep] >= self.score_thresh]
            kept = ops.batched_nms(boxes[keep], scores[keep], level_of[keep], self.nms_thresh)
            keep = keep[kept[: self._post_nms_top_n[self._phase()]]]
            kept_boxes.append(boxes[keep])
            kept_scores.append(scores[keep])
        return kept_boxes, kept_scores

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: list[Tensor],
        regression_targets: tuple[Tensor, ...],
    ) -> tuple[Tensor, Tensor]:
        """Equation 1: L_cls over the anchors drawn, L_reg over the objects among them."""
        positive, negative = self.fg_bg_sampler(labels)
        objects = torch.where(torch.cat(positive))[0]
        drawn = torch.cat([objects, torch.where(torch.cat(negative))[0]])
        all_labels, all_targets = torch.cat(labels), torch.cat(list(regression_targets))
        box_loss = F.smooth_l1_loss(
            pred_bbox_deltas[objects], all_targets[objects], beta=1 / 9, reduction="sum"
        ) / max(drawn.numel(), 1)
        objectness_loss = F.binary_cross_entropy_with_logits(
            objectness.flatten()[drawn], all_labels[drawn]
        )
        return objectness_loss, box_loss

    def forward(
        self, images: ImageList, features: dict[str, Tensor], targets: Targets | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposals (L, 4) of each image, and the losses (none in evaluation)."""
        levels = list(features.values())
        objectness, deltas = self.head(levels)
        anchors = self.anchor_generator(images, levels)
        counts = [o.shape[1] * o.shape[2] * o.shape[3] for o in objectness]
        scores = torch.cat([_by_anchor(o, 1) for o in objectness], 1).reshape(-1, 1)
        differences = torch.cat([_by_anchor(d, 4) for d in deltas], 1).reshape(-1, 4)
        # Proposals are inputs of what follows, not a way back: they have no gradient.
        proposals = self.box_coder.decode(differences.detach(), anchors)
        proposals = proposals.reshape(len(anchors), -1, 4)
        boxes, _ = self.filter_proposals(proposals, scores, images.image_sizes, counts)
        if not self.training:
            return boxes, {}
        if targets is None:
            raise ValueError("targets should not be None")
        labels, truth = self.assign_targets_to_anchors(anchors, targets)
        wanted = self.box_coder.encode(truth, anchors)
        loss_objectness, loss_box = self.compute_loss(scores, differences, labels, wanted)
        return boxes, {"loss_objectness": loss_objectness, "loss_rpn_box_reg": loss_box}
