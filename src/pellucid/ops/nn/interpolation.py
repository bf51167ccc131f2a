"""`interpolate`: images, signals and volumes resampled to other sizes.

Every mode but "area" (which is adaptive average pooling) is linear in the input and separable, so
one operator and its transpose do for all of them.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn import kernels_resampling as kernels
from pellucid.ops.nn.kernels_resampling import Rule
from pellucid.ops.nn.support import Ints, finished, layout_for, not_implemented, working
from pellucid.tensor.dtype import BOOL, float64, uint8
from pellucid.tensor.tensor import Tensor

Rules = tuple[Rule, ...]

_MODES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"
_RANKS = {"linear": 3, "bilinear": 4, "trilinear": 5, "bicubic": 4, "lanczos": 4}
_ALONG = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


def _spread(grad: Tensor, rules: Rules, input: Tensor) -> Tensor:
    return resample_transpose(grad, tuple(input.shape[2:]), rules)


@operator(where="internal", gradient={"input": _spread}, backward_name="UpsampleBackward0")
def resample(input: Tensor, size: Ints, rules: Rules) -> Tensor:
    """(N, C, *S) resampled to (N, C, *size), each dimension by its rule."""
    array = working(input)
    bytes_mixed = input.dtype is uint8 and not rules[0].mode.startswith("nearest")
    for axis in reversed(range(2, array.ndim)):  # as in PyTorch, along rows first
        if bytes_mixed:
            array = array.astype(np.float32)
        array = kernels.resample(array, axis, size[axis - 2], rules[axis - 2])
        if bytes_mixed:  # each pass is rounded to bytes
            array = np.clip(np.floor(array + 0.5), 0, 255)
    return finished(array, input.dtype, layout_for(array.shape, input._layout))


@operator(
    where="internal",
    gradient={"input": lambda grad, rules, input: resample(grad, tuple(input.shape[2:]), rules)},
    backward_name="UpsampleBackwardBackward0",
)
def resample_transpose(input: Tensor, size: Ints, rules: Rules) -> Tensor:
    """The transpose of `resample`: from the outputs back to inputs of `size`."""
    array = working(input)
    for axis in range(2, array.ndim):
        array = kernels.resample_transpose(array, axis, size[axis - 2], rules[axis - 2])
    return finished(array, input.dtype, layout_for(array.shape, input._layout))


def _is_integer(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.dtype.is_floating_point
    return isinstance(value, (int, np.integer))


def _sizes(
    input: Tensor, size: Any, scale_factor: Any, recompute: bool
) -> tuple[Ints, tuple[float, ...]]:
    """The output's spatial sizes, and the factor of each dimension (0: the ratio of the sizes)."""
    given = input._layout.shape[2:]
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return _read_size(given, size), (0.0,) * len(given)
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    factors = scale_factor
    if not isinstance(scale_factor, (list, tuple)):
        factors = (scale_factor,) * len(given)
    elif len(scale_factor) != len(given):
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input "
            f"with spatial dimensions of {list(given)} and scale_factor of shape {scale_factor}. "
            "Please provide input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in (s1, "
            "s2, ...,sK) format."
        )
    found = tuple(kernels.scaled_size(s, float(f)) for s, f in zip(given, factors, strict=True))
    return found, (0.0,) * len(given) if recompute else tuple(float(f) for f in factors)


def _read_size(given: Ints, size: Any) -> Ints:
    if not isinstance(size, (list, tuple)):
        if not _is_integer(size):
            raise TypeError(
                "upsample() received an invalid combination of arguments - got size of type "
                f"{type(size).__name__}, but expected ints"
            )
        return (int(size),) * len(given)
    if len(size) != len(given):
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(given)} and output size of {size}. Please provide input "
            "tensor in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format."
        )
    if not all(_is_integer(x) for x in size):
        raise TypeError(
            "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, "
            f"int], but got size with types {[type(x) for x in size]}"
        )
    return tuple(int(v) for v in size)


def _refuse_mode(dims: int, mode: str) -> NotImplementedError:
    if mode in ("linear", "bilinear", "trilinear") and 3 <= dims <= 5:
        return NotImplementedError(
            f"Got {dims}D input, but {mode} mode needs {_RANKS[mode]}D input"
        )
    return NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {dims}D) for the modes: "
        f"{_MODES} (got {mode})"
    )


def _check_sizes(input: Tensor, size: Ints) -> None:
    shape = input._layout.shape
    given = shape[2:]
    letters = ("D", "H", "W")[3 - len(given) :]
    if min(given) < 1 or min(size) < 1:
        shown, wanted = (
            ", ".join(f"{a}: {v}" for a, v in zip(letters, values, strict=True))
            for values in (given, size)
        )
        joint = " and" if len(given) == 1 else ""
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({shown}){joint} "
            f"output ({wanted})"
        )
    if not shape[1]:
        raise RuntimeError(
            f"Non-empty {len(shape)}D data tensor expected but got a tensor with sizes "
            f"{list(shape)}"
        )


def _check_dtype(input: Tensor, mode: str, antialias: bool) -> None:
    d = input.dtype
    nearest = mode.startswith("nearest")
    if d.is_floating_point or (d is uint8 and (nearest or input.dim() == 4)):
        return
    last = "_channels_last" if input.dim() > 3 and d.category != BOOL else ""
    kind = {"linear": "linear", "bilinear": "bilinear", "trilinear": "trilinear"}.get(mode, mode)
    kernel = "nearest" if nearest else kind
    raise not_implemented(f"upsample_{kernel}{input.dim() - 2}d{last}", d)


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
    """Resample the spatial dimensions of (N, C, *S) to `size`, or by `scale_factor`.

    Modes: "nearest", "nearest-exact", "area" (1 to 3 dimensions), "linear" (1), "bilinear",
    "bicubic", "lanczos" (2), "trilinear" (3). `align_corners` maps corner elements onto each other,
    not corners of pixels. `antialias` widens the kernel when an image shrinks.
    """
    if align_corners is not None and mode in ("nearest", "area", "nearest-exact"):
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | "
            "bilinear | bicubic | trilinear"
        )
    out_size, factors = _sizes(
        input, size, scale_factor, bool(recompute_scale_factor) or (mode == "area" and size is None)
    )
    dims = input.dim()
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and dims == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if not 3 <= dims <= 5 or _RANKS.get(mode, dims) != dims or mode not in _MODES.split(" | "):
        raise _refuse_mode(dims, mode)
    if mode == "area":
        pool = getattr(F.nn, f"adaptive_avg_pool{dims - 2}d")
        return pool(input, out_size)
    if mode == "lanczos" and align_corners:
        raise ValueError("Lanczos mode does not support align_corners=True")
    if mode == "lanczos" and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")
    _check_sizes(input, out_size)
    _check_dtype(input, mode, antialias)
    kind = "float64" if input.dtype is float64 and not mode.startswith("nearest") else "float32"
    rules = tuple(
        Rule(_ALONG.get(mode, mode), bool(align_corners), f, antialias, kind) for f in factors
    )
    return resample(input, out_size, rules)


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
    """`interpolate` under its old name."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


@composite(where="nn.functional")
def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "nearest"."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


@composite(where="nn.functional")
def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode "bilinear" and aligned corners."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
