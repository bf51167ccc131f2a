"""Position-sensitive RoI Align (Li et al. 2018, "Light-Head R-CNN")."""

from __future__ import annotations

from pellucid.nn.module import Module
from pellucid.ops.detection.checks import pooled_size, sampling_of, scale_of
from pellucid.ops.detection.kernels_align import Geometry
from pellucid.ops.detection.position_sensitive import ps_roi
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops._utils import Boxes, as_rows


def ps_roi_align(
    input: Tensor,
    boxes: Boxes,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
) -> Tensor:
    """Bilinear samples averaged in bins, each bin from its own channels: (K, C', height, width).

    `input` is (N, C' · height · width, H, W): bin (p, q) of channel c reads channel
    (c · height + p) · width + q. The box moves by half a cell. Regions without a sampling point
    (zero width or height, adaptive sampling) give NaN. The rest is as in `roi_align`.
    """
    rows = as_rows(boxes)
    height, width = pooled_size("ps_roi_align", output_size)
    geometry = Geometry(
        scale_of("ps_roi_align", spatial_scale),
        (height, width),
        sampling_of("ps_roi_align", sampling_ratio),
        0.5,
        None,
    )
    out: Tensor = ps_roi(input, rows, geometry, "align")
    return out.to(input.dtype)


class PSRoIAlign(Module):
    """`ps_roi_align` as a module."""

    def __init__(
        self, output_size: int | tuple[int, int], spatial_scale: float, sampling_ratio: int
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio

    def forward(self, input: Tensor, rois: Boxes) -> Tensor:
        return ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio})"
        )
