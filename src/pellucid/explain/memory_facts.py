"""Facts about where a tensor's elements lie, and which other tensors look at the same bytes."""

from __future__ import annotations

import gc
from types import FrameType
from typing import Any

import numpy as np

from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor


def memory_format(layout: Layout) -> str:
    """The order in which memory holds the elements, in words."""
    if layout.numel == 0:
        return "no elements"
    if layout.is_row_major:
        also = " and channels_last" if layout.is_channels_last else ""
        return f"contiguous (row-major){also}"
    if layout.is_channels_last:
        return "channels_last (NHWC memory under an NCHW shape)"
    if layout.is_channels_last_3d:
        return "channels_last_3d (NDHWC memory under an NCDHW shape)"
    pairs = list(zip(layout.strides, layout.shape, strict=True))
    if layout.is_non_overlapping_and_dense:
        order = sorted(range(layout.ndim), key=lambda axis: (-pairs[axis][0], axis))
        return f"dense, axes from the slowest in memory: {', '.join(map(str, order))}"
    still = [axis for axis, (stride, length) in enumerate(pairs) if stride == 0 and length > 1]
    if still:
        axes = ", ".join(map(str, still))
        return f"expanded: along axis {axes} the stride is 0, every index shows the same memory"
    return f"with gaps: {layout.numel} elements spread over {layout.span}"


def living() -> list[Tensor]:
    """Every tensor there is.

    Found among the objects that Python's garbage collector knows, so that nothing has to be
    written down while tensors are made. Takes milliseconds.
    """
    return [
        each
        for each in gc.get_objects()
        if issubclass(type(each), Tensor) and "_storage" in each.__dict__
    ]


def sharers(tensor: Tensor, among: list[Tensor]) -> list[Tensor]:
    """The other tensors over the same memory: views, `detach()`, `.data`, `from_numpy`."""
    buffer = tensor._storage.buffer
    return [
        each
        for each in among
        if each is not tensor and np.may_share_memory(each._storage.buffer, buffer)
    ]


def names_in(frame: FrameType | None) -> dict[int, str]:
    """id -> name of the tensors that variables of a frame hold; locals win over globals."""
    if frame is None:
        return {}
    found: dict[int, str] = {}
    for variables in (frame.f_globals, frame.f_locals):
        for name, value in list(variables.items()):
            if issubclass(type(value), Tensor) and not name.startswith("_"):
                found[id(value)] = name
    return found


def called(tensor: Any, names: dict[int, str]) -> str:
    """A tensor's name in the program, or "a tensor without a name"."""
    return names.get(id(tensor), "a tensor without a name here")
