"""torchvision's operators: regions, boxes, suppression, losses, and layers of vision models."""

from pellucid.vision.ops.boxes import batched_nms as batched_nms
from pellucid.vision.ops.boxes import box_area as box_area
from pellucid.vision.ops.boxes import box_convert as box_convert
from pellucid.vision.ops.boxes import box_iou as box_iou
from pellucid.vision.ops.boxes import clip_boxes_to_image as clip_boxes_to_image
from pellucid.vision.ops.boxes import complete_box_iou as complete_box_iou
from pellucid.vision.ops.boxes import distance_box_iou as distance_box_iou
from pellucid.vision.ops.boxes import generalized_box_iou as generalized_box_iou
from pellucid.vision.ops.boxes import masks_to_boxes as masks_to_boxes
from pellucid.vision.ops.boxes import nms as nms
from pellucid.vision.ops.boxes import remove_small_boxes as remove_small_boxes
from pellucid.vision.ops.ciou_loss import complete_box_iou_loss as complete_box_iou_loss
from pellucid.vision.ops.deform_conv import DeformConv2d as DeformConv2d
from pellucid.vision.ops.deform_conv import deform_conv2d as deform_conv2d
from pellucid.vision.ops.diou_loss import distance_box_iou_loss as distance_box_iou_loss
from pellucid.vision.ops.drop_block import DropBlock2d as DropBlock2d
from pellucid.vision.ops.drop_block import DropBlock3d as DropBlock3d
from pellucid.vision.ops.drop_block import drop_block2d as drop_block2d
from pellucid.vision.ops.drop_block import drop_block3d as drop_block3d
from pellucid.vision.ops.feature_pyramid_network import (
    FeaturePyramidNetwork as FeaturePyramidNetwork,
)
from pellucid.vision.ops.focal_loss import sigmoid_focal_loss as sigmoid_focal_loss
from pellucid.vision.ops.giou_loss import generalized_box_iou_loss as generalized_box_iou_loss
from pellucid.vision.ops.misc import MLP as MLP
from pellucid.vision.ops.misc import Conv2dNormActivation as Conv2dNormActivation
from pellucid.vision.ops.misc import Conv3dNormActivation as Conv3dNormActivation
from pellucid.vision.ops.misc import FrozenBatchNorm2d as FrozenBatchNorm2d
from pellucid.vision.ops.misc import Permute as Permute
from pellucid.vision.ops.misc import SqueezeExcitation as SqueezeExcitation
from pellucid.vision.ops.poolers import MultiScaleRoIAlign as MultiScaleRoIAlign
from pellucid.vision.ops.poolers import MultiScaleRoIPool as MultiScaleRoIPool
from pellucid.vision.ops.ps_roi_align import PSRoIAlign as PSRoIAlign
from pellucid.vision.ops.ps_roi_align import ps_roi_align as ps_roi_align
from pellucid.vision.ops.ps_roi_pool import PSRoIPool as PSRoIPool
from pellucid.vision.ops.ps_roi_pool import ps_roi_pool as ps_roi_pool
from pellucid.vision.ops.roi_align import RoIAlign as RoIAlign
from pellucid.vision.ops.roi_align import roi_align as roi_align
from pellucid.vision.ops.roi_pool import RoIPool as RoIPool
from pellucid.vision.ops.roi_pool import roi_pool as roi_pool
from pellucid.vision.ops.stochastic_depth import StochasticDepth as StochasticDepth
from pellucid.vision.ops.stochastic_depth import stochastic_depth as stochastic_depth
