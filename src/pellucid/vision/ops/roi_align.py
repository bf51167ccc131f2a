"""RoI Align (He et al. 2017, "Mask R-CNN"): regions of a feature map, interpolated."""

from __future__ import annotations

from pellucid.nn.module import Module
from pellucid.ops.arguments import type_name
from pellucid.ops.detection import align
from pellucid.ops.detection.checks import pooled_size, sampling_of, scale_of
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops._utils import Boxes, as_rows

MODES = ("avg", "max")


def roi_align(
    input: Tensor,
    boxes: Boxes,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
    mode: str = "avg",
) -> Tensor:
    """Bilinear samples of each region, averaged in bins: (K, C, height, width).

    `input` (N, C, H, W) are features; `boxes` are Tensor[K, 5] rows of (image, x1, y1, x2, y2) or a
    list of Tensor[L, 4], one for each image, in coordinates that `spatial_scale` turns into cells.
    Each bin is sampled at `sampling_ratio` points along either side; 0 or less takes about one for
    each cell. With `aligned` the box moves by half a cell, so that cell centres lie at whole
    numbers plus a half, and may be smaller than one cell; without it, it is at least one cell wide
    and high. `mode` "max" takes the largest sample of a bin in place of the average (torchvision
    has the average only). The features have gradients of any order, the boxes none.

    Raises: AssertionError for boxes of another shape; RuntimeError for unequal dtypes; ValueError
    for boxes that are not finite, or of images that are not there.
    """
    if mode not in MODES:
        raise ValueError(f"roi_align: mode must be 'avg' or 'max', got {mode!r}")
    if isinstance(sampling_ratio, bool) or not hasattr(sampling_ratio, "__index__"):
        raise TypeError(
            f"roi_align: sampling_ratio must be int, not {type_name(sampling_ratio)}\n"
            "  0 or -1 chooses the number of points by the size of the region."
        )
    rows = as_rows(boxes)
    geometry = align.geometry_of(
        scale_of("roi_align", spatial_scale),
        pooled_size("roi_align", output_size),
        sampling_of("roi_align", sampling_ratio),
        aligned,
    )
    operator = align.roi_align if mode == "avg" else align.roi_align_max
    found = operator(input, rows, geometry)
    result: Tensor = found if mode == "avg" else found[0]
    return result.to(input.dtype)


class RoIAlign(Module):
    """`roi_align` as a module."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
        mode: str = "avg",
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.mode = mode

    def forward(self, input: Tensor, rois: Boxes) -> Tensor:
        return roi_align(
            input,
            rois,
            self.output_size,
            self.spatial_scale,
            self.sampling_ratio,
            self.aligned,
            self.mode,
        )

    def __repr__(self) -> str:
        words = (
            f"{self.__class__.__name__}(output_size={self.output_size}, "
            f"spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio}, "
            f"aligned={self.aligned}"
        )
        return words + (")" if self.mode == "avg" else f", mode={self.mode!r})")
