"""What every region operator asks of its features and boxes, in words."""

from __future__ import annotations

import math

import numpy as np

from pellucid.ops.arguments import integer
from pellucid.ops.inplace import scalar_type
from pellucid.ops.nn.support import Ints, not_implemented, require_tensor
from pellucid.tensor.tensor import Tensor

_MOST_SHOWN = 3
_MOST_POINTS = 1024


def check_regions(name: str, input: Tensor, boxes: Tensor, pooled: Ints) -> None:
    """Refuse what has no regions: wrong ranks, dtypes, sizes, images that are not there, and
    coordinates that are not numbers.

    `input` must be (N, C, H, W), `boxes` (K, 5) rows of (image, x1, y1, x2, y2).
    """
    require_tensor(name, "input", 1, input)
    require_tensor(name, "boxes", 2, boxes)
    shape, rows = input._layout.shape, boxes._layout.shape
    if len(shape) != 4:
        raise ValueError(
            f"{name}: the features must be a Tensor[N, C, H, W], got shape {list(shape)}"
            + ("\n  Give it input.unsqueeze(0) if that is one image." if len(shape) == 3 else "")
        )
    if len(rows) != 2 or rows[1] != 5:
        raise RuntimeError(f"Tensor rois should have shape as Tensor[K, 5], got {list(rows)}")
    if input.dtype is not boxes.dtype:
        raise RuntimeError(
            f"input should have the same type as rois, but {name} got features of "
            f"{scalar_type(input.dtype)} and boxes of {scalar_type(boxes.dtype)}\n"
            "  Give it boxes.to(input.dtype)."
        )
    if not input.dtype.is_floating_point:
        raise not_implemented(f"{name}_forward_kernel", input.dtype)
    if min(pooled) < 0:
        raise RuntimeError(f"{name}: output_size must not be negative, got {tuple(pooled)}")
    if rows[0]:
        _check_boxes(name, boxes._array, shape)


def _check_boxes(name: str, boxes: np.ndarray, shape: Ints) -> None:
    whole = boxes.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(whole).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{name}: {_rows(bad)} not finite, box {bad[0]} is {whole[bad[0], 1:].tolist()}\n"
            "  NaN and infinity have no place on a feature map: drop such boxes with "
            "boxes[boxes.isfinite().all(dim=1)], or look for the step that made them."
        )
    images = np.trunc(whole[:, 0])
    bad = np.flatnonzero((images < 0) | (images >= shape[0]))
    if bad.size:
        raise ValueError(
            f"{name}: {_rows(bad)} of an image that is not there: box {bad[0]} has image index "
            f"{images[bad[0]]:.0f}, and the features hold {shape[0]} image(s)\n"
            "  The first column of boxes is the image's index in the batch."
        )
    if not (shape[2] and shape[3]):
        raise ValueError(f"{name}: the features have no cells, their shape is {list(shape)}")


def _rows(bad: np.ndarray) -> str:
    shown = ", ".join(map(str, bad[:_MOST_SHOWN]))
    more = f" and {bad.size - _MOST_SHOWN} more" if bad.size > _MOST_SHOWN else ""
    return f"boxes {shown}{more} are" if bad.size > 1 else f"box {shown} is"


def check_groups(name: str, channels: int, pooled: Ints) -> None:
    """Position-sensitive operators have one group of channels for each bin."""
    bins = pooled[0] * pooled[1]
    if not bins or channels % bins:
        raise RuntimeError(
            "input channels must be a multiple of pooling height * pooling width\n"
            f"  {name} got {channels} channels for {pooled[0]} x {pooled[1]} bins."
        )


def pooled_size(name: str, output_size: object) -> Ints:
    """`output_size` as (height, width): a number or two."""
    values = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(values) != 2:
        raise ValueError(f"{name}: output_size must be one number or two, got {output_size!r}")
    return tuple(integer(name, "output_size", 3, value) for value in values)


def scale_of(name: str, spatial_scale: float) -> float:
    """Cells a pixel. ValueError unless it is a finite number."""
    value = float(spatial_scale)
    if not math.isfinite(value):
        raise ValueError(
            f"{name}: spatial_scale must be a finite number, got {value}\n"
            "  It is the width of the features divided by that of the image, as in 1/16."
        )
    return value


def sampling_of(name: str, sampling_ratio: int) -> int:
    """Points along each side of a bin. ValueError for so many that they would fill the memory."""
    value = int(sampling_ratio)
    if value > _MOST_POINTS:
        raise ValueError(
            f"{name}: sampling_ratio={value} asks for {value} x {value} points in each bin; the "
            f"largest is {_MOST_POINTS}\n"
            "  2 is usual, and 0 takes about one point for each cell."
        )
    return value
