"""Faster R-CNN: Ren, He, Girshick, Sun, "Faster R-CNN: Towards Real-Time Object Detection with
Region Proposal Networks" (2015), on a feature pyramid (Lin et al. 2017).

    image        3 × H × W
    backbone     256 channels at strides 4, 8, 16, 32, 64
    rpn          at every cell 3 anchors: objectness and 4 differences each; the best 1000 go on
    box_roi_pool 256 × 7 × 7 from the level that suits the proposal's size
    box_head     two layers of 1024
    predictor    a class, and 4 differences for each class
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid import Tensor, nn
from pellucid.models import resnet
from pellucid.models.detection._utils import overwrite_eps
from pellucid.models.detection.anchor_utils import AnchorGenerator
from pellucid.models.detection.backbone_utils import pyramid_on
from pellucid.models.detection.generalized_rcnn import GeneralizedRCNN
from pellucid.models.detection.roi_heads import RoIHeads
from pellucid.models.detection.rpn import RegionProposalNetwork, RPNHead
from pellucid.models.detection.transform import GeneralizedRCNNTransform
from pellucid.models.weights import Weights, build
from pellucid.nn import functional as F
from pellucid.vision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

__all__ = [
    "FasterRCNN",
    "FasterRCNN_ResNet18_FPN_Weights",
    "FasterRCNN_ResNet50_FPN_Weights",
    "FastRCNNPredictor",
    "TwoMLPHead",
    "fasterrcnn_resnet18_fpn",
    "fasterrcnn_resnet50_fpn",
]


class TwoMLPHead(nn.Module):
    """Two fully connected layers: (L, C, P, Q) to (L, representation_size)."""

    def __init__(self, in_channels: int, representation_size: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_channels, representation_size)
        self.fc7 = nn.Linear(representation_size, representation_size)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(start_dim=1)
        return F.relu(self.fc7(F.relu(self.fc6(x))))


class FastRCNNPredictor(nn.Module):
    """Scores (L, K) of the classes, background first, and differences (L, 4 K) for each."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, num_classes * 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.flatten(start_dim=1)
        return self.cls_score(x), self.bbox_pred(x)


def default_anchors() -> AnchorGenerator:
    """One size and three aspects at each of five levels."""
    sizes = ((32,), (64,), (128,), (256,), (512,))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))


class FasterRCNN(GeneralizedRCNN):
    """A detector on `backbone`, which has `out_channels`. See `GeneralizedRCNN.forward`.

    `num_classes` counts the background; it is None where `box_predictor` is given. Arguments of the
    three parts begin with `rpn_` and `box_`; their defaults are the paper's and torchvision's.
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int | None = None,
        min_size: int | Sequence[int] = 800,
        max_size: int = 1333,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        rpn_anchor_generator: AnchorGenerator | None = None,
        rpn_head: nn.Module | None = None,
        rpn_pre_nms_top_n_train: int = 2000,
        rpn_pre_nms_top_n_test: int = 1000,
        rpn_post_nms_top_n_train: int = 2000,
        rpn_post_nms_top_n_test: int = 1000,
        rpn_nms_thresh: float = 0.7,
        rpn_fg_iou_thresh: float = 0.7,
        rpn_bg_iou_thresh: float = 0.3,
        rpn_batch_size_per_image: int = 256,
        rpn_positive_fraction: float = 0.5,
        rpn_score_thresh: float = 0.0,
        box_roi_pool: nn.Module | None = None,
        box_head: nn.Module | None = None,
        box_predictor: nn.Module | None = None,
        box_score_thresh: float = 0.05,
        box_nms_thresh: float = 0.5,
        box_detections_per_img: int = 100,
        box_fg_iou_thresh: float = 0.5,
        box_bg_iou_thresh: float = 0.5,
        box_batch_size_per_image: int = 512,
        box_positive_fraction: float = 0.25,
        bbox_reg_weights: tuple[float, float, float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        channels = getattr(backbone, "out_channels", None)
        if channels is None:
            raise ValueError(
                "backbone should contain an attribute out_channels specifying the number of output "
                "channels (assumed to be the same for all the levels)"
            )
        if (num_classes is None) == (box_predictor is None):
            raise ValueError(
                "num_classes should be None when box_predictor is specified, and given when it is "
                "not"
            )
        anchors = rpn_anchor_generator or default_anchors()
        head = rpn_head or RPNHead(channels, anchors.num_anchors_per_location()[0])
        rpn = RegionProposalNetwork(
            anchors,
            head,
            rpn_fg_iou_thresh,
            rpn_bg_iou_thresh,
            rpn_batch_size_per_image,
            rpn_positive_fraction,
            {"training": rpn_pre_nms_top_n_train, "testing": rpn_pre_nms_top_n_test},
            {"training": rpn_post_nms_top_n_train, "testing": rpn_post_nms_top_n_test},
            rpn_nms_thresh,
            rpn_score_thresh,
        )
        pool: Any = box_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
        if box_head is None:
            cells = pool.output_size[0] * pool.output_size[1]
            box_head = TwoMLPHead(channels * cells, 1024)
        if box_predictor is None:
            assert num_classes is not None
            box_predictor = FastRCNNPredictor(1024, num_classes)
        roi_heads = RoIHeads(
            pool,
            box_head,
            box_predictor,
            box_fg_iou_thresh,
            box_bg_iou_thresh,
            box_batch_size_per_image,
            box_positive_fraction,
            bbox_reg_weights,
            box_score_thresh,
            box_nms_thresh,
            box_detections_per_img,
        )
        transform = GeneralizedRCNNTransform(
            min_size,
            max_size,
            image_mean or [0.485, 0.456, 0.406],
            image_std or [0.229, 0.224, 0.225],
            **kwargs,
        )
        super().__init__(backbone, rpn, roi_heads, transform)


class FasterRCNN_ResNet50_FPN_Weights(Weights):
    """Published weights of `fasterrcnn_resnet50_fpn`, for COCO's 91 classes."""

    COCO_V1 = (
        "https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        41755286,
    )
    DEFAULT = COCO_V1


class FasterRCNN_ResNet18_FPN_Weights(Weights):
    """Nobody has published weights of `fasterrcnn_resnet18_fpn`: give a file."""


def no_kind(state: Any) -> str | None:
    """Detectors are not told apart by their keys."""
    return None


def detector(
    name: str,
    backbone_name: str,
    model: type[FasterRCNN],
    known: type[Weights],
    weights: Any,
    num_classes: int | None,
    weights_backbone: Any,
    trainable_backbone_layers: int | None,
    arguments: dict[str, Any],
) -> Any:
    """Build a detector on a ResNet with a pyramid, with weights for all of it or its backbone."""
    trained = weights is not None or weights_backbone is not None
    layers = (
        (3 if trainable_backbone_layers is None else trainable_backbone_layers) if trained else 5
    )
    if num_classes is not None:
        arguments["num_classes"] = num_classes
    elif weights is None and "box_predictor" not in arguments:
        arguments["num_classes"] = 91  # COCO's

    def make(**chosen: Any) -> FasterRCNN:
        network = getattr(resnet, backbone_name)(
            weights=None if weights is not None else weights_backbone,
            norm_layer=FrozenBatchNorm2d if trained else nn.BatchNorm2d,
        )
        return model(pyramid_on(network, layers), **chosen)

    head = "roi_heads.box_predictor.cls_score"
    found = build(name, make, known, weights, head, arguments, no_kind)
    if trained and known.verify(weights) in tuple(known):
        overwrite_eps(found, 0.0)
    return found


def fasterrcnn_resnet50_fpn(
    *,
    weights: Any = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: Any = None,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> FasterRCNN:
    """Faster R-CNN on ResNet-50 with a feature pyramid.

    Args:
        weights: None for random weights; a file, a state dict, or a member of
            `FasterRCNN_ResNet50_FPN_Weights`, whose file must have been fetched before.
        num_classes: with the background; COCO's 91, or as many as `weights` has, if it is None.
        weights_backbone: the same for the ResNet alone; None here, where torchvision's default
            downloads.
        trainable_backbone_layers: parts of a backbone with weights that train, counted from the
            last: 0 to 5, usually 3.
        **kwargs: arguments of `FasterRCNN`.
    """
    return detector(
        "fasterrcnn_resnet50_fpn",
        "resnet50",
        FasterRCNN,
        FasterRCNN_ResNet50_FPN_Weights,
        weights,
        num_classes,
        weights_backbone,
        trainable_backbone_layers,
        kwargs,
    )


def fasterrcnn_resnet18_fpn(
    *,
    weights: Any = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: Any = None,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> FasterRCNN:
    """Faster R-CNN on ResNet-18 with a feature pyramid: `fasterrcnn_resnet50_fpn`'s arguments."""
    return detector(
        "fasterrcnn_resnet18_fpn",
        "resnet18",
        FasterRCNN,
        FasterRCNN_ResNet18_FPN_Weights,
        weights,
        num_classes,
        weights_backbone,
        trainable_backbone_layers,
        kwargs,
    )
