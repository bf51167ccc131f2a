"""Shuffles between channels and pixels: reshapes and transposes, and one copy."""

from __future__ import annotations

import numpy as np

from pellucid.ops.arguments import integer
from pellucid.ops.dispatch import operator
from pellucid.ops.nn.support import layout_for
from pellucid.tensor.tensor import Tensor, empty


def _copied(array: np.ndarray, shape: tuple[int, ...], input: Tensor) -> Tensor:
    out = empty(layout_for(shape, input._layout), input.dtype)
    out._array[...] = array.reshape(shape)
    return out


def _require_image(name: str, input: Tensor) -> None:
    if input.dim() < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {input.dim()} "
            "dimension(s)"
        )


@operator(
    where="nn.functional torch",
    gradient={"input": lambda grad, upscale_factor: pixel_unshuffle(grad, upscale_factor)},
)
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C r^2, H, W) to (*, C, H r, W r): channels become pixels (Shi et al. 2016)."""
    _require_image("pixel_shuffle", input)
    r = integer("pixel_shuffle", "upscale_factor", 2, upscale_factor)
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, c, h, w = input._layout.shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(lead)
    split = input._array.reshape(*lead, c // (r * r), r, r, h, w)
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return _copied(split.transpose(order), (*lead, c // (r * r), h * r, w * r), input)


@operator(
    where="nn.functional torch",
    gradient={"input": lambda grad, downscale_factor: pixel_shuffle(grad, downscale_factor)},
)
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) to (*, C r^2, H, W): the inverse of `pixel_shuffle`."""
    _require_image("pixel_unshuffle", input)
    r = integer("pixel_unshuffle", "downscale_factor", 2, downscale_factor)
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = input._layout.shape
    for label, place, size in (("height", -2, h), ("width", -1, w)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {label} to be divisible by downscale_factor, but "
                f"input.size({place})={size} is not divisible by {r}"
            )
    n = len(lead)
    split = input._array.reshape(*lead, c, h // r, r, w // r, r)
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return _copied(split.transpose(order), (*lead, c * r * r, h // r, w // r), input)


@operator(
    where="nn.functional torch",
    gradient={
        "input": lambda grad, groups: (
            channel_shuffle(grad, grad.shape[1] // groups) if grad.numel() else grad
        )
    },
)
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """(N, C, *): channels of the groups one by one in turn (Zhang et al. 2018)."""
    groups = integer("channel_shuffle", "groups", 2, groups)
    shape = input._layout.shape
    if len(shape) < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    n, c, *rest = shape
    if c % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups."
        )
    split = input._array.reshape(n, groups, c // groups, *rest)
    return _copied(split.swapaxes(1, 2), shape, input)
