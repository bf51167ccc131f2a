"""Mixing the channels of groups (Zhang et al. 2018)."""

from __future__ import annotations

from pellucid.nn import functional as F
from pellucid.nn.module import Module
from pellucid.tensor.tensor import Tensor


class ChannelShuffle(Module):
    """Deals the channels of (N, C, *) out over `groups` groups, one after the other."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
