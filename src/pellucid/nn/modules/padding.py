"""Padding: constants, reflections, repeated edges, and cyclic continuation.

Paddings are given last dimension first: (left, right, top, bottom, front, back), or one number for
all sides.
"""

from __future__ import annotations

from typing import Any

from pellucid.nn import functional as F
from pellucid.nn.module import Module
from pellucid.nn.modules.utils import _ntuple
from pellucid.tensor.tensor import Tensor

Padding = int | tuple[int, ...]


class _PadNd(Module):
    """Pads the last `_dimensions` dimensions in mode `_mode`."""

    _dimensions: int
    _mode: str

    def __init__(self, padding: Padding) -> None:
        super().__init__()
        self.padding = _ntuple(2 * self._dimensions)(padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPadNd(_PadNd):
    _mode = "circular"

    def _check_input_dim(self, input: Tensor) -> None:
        low, high = self._dimensions + 1, self._dimensions + 2
        if input.dim() not in (low, high):
            raise ValueError(f"expected {low}D or {high}D input (got {input.dim()}D input)")

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return F.pad(input, self.padding, "circular")


class CircularPad1d(_CircularPadNd):
    """Continues (N, C, L) or (C, L) cyclically."""

    _dimensions = 1


class CircularPad2d(_CircularPadNd):
    """Continues (N, C, H, W) or (C, H, W) cyclically."""

    _dimensions = 2


class CircularPad3d(_CircularPadNd):
    """Continues (N, C, D, H, W) or (C, D, H, W) cyclically."""

    _dimensions = 3


class _ConstantPadNd(_PadNd):
    def __init__(self, padding: Padding, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Puts `value` around the last dimension; negative padding cuts off."""

    _dimensions = 1


class ConstantPad2d(_ConstantPadNd):
    """Puts `value` around the last two dimensions; negative padding cuts off."""

    _dimensions = 2


class ConstantPad3d(_ConstantPadNd):
    """Puts `value` around the last three dimensions; negative padding cuts off."""

    _dimensions = 3


class _ReflectionPadNd(_PadNd):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """Mirrors (N, C, L) or (C, L) at its ends, without repeating them."""

    _dimensions = 1


class ReflectionPad2d(_ReflectionPadNd):
    """Mirrors (N, C, H, W) or (C, H, W) at its edges, without repeating them."""

    _dimensions = 2


class ReflectionPad3d(_ReflectionPadNd):
    """Mirrors (N, C, D, H, W) or (C, D, H, W) at its faces, without repeating them."""

    _dimensions = 3


class _ReplicationPadNd(_PadNd):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """Repeats the ends of (N, C, L) or (C, L)."""

    _dimensions = 1


class ReplicationPad2d(_ReplicationPadNd):
    """Repeats the edges of (N, C, H, W) or (C, H, W)."""

    _dimensions = 2


class ReplicationPad3d(_ReplicationPadNd):
    """Repeats the faces of (N, C, D, H, W) or (C, D, H, W)."""

    _dimensions = 3


class _ZeroPad:
    """Mixed in before a constant padding: the value is 0."""

    padding: tuple[int, ...]

    def __init__(self, padding: Padding) -> None:
        init: Any = super().__init__
        init(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Puts zeros around the last dimension; negative padding cuts off."""


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Puts zeros around the last two dimensions; negative padding cuts off."""


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Puts zeros around the last three dimensions; negative padding cuts off."""
