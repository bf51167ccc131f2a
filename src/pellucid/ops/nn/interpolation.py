"""Interpolation and upsampling: resizing the dimensions after (N, C).

Every mode is linear in the input and works along one axis at a time (`kernels_interpolation`), so
one operator a mode is enough: its gradient is the same operator along the transposed axes, and so
are all further gradients.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import wrong_type
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn import kernels_interpolation as kernels
from pellucid.ops.nn.kernels_interpolation import Axis
from pellucid.ops.nn.support import (
    layout_for,
    not_implemented,
    require_tensor,
    scratch_for,
    settle,
    working,
)
from pellucid.tensor.dtype import REDUCED, float64, uint8
from pellucid.tensor.tensor import Tensor, empty

Axes = tuple[Axis, ...]
_LETTERS = ("D", "H", "W")


def _rounds_weights(input: Tensor, axes: Axes) -> bool:
    """Whether weights are in half precision if the input is, as PyTorch has them for row-major
    signals and volumes, and for cubic interpolation.
    """
    if input.dtype not in REDUCED or axes[0].transposed:
        return False
    kind = axes[0].kind
    plain = input._layout.suggested_memory_format == "contiguous_format"
    return plain and (kind == "cubic" or (kind == "linear" and len(axes) != 2))


def _resampled(input: Tensor, axes: Axes) -> Tensor:
    """`input` with its last dimensions resampled, in its memory format."""
    shape = input._layout.shape
    lead = len(shape) - len(axes)
    sizes = tuple(axis.result_size for axis in axes)
    layout = layout_for(shape[:lead] + sizes, input._layout)
    out = empty(layout, input.dtype)
    scratch = scratch_for(out)
    source, target, first = working(input), scratch, lead
    if not layout.is_row_major and layout.suggested_memory_format.startswith("channels_last"):
        source, target, first = np.moveaxis(source, 1, -1), np.moveaxis(target, 1, -1), 1
    by_dimension = {first + i: axis for i, axis in enumerate(axes)}
    whole = input.dtype is uint8 and not axes[0].kind.startswith("nearest")
    if whole:
        kernels.resample_bytes(source, by_dimension, target)
    else:
        rounded = input.dtype.numpy if _rounds_weights(input, axes) else None
        kernels.resample(source, by_dimension, target, rounded)
    return settle(out, scratch)


def _mode(label: str) -> Callable[[Tensor, Axes], Tensor]:
    """The operator of one mode, and below it the one that its gradient is made with."""

    def spread_gradient(grad: Tensor, axes: Axes) -> Tensor:
        return forward(grad, tuple(axis.flipped() for axis in axes))

    @operator(
        where="internal",
        name=f"upsample_{label.lower()}_backward",
        gradient={"input": spread_gradient},
        backward_name=f"Upsample{label}BackwardBackward0",
    )
    def spread(input: Tensor, axes: Axes) -> Tensor:
        return _resampled(input, axes)

    def gradient(grad: Tensor, axes: Axes) -> Tensor:
        return spread(grad, tuple(axis.flipped() for axis in axes))

    @operator(
        where="internal",
        name=f"upsample_{label.lower()}",
        gradient={"input": gradient},
        backward_name=f"Upsample{label}Backward0",
    )
    def forward(input: Tensor, axes: Axes) -> Tensor:
        return _resampled(input, axes)

    return forward


_MODES: dict[tuple[str, int], tuple[str, Callable[[Tensor, Axes], Tensor]]] = {
    **{("nearest", n): ("nearest", _mode(f"Nearest{n}D")) for n in (1, 2, 3)},
    **{("nearest-exact", n): ("nearest-exact", _mode(f"NearestExact{n}D")) for n in (1, 2, 3)},
    ("linear", 1): ("linear", _mode("Linear1D")),
    ("bilinear", 2): ("linear", _mode("Bilinear2D")),
    ("trilinear", 3): ("linear", _mode("Trilinear3D")),
    ("bicubic", 2): ("cubic", _mode("Bicubic2D")),
    ("bilinear-aa", 2): ("linear-aa", _mode("Bilinear2DAa")),
    ("bicubic-aa", 2): ("cubic-aa", _mode("Bicubic2DAa")),
    ("lanczos-aa", 2): ("lanczos-aa", _mode("Lanczos2DAa")),
}
"""Mode and number of spatial dimensions: the kind of each axis, the operator."""

_DIMENSIONS = {"linear": 3, "bilinear": 4, "trilinear": 5}


def _is_integer(value: Any) -> bool:
    if isinstance(value, (int, np.integer)):
        return True
    return isinstance(value, Tensor) and not value.is_floating_point()


def _checked_size(input: Tensor, size: Any, count: int) -> list[int]:
    if not isinstance(size, (list, tuple)):
        return [int(size)] * count
    if len(size) != count:
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(input.shape[2:])} and output size of {size}. Please "
            "provide input tensor in (N, C, d1, d2, ...,dK) format and output size in "
            "(o1, o2, ...,oK) format."
        )
    if not all(_is_integer(each) for each in size):
        raise TypeError(
            "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, "
            f"int], but got size with types {[type(each) for each in size]}"
        )
    if isinstance(size[0], bool):
        raise wrong_type("interpolate", "output_size", 2, "tuple of ints", size[0])
    return [int(each) for each in size]


def _checked_factors(input: Tensor, factor: Any, count: int) -> list[float]:
    if not isinstance(factor, (list, tuple)):
        return [float(factor)] * count
    if len(factor) != count:
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input "
            f"with spatial dimensions of {list(input.shape[2:])} and scale_factor of shape "
            f"{factor}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
            "scale_factor in (s1, s2, ...,sK) format."
        )
    return [float(each) for each in factor]


def _check_sizes(input: Tensor, out_size: Sequence[int]) -> None:
    """Refuse empty images, and empty results."""
    shape = input._layout.shape
    count = len(out_size)
    if min((*shape[2:], *out_size)) <= 0:
        letters = _LETTERS[3 - count :]
        given, wanted = (
            ", ".join(f"{letter}: {s}" for letter, s in zip(letters, sizes, strict=True))
            for sizes in (shape[2:], out_size)
        )
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({given})"
            f"{' and' if count == 1 else ''} output ({wanted})"
        )
    if not shape[1]:
        raise RuntimeError(
            f"Non-empty {count + 2}D data tensor expected but got a tensor with sizes {list(shape)}"
        )


def _refuse(input: Tensor, mode: str, antialias: bool) -> None:
    """NotImplementedError for a mode that does not exist for this number of dimensions."""
    rank = input.dim()
    needed = _DIMENSIONS.get(mode)
    if rank in (3, 4, 5) and needed is not None and needed != rank:
        raise NotImplementedError(f"Got {rank}D input, but {mode} mode needs {needed}D input")
    if mode == "lanczos" and rank == 4 and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {rank}D) for the modes: "
        "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got "
        f"{mode})"
    )


def _check_options(
    input: Tensor,
    size: Any,
    scale_factor: Any,
    mode: str,
    align_corners: bool | None,
    recompute: bool | None,
    antialias: bool,
) -> None:
    """Refuse options that exclude one another."""
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear "
            "| bicubic | trilinear"
        )
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if recompute and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and input.dim() == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if mode == "lanczos" and align_corners:
        raise ValueError("Lanczos mode does not support align_corners=True")


def _check_dtype(input: Tensor, kind: str, count: int) -> None:
    d = input.dtype
    if d in REDUCED and kind.endswith("-aa"):
        raise not_implemented("compute_index_ranges_weights", d)
    if not (d.is_floating_point or (d is uint8 and (kind.startswith("nearest") or count == 2))):
        raise not_implemented(_KERNELS.get(kind, "compute_indices_weights_linear"), d)


_KERNELS = {
    "nearest": "compute_indices_weights_nearest",
    "nearest-exact": "compute_indices_weights_nearest",
    "cubic": "compute_indices_weights_cubic",
}


@composite(where="nn.functional")
def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize the dimensions after (N, C): to `size`, or by `scale_factor`, one or one for each.

    Modes: "nearest", "nearest-exact", "area" (means), "linear" (1-d), "bilinear" and "bicubic"
    (2-d), "trilinear" (3-d), "lanczos" (2-d, antialiased). `align_corners` puts the corner pixels'
    centres on each other; else the corners' edges are. `antialias` widens the filter when the image
    shrinks, as Pillow does.
    """
    require_tensor("interpolate", "input", 1, input)
    _check_options(
        input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )
    count = input.dim() - 2
    factors: list[float] | None = None
    if size is not None:
        out_size = _checked_size(input, size, count)
    else:
        factors = _checked_factors(input, scale_factor, count)
        out_size = [int(s * f) for s, f in zip(input._layout.shape[2:], factors, strict=True)]
        if recompute_scale_factor or mode == "area":
            factors = None
    if mode == "area" and count in (1, 2, 3):
        return getattr(F.nn, f"adaptive_avg_pool{count}d")(input, out_size)
    found = _MODES.get((f"{mode}-aa" if antialias else mode, count))
    if found is None:
        _refuse(input, mode, antialias)
    kind, resize = found  # type: ignore[misc]
    _check_sizes(input, out_size)
    _check_dtype(input, kind, count)
    single = input.dtype is not float64 and not (input.dtype is uint8 and kind[:7] != "nearest")
    axes = tuple(
        Axis(kind, s, o, factors[i] if factors else None, bool(align_corners), single)
        for i, (s, o) in enumerate(zip(input._layout.shape[2:], out_size, strict=True))
    )
    return resize(input, axes)


def _deprecated(name: str) -> None:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=3,
    )


@composite(where="nn.functional")
def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """`interpolate`, by its old name."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


@composite(where="nn.functional")
def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "nearest", by its old name."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


@composite(where="nn.functional")
def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "bilinear" and aligned corners, by its old name."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
