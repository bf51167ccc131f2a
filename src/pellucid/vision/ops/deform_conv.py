"""Deformable convolution (Dai et al. 2017; with a mask, Zhu et al. 2019, equation 1).

Each tap of the window is moved by an offset of its own and read by bilinear interpolation; what
lies off the image is zero. `grid_sample` reads all taps at once, so that gradients follow from it.
"""

from __future__ import annotations

import math

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.nn import init
from pellucid.nn.module import Module
from pellucid.nn.modules.utils import _pair
from pellucid.nn.parameter import Parameter
from pellucid.tensor.tensor import Tensor

Pair = tuple[int, int]


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = (1, 1),
    padding: int | Pair = (0, 0),
    dilation: int | Pair = (1, 1),
    mask: Tensor | None = None,
) -> Tensor:
    """Deformable convolution of (N, C, H, W): (N, C', H', W').

    `offset` is (N, 2 · G · kh · kw, H', W') with (y, x) of each tap in turn, for each of G groups
    of channels; `weight` (C', C / groups, kh, kw), `bias` (C',), `mask` (N, G · kh · kw, H', W').

    Raises: RuntimeError for shapes that do not fit together.
    """
    stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    kernel = (weight.shape[-2], weight.shape[-1])
    taps = kernel[0] * kernel[1]
    size = (
        _out_size(0, input, kernel, stride, padding, dilation),
        _out_size(1, input, kernel, stride, padding, dilation),
    )
    groups = offset.shape[1] // (2 * taps)
    _check(input, offset, weight, mask, groups, size)
    n, channels, height, width = input.shape
    # (N G, taps, 2, H', W'): where each tap reads, in cells.
    moved = offset.reshape(n * groups, taps, 2, *size)
    y = moved[:, :, 0] + _places(0, kernel, size, stride, padding, dilation).to(offset.dtype)
    x = moved[:, :, 1] + _places(1, kernel, size, stride, padding, dilation).to(offset.dtype)
    grid = ops.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    grid = grid.reshape(n * groups, taps * size[0], size[1], 2)
    maps = input.reshape(n * groups, channels // groups, height, width)
    read = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    cells = size[0] * size[1]
    read = read.reshape(n, groups, channels // groups, taps, cells)
    if mask is not None:
        read = read * mask.reshape(n, groups, 1, taps, cells)
    # (N, groups, C / groups · taps, H' W') and (groups, C' / groups, the same): one product each.
    own = channels // weight.shape[1]
    columns = read.reshape(n, own, weight.shape[1] * taps, cells)
    kernels = weight.reshape(own, weight.shape[0] // own, weight.shape[1] * taps)
    out = ops.matmul(kernels, columns).reshape(n, weight.shape[0], *size)
    result: Tensor = out if bias is None else out + bias.reshape(1, -1, 1, 1)
    return result


def _out_size(
    axis: int, input: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> int:
    reach = dilation[axis] * (kernel[axis] - 1) + 1
    size = (input.shape[2 + axis] + 2 * padding[axis] - reach) // stride[axis] + 1
    if size <= 0:
        raise RuntimeError(
            f"Calculated output size along dimension {axis + 2} is {size}: the window of {reach} "
            f"does not fit an input of {input.shape[2 + axis]} with padding {padding[axis]}"
        )
    return int(size)


def _places(
    axis: int, kernel: Pair, size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """Where an ordinary convolution reads along `axis`: (taps, H', W'), in cells."""
    step = ops.arange(size[axis]) * stride[axis] - padding[axis]
    tap = ops.arange(kernel[axis]) * dilation[axis]
    if axis == 0:
        places = tap[:, None, None, None] + step[None, None, :, None]
    else:
        places = tap[None, :, None, None] + step[None, None, None, :]
    found: Tensor = places.expand(*kernel, *size).reshape(-1, *size)
    return found


def _check(
    input: Tensor, offset: Tensor, weight: Tensor, mask: Tensor | None, groups: int, size: Pair
) -> None:
    taps = weight.shape[-2] * weight.shape[-1]
    if groups == 0:
        raise RuntimeError(
            "the shape of the offset tensor at dimension 1 is not valid. It should be a multiple "
            "of 2 * weight.size[2] * weight.size[3].\n"
            f"Got offset.shape[1]={offset.shape[1]}, while 2 * weight.size[2] * weight.size[3]="
            f"{2 * taps}"
        )
    if offset.shape[1] != groups * 2 * taps:
        raise RuntimeError(
            f"offset.shape[1] is not valid: got: {offset.shape[1]} expected: {groups * 2 * taps}"
        )
    if input.shape[1] % groups or input.shape[1] % weight.shape[1]:
        raise RuntimeError(
            f"the input's {input.shape[1]} channels must be divisible by the {groups} groups of "
            f"offsets and by weight.shape[1] = {weight.shape[1]}"
        )
    wanted = [("offset", offset, groups * 2 * taps)]
    if mask is not None:
        wanted.append(("mask", mask, groups * taps))
    for name, tensor, channels in wanted:
        if tensor.shape[1] != channels:
            raise RuntimeError(
                f"{name}.shape[1] is not valid: got: {tensor.shape[1]} expected: {channels}"
            )
        if tensor.shape[0] != input.shape[0]:
            raise RuntimeError(
                f"invalid batch size of {name}: got {tensor.shape[0]}, the input has "
                f"{input.shape[0]}"
            )
        if tuple(tensor.shape[-2:]) != size:
            raise RuntimeError(
                f"{name} output dims: ({tensor.shape[-2]}, {tensor.shape[-1]}) - computed output "
                f"dims: ({size[0]}, {size[1]})"
            )


class DeformConv2d(Module):
    """`deform_conv2d` with its weight (C', C / groups, kh, kw) and bias (C',)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride)
        self.padding = _pair(padding)
        self.dilation = _pair(dilation)
        self.groups = groups
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(ops.empty(shape))
        self.bias: Parameter | None
        if bias:
            self.bias = Parameter(ops.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias as an ordinary convolution does."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = self.weight.shape[1] * self.kernel_size[0] * self.kernel_size[1]
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, C, H, W) with the offsets and the mask that `deform_conv2d` takes."""
        return deform_conv2d(
            input,
            offset,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            mask=mask,
        )

    def __repr__(self) -> str:
        words = (
            f"{self.__class__.__name__}({self.in_channels}, {self.out_channels}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}"
        )
        words += f", padding={self.padding}" if self.padding != (0, 0) else ""
        words += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        words += f", groups={self.groups}" if self.groups != 1 else ""
        words += ", bias=False" if self.bias is None else ""
        return words + ")"
