"""Mask R-CNN: He, Gkioxari, Dollár, Girshick, "Mask R-CNN" (2017): Faster R-CNN and a branch that
draws each object's mask (figure 4, right).

    mask_roi_pool  256 × 14 × 14
    mask_head      four 3 × 3 convolutions of 256
    predictor      a transposed convolution to 28 × 28, then one mask for each class
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from pellucid import Tensor, nn
from pellucid.models.detection._utils import renamed
from pellucid.models.detection.faster_rcnn import FasterRCNN, detector
from pellucid.models.weights import Weights
from pellucid.vision.ops import Conv2dNormActivation, MultiScaleRoIAlign

__all__ = [
    "MaskRCNN",
    "MaskRCNNHeads",
    "MaskRCNNPredictor",
    "MaskRCNN_ResNet18_FPN_Weights",
    "MaskRCNN_ResNet50_FPN_Weights",
    "maskrcnn_resnet18_fpn",
    "maskrcnn_resnet50_fpn",
]


class MaskRCNNHeads(nn.Sequential):
    """3 × 3 convolutions of `layers` channels, each with ReLU."""

    _version = 2

    def __init__(
        self,
        in_channels: int,
        layers: Sequence[int],
        dilation: int,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        blocks = []
        for features in layers:
            blocks.append(
                Conv2dNormActivation(
                    in_channels,
                    features,
                    kernel_size=3,
                    stride=1,
                    padding=dilation,
                    dilation=dilation,
                    norm_layer=norm_layer,
                )
            )
            in_channels = features
        super().__init__(*blocks)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, local_metadata: Any, *rest: Any
    ) -> None:
        version = local_metadata.get("version")
        if version is None or version < 2:
            for place in range(len(self)):
                renamed(state_dict, f"{prefix}mask_fcn{place + 1}", f"{prefix}{place}.0")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class MaskRCNNPredictor(nn.Sequential):
    """(L, C, 14, 14) to a mask for each class (L, K, 28, 28), as logits."""

    def __init__(self, in_channels: int, dim_reduced: int, num_classes: int) -> None:
        super().__init__(
            OrderedDict(
                [
                    ("conv5_mask", nn.ConvTranspose2d(in_channels, dim_reduced, 2, 2, 0)),
                    ("relu", nn.ReLU(inplace=True)),
                    ("mask_fcn_logits", nn.Conv2d(dim_reduced, num_classes, 1, 1, 0)),
                ]
            )
        )
        for name, parameter in self.named_parameters():
            if "weight" in name:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")


class MaskRCNN(FasterRCNN):
    """`FasterRCNN` with masks: targets need "masks" (L, H, W), detections have them."""

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int | None = None,
        *args: Any,
        mask_roi_pool: nn.Module | None = None,
        mask_head: nn.Module | None = None,
        mask_predictor: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        if (num_classes is None) == (mask_predictor is None):
            raise ValueError(
                "num_classes should be None when mask_predictor is specified, and given when it is "
                "not"
            )
        channels: Any = getattr(backbone, "out_channels", 0)
        pool = mask_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], 14, 2)
        head = mask_head or MaskRCNNHeads(channels, (256, 256, 256, 256), 1)
        if mask_predictor is None:
            assert num_classes is not None
            mask_predictor = MaskRCNNPredictor(256, 256, num_classes)
        super().__init__(backbone, num_classes, *args, **kwargs)
        self.roi_heads.mask_roi_pool = pool
        self.roi_heads.mask_head = head
        self.roi_heads.mask_predictor = mask_predictor


class MaskRCNN_ResNet50_FPN_Weights(Weights):
    """Published weights of `maskrcnn_resnet50_fpn`, for COCO's 91 classes."""

    COCO_V1 = (
        "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        44401393,
    )
    DEFAULT = COCO_V1


class MaskRCNN_ResNet18_FPN_Weights(Weights):
    """Nobody has published weights of `maskrcnn_resnet18_fpn`: give a file."""


def maskrcnn_resnet50_fpn(
    *,
    weights: Any = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: Any = None,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> MaskRCNN:
    """Mask R-CNN on ResNet-50 with a feature pyramid: `fasterrcnn_resnet50_fpn`'s arguments."""
    found: MaskRCNN = detector(
        "maskrcnn_resnet50_fpn",
        "resnet50",
        MaskRCNN,
        MaskRCNN_ResNet50_FPN_Weights,
        weights,
        num_classes,
        weights_backbone,
        trainable_backbone_layers,
        kwargs,
    )
    return found


def maskrcnn_resnet18_fpn(
    *,
    weights: Any = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: Any = None,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> MaskRCNN:
    """Mask R-CNN on ResNet-18 with a feature pyramid: `fasterrcnn_resnet50_fpn`'s arguments."""
    found: MaskRCNN = detector(
        "maskrcnn_resnet18_fpn",
        "resnet18",
        MaskRCNN,
        MaskRCNN_ResNet18_FPN_Weights,
        weights,
        num_classes,
        weights_backbone,
        trainable_backbone_layers,
        kwargs,
    )
    return found
