"""Normalisation of single samples: layer, group, RMS, and local response norm."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.nn import init
from pellucid.nn.module import Module
from pellucid.nn.parameter import Parameter
from pellucid.tensor.tensor import Tensor


class LocalResponseNorm(Module):
    """Divides by (k + alpha/size · Σ x²)^beta over `size` neighbouring channels (AlexNet)."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """`LocalResponseNorm` for (N, C, H, W) as Torch7 computed it.

    From channel `size//2 + 1` on, its running sum still contains the square of channel 0; kept,
    because networks were trained with it.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
        channels = input.size(1)
        reach = int((self.size - 1) / 2 + 1)  # neighbours on each side, the channel included
        squares = input.pow(2)
        total = squares.new_zeros(squares.shape)
        for shift in range(1 - reach, reach):
            low, high = max(0, -shift), min(channels, channels - shift)
            if low < high:
                part = squares[:, low + shift : high + shift]
                total = total + F.pad(part, (0, 0, 0, 0, low, channels - high))
        if channels > reach:
            late = squares[:, :1].expand(-1, channels - reach, -1, -1)
            total = total + F.pad(late, (0, 0, 0, 0, reach, 0))
        scale = total * (self.alpha / self.size) + self.k
        return input * scale.pow(-self.beta)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(normalized_shape, numbers.Integral):
        return (int(normalized_shape),)
    return tuple(normalized_shape)  # type: ignore[arg-type]


class LayerNorm(Module):
    """y = (x − mean) / √(var + eps) · weight + bias over the last dimensions (Ba et al. 2016).

    Args:
        normalized_shape: sizes of these dimensions; an int stands for the last one.
        eps: added to the (biased) variance.
        elementwise_affine: whether there is a weight, of that shape and 1 at first.
        bias: whether there is a bias beside it, 0 at first.
    """

    weight: Any  # Tensor | None, as the bias is
    bias: Any

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        wants = (("weight", elementwise_affine), ("bias", elementwise_affine and bias))
        for name, wanted in wants:
            values = None
            if wanted:
                values = Parameter(ops.empty(self.normalized_shape, device=device, dtype=dtype))
            self.register_parameter(name, values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.elementwise_affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class GroupNorm(Module):
    """Normalises groups of channels of each sample of (N, C, *) (Wu & He 2018).

    Args:
        num_groups: number of groups; divides `num_channels`.
        num_channels: C.
        eps: added to the (biased) variance.
        affine: whether each channel has a weight, 1 at first.
        bias: whether each channel has a bias too, 0 at first.
    """

    weight: Any  # Tensor | None, as the bias is
    bias: Any

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups != 0:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            values = None
            if wanted:
                values = Parameter(ops.empty(num_channels, device=device, dtype=dtype))
            self.register_parameter(name, values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """y = x / √(mean(x²) + eps) · weight over the last dimensions (Zhang & Sennrich 2019).

    Args:
        normalized_shape: sizes of these dimensions; an int stands for the last one.
        eps: added to the mean square; the dtype's machine epsilon when left out.
        elementwise_affine: whether there is a weight, of that shape and 1 at first.
    """

    weight: Any  # Tensor | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        if elementwise_affine:
            self.weight = Parameter(ops.empty(self.normalized_shape, device=device, dtype=dtype))
        else:
            self.register_parameter("weight", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1."""
        if self.elementwise_affine:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )
