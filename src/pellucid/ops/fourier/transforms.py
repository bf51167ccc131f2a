"""Discrete Fourier transforms, `torch.fft`: X[k] = Σⱼ x[j] · exp(−2πi · jk / n), and its inverse.

Of a real signal the second half of the transform mirrors the first, so `rfft` gives only n/2 + 1
values, and `irfft` reads as many. `hfft` and `ihfft` are the same with signal and transform
exchanged. Integers are transformed in the default floating dtype. `norm` says what is divided by:
"backward" (the inverse by n), "forward" (the transform by n), "ortho" (both by √n).
"""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.ops.api import F
from pellucid.ops.arguments import integers
from pellucid.ops.dispatch import composite
from pellucid.ops.fourier.arguments import (
    check_points,
    into,
    mirrored_dims,
    needs_axis,
    one_dim,
    promoted,
    refuse_complex,
    resized,
    several_dims,
)
from pellucid.ops.fourier.kernels import (
    complex_to_complex,
    complex_to_real,
    real_to_complex,
    scale_of,
)
from pellucid.ops.inplace import scalar_type
from pellucid.tensor.layout import normalize_dim
from pellucid.tensor.tensor import Tensor

_LAST_TWO = (-2, -1)

# --- one dimension --------------------------------------------------------------------------------


def _from_real(
    name: str, input: Tensor, n: int | None, dim: int, norm: str | None, forward: bool, half: bool
) -> Tensor:
    refuse_complex(name, input)
    input = promoted(input, to_complex=False)
    n, axis = one_dim(name, input, n, dim)
    points = check_points(input._layout.shape[axis] if n is None else n)
    if n is not None:
        input = resized(input, (axis,), (points,))
    found = real_to_complex(input, (axis,), scale_of(norm, forward), half)
    return found if forward else F.conj(found)


def _to_real(
    name: str, input: Tensor, n: int | None, dim: int, norm: str | None, forward: bool
) -> Tensor:
    input = promoted(input, to_complex=True)
    n, axis = one_dim(name, input, n, dim)
    points = check_points(2 * (input._layout.shape[axis] - 1) if n is None else n)
    if n is not None:
        input = resized(input, (axis,), (points // 2 + 1,))
    scale = scale_of(norm, forward)
    return complex_to_real(F.conj(input) if forward else input, (axis,), scale, points)


def _complex(
    name: str, input: Tensor, n: int | None, dim: int, norm: str | None, forward: bool
) -> Tensor:
    if not input.is_complex():
        return _from_real(name, input, n, dim, norm, forward, False)
    n, axis = one_dim(name, input, n, dim)
    points = check_points(input._layout.shape[axis] if n is None else n)
    if n is not None:
        input = resized(input, (axis,), (points,))
    return complex_to_complex(input, (axis,), scale_of(norm, forward), forward)


@composite(where="fft", out=into("fft", "complex"))
def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The transform along `dim`, cut or filled up with zeros to `n` points. Complex; shape as
    `input` but for `n`.
    """
    return _complex("fft", input, n, dim, norm, True)


@composite(where="fft", out=into("ifft", "complex"))
def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `fft`."""
    return _complex("ifft", input, n, dim, norm, False)


@composite(where="fft", out=into("rfft", "complex"))
def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The first n/2 + 1 values of the transform of a real signal."""
    return _from_real("rfft", input, n, dim, norm, True, True)


@composite(where="fft", out=into("irfft", "floating point"))
def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The real signal of `n` points (an even number, if not given) that `rfft` transformed."""
    return _to_real("irfft", input, n, dim, norm, False)


@composite(where="fft", out=into("hfft", "floating point"))
def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The real transform of a signal whose second half mirrors the first, which is given."""
    return _to_real("hfft", input, n, dim, norm, True)


@composite(where="fft", out=into("ihfft", "complex", row_major=False))
def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `hfft`: the first n/2 + 1 values."""
    return _from_real("ihfft", input, n, dim, norm, False, True)


# --- several dimensions ---------------------------------------------------------------------------

Sizes = Sequence[int] | None


def _complex_n(
    name: str, input: Tensor, s: Sizes, dim: Sizes, norm: str | None, forward: bool
) -> Tensor:
    input = promoted(input, to_complex=True)
    sizes, axes = several_dims(name, input, s, dim)
    input = resized(input, axes, sizes)
    return complex_to_complex(input, axes, scale_of(norm, forward), forward)


@composite(where="fft", out=into("fftn", "complex"))
def fftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """The transform along several dimensions, all if neither `s` nor `dim` is given."""
    return _complex_n("fftn", input, s, dim, norm, True)


@composite(where="fft", out=into("ifftn", "complex"))
def ifftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """The inverse of `fftn`."""
    return _complex_n("ifftn", input, s, dim, norm, False)


@composite(where="fft", out=into("rfftn", "complex"))
def rfftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """The transform of a real signal along several dimensions; half of the last one is given."""
    refuse_complex("rfftn", input, "real-valued")
    input = promoted(input, to_complex=False)
    sizes, axes = several_dims("rfftn", input, s, dim)
    needs_axis("rfftn", axes)
    return real_to_complex(resized(input, axes, sizes), axes, scale_of(norm, True), True)


@composite(where="fft", out=into("irfftn", "floating point"))
def irfftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """The real signal that `rfftn` transformed."""
    input = promoted(input, to_complex=True)
    sizes, axes, last = mirrored_dims("irfftn", input, s, dim)
    return complex_to_real(resized(input, axes, sizes), axes, scale_of(norm, False), last)


@composite(where="fft", out=into("hfftn", "floating point"))
def hfftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """The real transform of a signal that mirrors itself, along several dimensions."""
    input = promoted(input, to_complex=True)
    sizes, axes, last = mirrored_dims("hfftn", input, s, dim)
    scale = scale_of(norm, True)
    input = resized(input, axes, sizes)
    if len(axes) > 1:
        input = complex_to_complex(input, axes[:-1], scale, True)
    return complex_to_real(F.conj(input), axes[-1:], scale, last)


@composite(where="fft", out=into("ihfftn", "complex"))
def ihfftn(input: Tensor, s: Sizes = None, dim: Sizes = None, norm: str | None = None) -> Tensor:
    """The inverse of `hfftn`."""
    if input.is_complex():
        raise RuntimeError(
            f"Only supports floating-point dtypes, but found: {scalar_type(input.dtype)}"
        )
    input = promoted(input, to_complex=False)
    sizes, axes = several_dims("ihfftn", input, s, dim)
    needs_axis("ihfftn", axes)
    scale = scale_of(norm, False)
    input = resized(input, axes, sizes)
    found = F.conj(real_to_complex(input, axes[-1:], scale, True))
    return complex_to_complex(found, axes[:-1], scale, False) if len(axes) > 1 else found


# --- two dimensions -------------------------------------------------------------------------------


@composite(where="fft", out=into("fftn", "complex"))
def fft2(
    input: Tensor, s: Sizes = None, dim: Sequence[int] = _LAST_TWO, norm: str | None = None
) -> Tensor:
    """`fftn` along the last two dimensions."""
    return fftn(input, s, dim, norm)


@composite(where="fft", out=into("ifftn", "complex"))
def ifft2(
    input: Tensor, s: Sizes = None, dim: Sequence[int] = _LAST_TWO, norm: str | None = None
) -> Tensor:
    """`ifftn` along the last two dimensions."""
    return ifftn(input, s, dim, norm)


@composite(where="fft", out=into("rfftn", "complex"))
def rfft2(
    input: Tensor, s: Sizes = None, dim: Sequence[int] = _LAST_TWO, norm: str | None = None
) -> Tensor:
    """`rfftn` along the last two dimensions."""
    return rfftn(input, s, dim, norm)


@composite(where="fft", out=into("irfftn", "floating point"))
def irfft2(
    input: Tensor, s: Sizes = None, dim: Sequence[int] = _LAST_TWO, norm: str | None = None
) -> Tensor:
    """`irfftn` along the last two dimensions."""
    return irfftn(input, s, dim, norm)


@composite(where="fft", out=into("hfftn", "floating point"))
def hfft2(
    input: Tensor, s: Sizes = None, dim: Sequence[int] = _LAST_TWO, norm: str | None = None
) -> Tensor:
    """`hfftn` along the last two dimensions."""
    return hfftn(input, s, dim, norm)


@composite(where="fft", out=into("ihfftn", "complex"))
def ihfft2(
    input: Tensor, s: Sizes = None, dim: Sequence[int] = _LAST_TWO, norm: str | None = None
) -> Tensor:
    """`ihfftn` along the last two dimensions."""
    return ihfftn(input, s, dim, norm)


# --- order ----------------------------------------------------------------------------------------


def _shifted(name: str, input: Tensor, dim: int | Sequence[int] | None, extra: int) -> Tensor:
    if dim is None:
        axes = tuple(range(input.dim()))
    else:
        axes = integers(f"fft_{name}", "dim", 2, dim)
    shape = input._layout.shape
    shifts = tuple((shape[normalize_dim(axis, len(shape))] + extra) // 2 for axis in axes)
    return F.roll(input, shifts, axes)


@composite(where="fft")
def fftshift(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """The frequency 0 moved from the front to the middle of each dimension (of those in `dim`)."""
    return _shifted("fftshift", input, dim, 0)


@composite(where="fft")
def ifftshift(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of `fftshift`."""
    return _shifted("ifftshift", input, dim, 1)
