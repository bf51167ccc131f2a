"""RoI Pooling (Girshick 2015, "Fast R-CNN"): regions of a feature map in whole cells."""

from __future__ import annotations

from pellucid.nn.module import Module
from pellucid.ops.detection import pool
from pellucid.ops.detection.checks import pooled_size, scale_of
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops._utils import Boxes, as_rows


def roi_pool(
    input: Tensor,
    boxes: Boxes,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
) -> Tensor:
    """The largest cell in each bin of each region: (K, C, height, width).

    A box is scaled, rounded to whole cells (halves away from zero) and counts its last cell; its
    bins are rounded outwards. Bins off the map are 0. `input` and `boxes` are as in `roi_align`,
    and so are the errors.
    """
    rows = as_rows(boxes)
    size = pooled_size("roi_pool", output_size)
    out: Tensor = pool.roi_pool(input, rows, scale_of("roi_pool", spatial_scale), size)[0]
    return out.to(input.dtype)


class RoIPool(Module):
    """`roi_pool` as a module."""

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Tensor, rois: Boxes) -> Tensor:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale})"
        )
