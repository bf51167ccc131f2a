"""Detectors of two stages: Faster R-CNN, Mask R-CNN. Names and parameters are torchvision's."""

from pellucid.models.detection.faster_rcnn import *  # noqa: F403
from pellucid.models.detection.mask_rcnn import *  # noqa: F403
from pellucid.models.registry import BUILDERS

_names = globals()
for _name in (
    "fasterrcnn_resnet18_fpn",
    "fasterrcnn_resnet50_fpn",
    "maskrcnn_resnet18_fpn",
    "maskrcnn_resnet50_fpn",
):
    BUILDERS[_name] = _names[_name]
