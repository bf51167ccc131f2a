"""Position-sensitive regions: each bin reads its own group of channels (Dai et al. 2016, "R-FCN").

`kind` is "align" for points that are interpolated (Li et al. 2018, "Light-Head R-CNN"), "pool" for
whole cells.
"""

from __future__ import annotations

from pellucid.ops.detection import kernels_position as kernels
from pellucid.ops.detection.checks import check_groups, check_regions
from pellucid.ops.detection.kernels_align import Geometry
from pellucid.ops.dispatch import operator
from pellucid.ops.nn.support import Ints, scratch_for, settle, working
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, empty


@operator(
    where="internal",
    gradient={
        "input": lambda grad, boxes, geometry, kind, input_layout: ps_roi_transpose(
            grad, boxes, geometry, kind, input_layout.shape
        )
    },
)
def ps_roi(input: Tensor, boxes: Tensor, geometry: Geometry, kind: str) -> Tensor:
    """Averages over the bins: (N, C'PQ, H, W) and (K, 5) give (K, C', P, Q)."""
    name, pooled = f"ps_roi_{kind}", geometry.pooled
    check_regions(name, input, boxes, pooled)
    channels = input._layout.shape[1]
    check_groups(name, channels, pooled)
    shape = (boxes._layout.shape[0], channels // (pooled[0] * pooled[1]), *pooled)
    out = empty(contiguous(shape), input.dtype)
    if out._layout.numel:
        scratch = scratch_for(out)
        kernels.average(kind, working(input), working(boxes), geometry, scratch)
        settle(out, scratch)
    return out


@operator(
    where="internal",
    gradient={"input": lambda grad, boxes, geometry, kind: ps_roi(grad, boxes, geometry, kind)},
)
def ps_roi_transpose(
    input: Tensor, boxes: Tensor, geometry: Geometry, kind: str, shape: Ints
) -> Tensor:
    """The transpose of `ps_roi`: (K, C', P, Q) summed into features of `shape`."""
    out = empty(contiguous(shape), input.dtype)
    scratch = scratch_for(out)
    kernels.average_transpose(kind, working(input), working(boxes), geometry, scratch)
    return settle(out, scratch)
