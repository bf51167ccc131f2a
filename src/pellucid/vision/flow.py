"""Optical flow in colours (Baker et al. 2007, "A Database and Evaluation Methodology for Optical
Flow"): the direction is the hue, the length how far from white."""

from __future__ import annotations

import math

from pellucid import ops
from pellucid.autograd.modes import no_grad
from pellucid.tensor.dtype import finfo, float32, int64, uint8
from pellucid.tensor.tensor import Tensor

# Steps from each of six colours to the next: red, yellow, green, cyan, blue, magenta.
_STEPS = (
    (0, 1, 15, True),
    (1, 0, 6, False),
    (1, 2, 4, True),
    (2, 1, 11, False),
    (2, 0, 13, True),
    (0, 2, 6, False),
)
"""(the channel that is full, the one that changes, in how many steps, whether it rises)."""


def _wheel() -> Tensor:
    """The hues (55, 3), from 0 to 255."""
    rows = []
    for full, changing, steps, rises in _STEPS:
        for step in range(steps):
            part = math.floor(255 * step / steps)
            row = [0.0, 0.0, 0.0]
            row[full] = 255.0
            row[changing] = float(part if rises else 255 - part)
            rows.append(row)
    return ops.tensor(rows)


@no_grad()
def flow_to_image(flow: Tensor) -> Tensor:
    """A flow (2, H, W) or (N, 2, H, W), x and y in pixels, as an image of bytes (…, 3, H, W).

    The longest vector has the strongest colour; no movement is white.

    Raises: ValueError for other element types than float32 and other shapes.
    """
    if flow.dtype is not float32:
        raise ValueError(f"Flow should be of dtype torch.float, got {flow.dtype}.")
    batch = flow[None] if flow.dim() == 3 else flow
    if batch.dim() != 4 or batch.shape[1] != 2:
        raise ValueError(
            f"Input flow should have shape (2, H, W) or (N, 2, H, W), got {tuple(flow.shape)}."
        )
    longest = batch.square().sum(dim=1).sqrt().max()
    x, y = (batch / (longest + finfo(float32).eps)).unbind(1)
    length = (x.square() + y.square()).sqrt()
    wheel = _wheel() / 255.0
    place = (ops.atan2(-y, -x) / math.pi + 1) / 2 * (len(wheel) - 1)
    low = place.floor().to(int64)
    share = (place - low)[..., None]
    hue = (1 - share) * wheel[low] + share * wheel[(low + 1) % len(wheel)]
    found = (255 * (1 - length[..., None] * (1 - hue))).floor().to(uint8).permute(0, 3, 1, 2)
    result: Tensor = found[0] if flow.dim() == 3 else found
    return result
