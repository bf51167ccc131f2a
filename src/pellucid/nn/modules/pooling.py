"""Pooling: maxima, means and power means over windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.nn import functional as F
from pellucid.nn.module import Module
from pellucid.nn.modules.utils import _ntuple
from pellucid.tensor.tensor import Tensor

Size = int | tuple[int, ...]


class _MaxPoolNd(Module):
    """The largest value of each window; padding counts as −∞."""

    _dimensions: int

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return getattr(F, f"max_pool{self._dimensions}d")(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd):
    """Maximum over windows of a signal (N, C, L) or (C, L).

    Args:
        kernel_size: length of the window.
        stride: step of the window; `kernel_size` when left out.
        padding, dilation: −∞ put at both ends, and distance of a window's elements.
        return_indices: also return where each maximum was (for `MaxUnpool1d`).
        ceil_mode: keep a last, incomplete window.
    """

    _dimensions = 1


class MaxPool2d(_MaxPoolNd):
    """Like `MaxPool1d`, over images (N, C, H, W) or (C, H, W)."""

    _dimensions = 2


class MaxPool3d(_MaxPoolNd):
    """Like `MaxPool1d`, over volumes (N, C, D, H, W) or (C, D, H, W)."""

    _dimensions = 3


class _MaxUnpoolNd(Module):
    """Puts values back where `MaxPool` found them, zeros elsewhere."""

    _dimensions: int

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        per_dimension = _ntuple(self._dimensions)
        self.kernel_size = per_dimension(kernel_size)
        self.stride = per_dimension(stride if stride is not None else kernel_size)
        self.padding = per_dimension(padding)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        return getattr(F, f"max_unpool{self._dimensions}d")(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Partial inverse of `MaxPool1d`: called with its values and its indices."""

    _dimensions = 1


class MaxUnpool2d(_MaxUnpoolNd):
    """Partial inverse of `MaxPool2d`: called with its values and its indices."""

    _dimensions = 2


class MaxUnpool3d(_MaxUnpoolNd):
    """Partial inverse of `MaxPool3d`: called with its values and its indices."""

    _dimensions = 3


class _AvgPoolNd(Module):
    """The mean of each window."""

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    """Mean over windows of a signal (N, C, L) or (C, L).

    Args:
        kernel_size, stride, padding, ceil_mode: as for `MaxPool1d`; padding is zeros.
        count_include_pad: divide by the full window, padding included.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        per_dimension = _ntuple(1)
        self.kernel_size = per_dimension(kernel_size)
        self.stride = per_dimension(stride if stride is not None else kernel_size)
        self.padding = per_dimension(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class _AvgPoolWithDivisor(_AvgPoolNd):
    """`AvgPool2d` and `AvgPool3d`: the divisor may be given."""

    _dimensions: int

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, f"avg_pool{self._dimensions}d")(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool2d(_AvgPoolWithDivisor):
    """Like `AvgPool1d`, over images; `divisor_override` replaces the window's size."""

    _dimensions = 2


class AvgPool3d(_AvgPoolWithDivisor):
    """Like `AvgPool2d`, over volumes (N, C, D, H, W) or (C, D, H, W)."""

    _dimensions = 3

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for name, usual in (("padding", 0), ("ceil_mode", False), ("count_include_pad", True)):
            self.__dict__.setdefault(name, usual)


class _FractionalMaxPoolNd(Module):
    """Maximum over windows at random places, for outputs smaller by a fraction (Graham 2014)."""

    _dimensions: int

    def __init__(
        self,
        kernel_size: Size,
        output_size: Size | None = None,
        output_ratio: float | tuple[float, ...] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name = f"FractionalMaxPool{self._dimensions}d"
        per_dimension = _ntuple(self._dimensions)
        self.kernel_size = per_dimension(kernel_size)
        if self._dimensions == 3 and any(k <= 0 for k in self.kernel_size):
            raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = per_dimension(output_size) if output_size is not None else None
        self.output_ratio = per_dimension(output_ratio) if output_ratio is not None else None
        if output_size is None and output_ratio is None:
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        return getattr(F, f"fractional_max_pool{self._dimensions}d")(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Fractional max pooling of images; give `output_size` or `output_ratio` in (0, 1)."""

    _dimensions = 2


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """Fractional max pooling of volumes; give `output_size` or `output_ratio` in (0, 1)."""

    _dimensions = 3


class _LPPoolNd(Module):
    """(Σ xᵖ)^(1/p) of each window."""

    _dimensions: int

    def __init__(
        self,
        norm_type: float,
        kernel_size: Size,
        stride: Size | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, f"lp_pool{self._dimensions}d")(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """Power mean without division over windows of a signal; p = `norm_type`."""

    _dimensions = 1


class LPPool2d(_LPPoolNd):
    """Power mean without division over windows of images; p = `norm_type`."""

    _dimensions = 2


class LPPool3d(_LPPoolNd):
    """Power mean without division over windows of volumes; p = `norm_type`."""

    _dimensions = 3


class _AdaptiveMaxPoolNd(Module):
    """Maximum over windows chosen so that the output has a given size."""

    _dimensions: int

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        pool = getattr(F, f"adaptive_max_pool{self._dimensions}d")
        return pool(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Maximum over windows; the output has length `output_size` for any input."""

    _dimensions = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Maximum over windows; `output_size` is n or (h, w), `None` keeps the input's size."""

    _dimensions = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Maximum over windows; `output_size` is n or (d, h, w), `None` keeps the input's size."""

    _dimensions = 3


class _AdaptiveAvgPoolNd(Module):
    """Mean over windows chosen so that the output has a given size."""

    _dimensions: int

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, f"adaptive_avg_pool{self._dimensions}d")(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """Mean over windows; the output has length `output_size` for any input."""

    _dimensions = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Mean over windows; `output_size` is n or (h, w), `None` keeps the input's size."""

    _dimensions = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Mean over windows; `output_size` is n or (d, h, w), `None` keeps the input's size."""

    _dimensions = 3
