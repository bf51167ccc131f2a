"""Position-sensitive RoI Pooling (Dai et al. 2016, "R-FCN")."""

from __future__ import annotations

from pellucid.nn.module import Module
from pellucid.ops.detection.checks import pooled_size, scale_of
from pellucid.ops.detection.kernels_align import Geometry
from pellucid.ops.detection.position_sensitive import ps_roi
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops._utils import Boxes, as_rows


def ps_roi_pool(
    input: Tensor,
    boxes: Boxes,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
) -> Tensor:
    """Averages of whole cells in bins, each bin from its own channels: (K, C', height, width).

    `input` is (N, C' · height · width, H, W), as in `ps_roi_align`. The box is rounded to whole
    cells and does not count its last one.
    """
    rows = as_rows(boxes)
    height, width = pooled_size("ps_roi_pool", output_size)
    geometry = Geometry(scale_of("ps_roi_pool", spatial_scale), (height, width), 0, 0.0, None)
    out: Tensor = ps_roi(input, rows, geometry, "pool")
    return out.to(input.dtype)


class PSRoIPool(Module):
    """`ps_roi_pool` as a module."""

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Tensor, rois: Boxes) -> Tensor:
        return ps_roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale})"
        )
