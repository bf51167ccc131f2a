"""Convolutions in one, two and three dimensions, and their transposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.nn import functional as F
from pellucid.nn.modules._convnd import _ConvNd, _ConvTransposeNd, _LazyConvXdMixin
from pellucid.nn.modules.utils import _ntuple
from pellucid.tensor.tensor import Tensor

Size = int | tuple[int, ...]


class _Conv(_ConvNd):
    """A convolution over `_dimensions` dimensions."""

    _dimensions: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: str | Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        per_dimension = _ntuple(self._dimensions)
        super().__init__(
            in_channels,
            out_channels,
            per_dimension(kernel_size),
            per_dimension(stride),
            padding if isinstance(padding, str) else per_dimension(padding),
            per_dimension(dilation),
            False,
            per_dimension(0),
            groups,
            bias,
            padding_mode,
            device=device,
            dtype=dtype,
        )

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve = getattr(F, f"conv{self._dimensions}d")
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0,) * self._dimensions
        return convolve(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)


class Conv1d(_Conv):
    """Cross-correlation of a signal with learned kernels.

    Args:
        in_channels, out_channels: numbers of channels.
        kernel_size, stride, dilation: a number, or one per dimension.
        padding: zeros added at both ends, or "valid" (none) or "same" (output size = input size).
        groups: channels are split into so many independent convolutions.
        bias: whether a number per output channel is added.
        padding_mode: "zeros", "reflect", "replicate" or "circular".

    Shape: (N, in, L) or (in, L) to (N, out, L′) or (out, L′), with
    L′ = ⌊(L + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1.
    """

    _dimensions = 1


class Conv2d(_Conv):
    """Like `Conv1d`, over images (N, in, H, W) or (in, H, W)."""

    _dimensions = 2


class Conv3d(_Conv):
    """Like `Conv1d`, over volumes (N, in, D, H, W) or (in, D, H, W)."""

    _dimensions = 3


class _ConvTranspose(_ConvTransposeNd):
    """A transposed convolution over `_dimensions` dimensions."""

    _dimensions: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        per_dimension = _ntuple(self._dimensions)
        super().__init__(
            in_channels,
            out_channels,
            per_dimension(kernel_size),
            per_dimension(stride),
            per_dimension(padding),
            per_dimension(dilation),
            True,
            per_dimension(output_padding),
            groups,
            bias,
            padding_mode,
            device=device,
            dtype=dtype,
        )

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        n = self._dimensions
        if self.padding_mode != "zeros":
            raise ValueError(f"Only `zeros` padding mode is supported for ConvTranspose{n}d")
        output_padding = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, n, self.dilation
        )
        return getattr(F, f"conv_transpose{n}d")(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            output_padding,
            self.groups,
            self.dilation,
        )


class ConvTranspose1d(_ConvTranspose):
    """The gradient of `Conv1d` with respect to its input, as a layer: it enlarges by `stride`.

    `output_padding` adds to one end of the output; calling with `output_size` chooses it.

    Shape: (N, in, L) or (in, L) to (N, out, L′) or (out, L′), with
    L′ = (L − 1)·stride − 2·padding + dilation·(kernel_size − 1) + output_padding + 1.
    """

    _dimensions = 1


class ConvTranspose2d(_ConvTranspose):
    """Like `ConvTranspose1d`, over images (N, in, H, W) or (in, H, W)."""

    _dimensions = 2


class ConvTranspose3d(_ConvTranspose):
    """Like `ConvTranspose1d`, over volumes (N, in, D, H, W) or (in, D, H, W)."""

    _dimensions = 3


class LazyConv1d(_LazyConvXdMixin, Conv1d):
    """A `Conv1d` that takes `in_channels` from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConvXdMixin, Conv2d):
    """A `Conv2d` that takes `in_channels` from its first input."""

    cls_to_become = Conv2d


class LazyConv3d(_LazyConvXdMixin, Conv3d):
    """A `Conv3d` that takes `in_channels` from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvXdMixin, ConvTranspose1d):
    """A `ConvTranspose1d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvXdMixin, ConvTranspose2d):
    """A `ConvTranspose2d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvXdMixin, ConvTranspose3d):
    """A `ConvTranspose3d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose3d
