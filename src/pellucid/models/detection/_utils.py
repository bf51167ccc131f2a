"""Which box answers for which object, which boxes a loss sees, and how a box is written down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pellucid as torch
from pellucid import Tensor, nn
from pellucid.vision.ops import FrozenBatchNorm2d


class BoxCoder:
    """Boxes as differences from reference boxes (Girshick et al. 2014, appendix C; Ren et al. 2015,
    equation 2):

        t_x = (x - x_a) / w_a    t_y = (y - y_a) / h_a    t_w = log(w / w_a)    t_h = log(h / h_a)

    times `weights`, with (x, y) the centres and a the reference (an anchor or a proposal).
    """

    def __init__(
        self,
        weights: tuple[float, float, float, float],
        bbox_xform_clip: float = math.log(1000.0 / 16),
    ) -> None:
        self.weights = weights
        self.bbox_xform_clip = bbox_xform_clip
        """The largest t_w and t_h: a box grows at most by this, whatever a network says."""

    def encode(
        self, reference_boxes: Sequence[Tensor], proposals: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """The differences (L, 4) of each image: what the network should have said."""
        counts = [len(boxes) for boxes in reference_boxes]
        found = self.encode_single(
            torch.cat(list(reference_boxes), dim=0), torch.cat(list(proposals), dim=0)
        )
        return tuple(found.split(counts, 0))

    def encode_single(self, reference_boxes: Tensor, proposals: Tensor) -> Tensor:
        """The differences of (L, 4) `reference_boxes` from (L, 4) `proposals`."""
        weights = torch.as_tensor(self.weights, dtype=reference_boxes.dtype)
        x, y, w, h = _centres(reference_boxes)
        xa, ya, wa, ha = _centres(proposals)
        differences = [(x - xa) / wa, (y - ya) / ha, torch.log(w / wa), torch.log(h / ha)]
        return torch.stack(differences, dim=1) * weights

    def decode(self, rel_codes: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """The boxes (L, classes, 4) that the differences (L, 4 · classes) mean."""
        count = sum(len(each) for each in boxes)
        found = self.decode_single(rel_codes.reshape(count, -1), torch.cat(list(boxes), dim=0))
        return found.reshape(count, -1, 4)

    def decode_single(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        """The boxes that (L, 4 · classes) differences from (L, 4) boxes mean: (L, 4 · classes)."""
        xa, ya, wa, ha = (each[:, None] for each in _centres(boxes.to(rel_codes.dtype)))
        wx, wy, ww, wh = self.weights
        w = torch.exp((rel_codes[:, 2::4] / ww).clamp(max=self.bbox_xform_clip)) * wa
        h = torch.exp((rel_codes[:, 3::4] / wh).clamp(max=self.bbox_xform_clip)) * ha
        x = rel_codes[:, 0::4] / wx * wa + xa
        y = rel_codes[:, 1::4] / wy * ha + ya
        corners = (x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h)
        return torch.stack(corners, dim=2).flatten(1)


def _centres(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centre and size of (L, 4) boxes, (L,) each."""
    x1, y1, x2, y2 = boxes.unbind(1)
    w, h = x2 - x1, y2 - y1
    return x1 + 0.5 * w, y1 + 0.5 * h, w, h


class Matcher:
    """Which object each box answers for (Ren et al. 2015, section 3.1.2): the one it overlaps most.

    Below `low_threshold` it is background, between the two it answers for nothing. With
    `allow_low_quality_matches` the best box of an object answers for it however little they
    overlap, so that every object has one.
    """

    BELOW_LOW_THRESHOLD = -1
    BETWEEN_THRESHOLDS = -2

    def __init__(
        self,
        high_threshold: float,
        low_threshold: float,
        allow_low_quality_matches: bool = False,
    ) -> None:
        if low_threshold > high_threshold:
            raise ValueError("low_threshold should be <= high_threshold")
        self.high_threshold = high_threshold
        self.low_threshold = low_threshold
        self.allow_low_quality_matches = allow_low_quality_matches

    def __call__(self, match_quality_matrix: Tensor) -> Tensor:
        """The object of each box, from the overlaps (objects, L): (L,), -1 or -2 for none."""
        if match_quality_matrix.numel() == 0:
            empty = "ground-truth" if match_quality_matrix.shape[0] == 0 else "proposal"
            raise ValueError(f"No {empty} boxes available for one of the images during training")
        overlap, matches = match_quality_matrix.max(dim=0)
        everything = matches.clone()
        matches[overlap < self.low_threshold] = self.BELOW_LOW_THRESHOLD
        between = (overlap >= self.low_threshold) & (overlap < self.high_threshold)
        matches[between] = self.BETWEEN_THRESHOLDS
        if self.allow_low_quality_matches:
            best = match_quality_matrix.max(dim=1).values
            _, boxes = torch.where(match_quality_matrix == best[:, None])
            matches[boxes] = everything[boxes]
        return matches


class BalancedPositiveNegativeSampler:
    """At most `batch_size_per_image` boxes of each image, at most a share of them objects."""

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction

    def __call__(self, matched_idxs: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Masks of the objects and of the background drawn, from labels (1 or more, 0, or -1)."""
        chosen_positive: list[Tensor] = []
        chosen_negative: list[Tensor] = []
        for labels in matched_idxs:
            positive, negative = torch.where(labels >= 1)[0], torch.where(labels == 0)[0]
            most = int(self.batch_size_per_image * self.positive_fraction)
            count = min(len(positive), most)
            rest = min(len(negative), self.batch_size_per_image - count)
            for places, number, masks in (
                (positive, count, chosen_positive),
                (negative, rest, chosen_negative),
            ):
                mask = torch.zeros_like(labels, dtype=torch.uint8)
                mask[places[torch.randperm(len(places))[:number]]] = 1
                masks.append(mask)
        return chosen_positive, chosen_negative


def overwrite_eps(model: nn.Module, eps: float) -> None:
    """Set eps of every frozen normalisation: the published COCO detectors were trained with 0."""
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = eps


def renamed(state_dict: dict[str, Tensor], old: str, new: str) -> None:
    """Take what a checkpoint calls `old` under `new`, weight and bias."""
    for name in ("weight", "bias"):
        if f"{old}.{name}" in state_dict:
            state_dict[f"{new}.{name}"] = state_dict.pop(f"{old}.{name}")
