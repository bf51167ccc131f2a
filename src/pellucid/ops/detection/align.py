"""`roi_align`: regions of a feature map without rounding (He et al. 2017, "Mask R-CNN").

The boxes have no gradient, as in torchvision; the features have gradients of any order: the average
is linear in them, and so is the maximum once its points are chosen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.detection import compiled
from pellucid.ops.detection import kernels_align as kernels
from pellucid.ops.detection import kernels_points as points
from pellucid.ops.detection.checks import check_regions
from pellucid.ops.detection.kernels_align import Geometry
from pellucid.ops.dispatch import operator
from pellucid.ops.nn.support import Ints, scratch_for, settle, working
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import int64
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, empty

_Points = return_type("roi_align_max", "out choices")


def geometry_of(spatial_scale: float, pooled: Ints, sampling_ratio: int, aligned: bool) -> Geometry:
    """torchvision's arguments: `aligned` shifts by half a cell and lets regions be small."""
    return Geometry(
        float(spatial_scale),
        (pooled[0], pooled[1]),
        int(sampling_ratio),
        0.5 if aligned else 0.0,
        None if aligned else 1.0,
    )


def _average(features: np.ndarray, boxes: np.ndarray, geometry: Geometry, out: np.ndarray) -> None:
    """`kernels_align.align`, compiled where that pays."""
    found = None
    if compiled.suits(out, features):
        found = compiled.regions(boxes, geometry, features.shape[2:])
    if found is None:
        kernels.align(features, boxes, geometry, out)
    else:
        compiled.kernels().align(features, found, out)


def _average_transpose(
    grad: np.ndarray, boxes: np.ndarray, geometry: Geometry, out: np.ndarray
) -> None:
    """`kernels_align.align_transpose`, compiled where that pays."""
    found = None
    if compiled.suits(grad, out):
        found = compiled.regions(boxes, geometry, out.shape[2:])
    if found is None:
        kernels.align_transpose(grad, boxes, geometry, out)
    else:
        compiled.kernels().align_transpose(grad, found, out)


def _pooled(input: Tensor, boxes: Tensor, geometry: Geometry) -> Tensor:
    shape = (boxes._layout.shape[0], input._layout.shape[1], *geometry.pooled)
    return empty(contiguous(shape), input.dtype)


@operator(
    where="internal",
    gradient={
        "input": lambda grad, boxes, geometry, input_layout: roi_align_transpose(
            grad, boxes, geometry, input_layout.shape
        )
    },
)
def roi_align(input: Tensor, boxes: Tensor, geometry: Geometry) -> Tensor:
    """Averages over the bins of each region: (N, C, H, W) and (K, 5) give (K, C, P, Q)."""
    check_regions("roi_align", input, boxes, geometry.pooled)
    out = _pooled(input, boxes, geometry)
    if out._layout.numel:
        features, scratch = working(input), scratch_for(out)
        average = _average if np.isfinite(features).all() else points.average
        average(features, working(boxes), geometry, scratch)
        settle(out, scratch)
    return out


@operator(
    where="internal",
    gradient={"input": lambda grad, boxes, geometry: roi_align(grad, boxes, geometry)},
    backward_name="RoiAlignBackwardBackward0",
)
def roi_align_transpose(input: Tensor, boxes: Tensor, geometry: Geometry, shape: Ints) -> Tensor:
    """The transpose of `roi_align`: (K, C, P, Q) summed into features of `shape`."""
    out = empty(contiguous(shape), input.dtype)
    scratch = scratch_for(out)
    if input._layout.numel and out._layout.numel:
        _average_transpose(working(input), working(boxes), geometry, scratch)
    else:
        scratch.fill(0)
    return settle(out, scratch)


@operator(
    where="internal",
    fields=("out", "choices"),
    gradient={
        "input": lambda grad, choices, boxes, geometry, input_layout: spread_points(
            grad, choices, boxes, geometry, input_layout.shape
        )
    },
)
def roi_align_max(input: Tensor, boxes: Tensor, geometry: Geometry) -> Any:
    """The largest value at a point of each bin, and which point it is (int64)."""
    check_regions("roi_align", input, boxes, geometry.pooled)
    out = _pooled(input, boxes, geometry)
    choices = empty(out._layout, int64)
    if out._layout.numel:
        scratch = scratch_for(out)
        points.largest(working(input), working(boxes), geometry, scratch, choices._array)
        settle(out, scratch)
    return _Points(out, choices)


@operator(
    where="internal",
    gradient={
        "input": lambda grad, choices, boxes, geometry: gather_points(
            grad, choices, boxes, geometry
        )
    },
)
def spread_points(
    input: Tensor, choices: Tensor, boxes: Tensor, geometry: Geometry, shape: Ints
) -> Tensor:
    """Each bin's value to the four cells of its chosen point, in features of `shape`."""
    out = empty(contiguous(shape), input.dtype)
    scratch = scratch_for(out)
    points.spread(working(input), choices._array, working(boxes), geometry, scratch)
    return settle(out, scratch)


@operator(
    where="internal",
    gradient={
        "input": lambda grad, choices, boxes, geometry, input_layout: spread_points(
            grad, choices, boxes, geometry, input_layout.shape
        )
    },
)
def gather_points(input: Tensor, choices: Tensor, boxes: Tensor, geometry: Geometry) -> Tensor:
    """The value at each bin's chosen point: (K, C, P, Q)."""
    out = empty(choices._layout, input.dtype)
    scratch = scratch_for(out)
    points.gather(working(input), choices._array, working(boxes), geometry, scratch)
    return settle(out, scratch)
