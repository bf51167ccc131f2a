"""`roi_pool`: regions of a feature map in whole cells (Girshick 2015, "Fast R-CNN")."""

from __future__ import annotations

from typing import Any

from pellucid.ops.detection import kernels_pool as kernels
from pellucid.ops.detection.checks import check_regions
from pellucid.ops.dispatch import operator
from pellucid.ops.nn.support import Ints, scratch_for, settle, working
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import int32
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, empty

_Pooled = return_type("roi_pool", "out argmax")


@operator(
    where="internal",
    fields=("out", "argmax"),
    gradient={
        "input": lambda grad, argmax, boxes, input_layout: spread_cells(
            grad, argmax, boxes, input_layout.shape
        )
    },
)
def roi_pool(input: Tensor, boxes: Tensor, spatial_scale: float, pooled: Ints) -> Any:
    """The largest cell of each bin, and its place in the flattened map (int32, -1 for none).

    (N, C, H, W) and (K, 5) give (K, C, P, Q) twice.
    """
    check_regions("roi_pool", input, boxes, pooled)
    shape = (boxes._layout.shape[0], input._layout.shape[1], *pooled)
    out, argmax = empty(contiguous(shape), input.dtype), empty(contiguous(shape), int32)
    if out._layout.numel:
        scratch = scratch_for(out)
        kernels.pool(working(input), working(boxes), spatial_scale, scratch, argmax._array)
        settle(out, scratch)
    return _Pooled(out, argmax)


@operator(
    where="internal",
    gradient={"input": lambda grad, argmax, boxes: gather_cells(grad, argmax, boxes)},
)
def spread_cells(input: Tensor, argmax: Tensor, boxes: Tensor, shape: Ints) -> Tensor:
    """Each bin's value at its chosen cell, summed in features of `shape`."""
    out = empty(contiguous(shape), input.dtype)
    scratch = scratch_for(out)
    kernels.spread(working(input), argmax._array, working(boxes), scratch)
    return settle(out, scratch)


@operator(
    where="internal",
    gradient={
        "input": lambda grad, argmax, boxes, input_layout: spread_cells(
            grad, argmax, boxes, input_layout.shape
        )
    },
)
def gather_cells(input: Tensor, argmax: Tensor, boxes: Tensor) -> Tensor:
    """The value of each chosen cell, 0 where there is none."""
    out = empty(argmax._layout, input.dtype)
    scratch = scratch_for(out)
    kernels.gather(working(input), argmax._array, working(boxes), scratch)
    return settle(out, scratch)
