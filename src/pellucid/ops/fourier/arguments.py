"""Reading the arguments of Fourier transforms: sizes, dimensions and dtypes, in PyTorch's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.ops.api import F
from pellucid.ops.arguments import integer, integers
from pellucid.ops.inplace import check_castable, scalar_type
from pellucid.ops.spec import OutRule
from pellucid.tensor.dtype import FLOATING, REDUCED, default
from pellucid.tensor.layout import normalize_dim
from pellucid.tensor.tensor import Tensor


def promoted(input: Tensor, *, to_complex: bool) -> Tensor:
    """`input` in a dtype that can be transformed: integers become the default floating dtype."""
    kind = input.dtype
    if kind.category < FLOATING:
        kind = default.floating
    if kind in REDUCED:
        raise RuntimeError(
            f"Unsupported dtype {scalar_type(kind)}\n"
            "  Transforms are computed in float32 and float64: convert it with .float() first."
        )
    return input.to(kind.to_complex() if to_complex else kind)


def refuse_complex(name: str, input: Tensor, kind: str = "real") -> None:
    """Refuse complex signals where real ones are transformed."""
    if input.is_complex():
        raise RuntimeError(
            f"{name} expects a {kind} input tensor, but got {scalar_type(input.dtype)}"
        )


def one_dim(name: str, input: Tensor, n: Any, dim: Any) -> tuple[int | None, int]:
    """`n` and `dim` of a transform along one dimension."""
    points = None if n is None else integer(f"fft_{name}", "n", 2, n)
    return points, normalize_dim(
        integer(f"fft_{name}", "dim", 3, dim), input.dim(), wrap_scalar=False
    )


def check_points(n: int) -> int:
    """`n`, which must be positive."""
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return n


def resized(input: Tensor, dims: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """`input` cut, or filled up with zeros at the end, to `sizes` along `dims`."""
    pad = [0] * (2 * input.dim())
    for axis, size in zip(dims, sizes, strict=True):
        have = input._layout.shape[axis]
        if size < have:
            input = input.narrow(axis, 0, size)
        else:
            pad[2 * (input.dim() - 1 - axis) + 1] = size - have
    return F.constant_pad_nd(input, pad, 0) if any(pad) else input


def several_dims(
    name: str, input: Tensor, s: Any, dim: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The sizes and dimensions of a transform along several dimensions.

    -1 in `s` keeps a size; without `dim` the last `len(s)` dimensions are meant, without either
    all.
    """
    sizes = None if s is None else integers(f"fft_{name}", "s", 2, s)
    shape, ndim = input._layout.shape, input.dim()
    axes: tuple[int, ...] | None = None
    if dim is not None:
        given = integers(f"fft_{name}", "dim", 3, dim)
        axes = tuple(normalize_dim(d, ndim, wrap_scalar=False) for d in given)
        if len(set(axes)) < len(axes):
            raise RuntimeError(f"FFT dims must be unique\n  Given: {list(given)}")
    if sizes is None:
        axes = tuple(range(ndim)) if axes is None else axes
        sizes = tuple(shape[axis] for axis in axes)
    elif axes is None:
        if len(sizes) > ndim:
            raise RuntimeError(
                f"Got shape with {len(sizes)} values but input tensor only has {ndim} dimensions."
            )
        axes = tuple(range(ndim - len(sizes), ndim))
    elif len(axes) != len(sizes):
        raise RuntimeError("When given, dim and shape arguments must have the same length")
    found = [shape[axis] if n == -1 else n for axis, n in zip(axes, sizes, strict=True)]
    return tuple(check_points(n) for n in found), axes


def mirrored_dims(
    name: str, input: Tensor, s: Any, dim: Any
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """As `several_dims` for a transform to real signals, and the size of the last dimension of its
    output; the input holds the first half of it.
    """
    sizes, axes = several_dims(name, input, s, dim)
    needs_axis(name, axes)
    given = None if s is None else integers(f"fft_{name}", "s", 2, s)[-1]
    last = sizes[-1]
    if given is None or given == -1:
        last = check_points(2 * (input._layout.shape[axes[-1]] - 1))
    return (*sizes[:-1], last // 2 + 1), axes, last


def needs_axis(name: str, axes: Sequence[int]) -> None:
    """Refuse transforms along no dimension, where one of them is halved."""
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")


def into(name: str, kind: str, row_major: bool = True) -> OutRule:
    """How a transform takes `out=`: a complex tensor, or a floating point one."""

    def prepare(args: Any, target: Any, settings: Any) -> None:
        fits = target.is_complex() if kind == "complex" else target.is_floating_point()
        if not fits:
            raise RuntimeError(
                f"{name} expects a {kind} output tensor, but got {scalar_type(target.dtype)}"
            )

    return OutRule(check_castable, row_major=row_major, prepare=prepare)
