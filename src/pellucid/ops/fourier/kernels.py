"""The three transforms that all others are made of, with their gradients.

Complex to complex, real to complex, complex to real, each along several dimensions, computed by
`numpy.fft`. A scale is one of `NONE`, `ROOT` (1/√n) and `FULL` (1/n), whichever the direction. The
gradient of a transform is the transform in the other direction with the same scale.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import operator
from pellucid.ops.inplace import copy_array
from pellucid.tensor.dtype import dtype
from pellucid.tensor.layout import Layout, fourier_layout
from pellucid.tensor.tensor import Tensor, empty

NONE, ROOT, FULL = "none", "root", "full"
_Norm = Literal["backward", "ortho", "forward"]
_FORWARD: dict[str, _Norm] = {NONE: "backward", ROOT: "ortho", FULL: "forward"}
_INVERSE: dict[str, _Norm] = {NONE: "forward", ROOT: "ortho", FULL: "backward"}
"""What `numpy.fft` calls a scale, in either direction."""

Dims = tuple[int, ...]


def _sorted(dims: Dims, layout: Layout) -> Dims:
    """The dimensions with the largest stride first."""
    return tuple(sorted(dims, key=lambda d: -layout.strides[d]))


def _resized(shape: tuple[int, ...], dim: int, size: int) -> tuple[int, ...]:
    return (*shape[:dim], size, *shape[dim + 1 :])


def _finished(array: np.ndarray, layout: Layout, kind: dtype) -> Tensor:
    out = empty(layout, kind)
    copy_array(out._array, array)
    return out


@operator(
    where="internal",
    backward_name="FftC2CBackward0",
    gradient={
        "input": lambda grad, dims, scale, forward: complex_to_complex(
            grad, dims, scale, not forward
        )
    },
)
def complex_to_complex(input: Tensor, dims: Dims, scale: str, forward: bool) -> Tensor:
    """The transform of complex signals along `dims`; a copy if there are none."""
    if not dims:
        return F.clone(input)
    order = _sorted(dims, input._layout)
    layout = fourier_layout(input._layout, input._layout.shape, order)
    transform, names = (np.fft.fftn, _FORWARD) if forward else (np.fft.ifftn, _INVERSE)
    return _finished(transform(input._array, axes=order, norm=names[scale]), layout, input.dtype)


def _real_to_complex_grad(
    grad: Any, input_layout: Layout, dims: Dims, scale: str, onesided: bool
) -> Any:
    """The real part of the inverse transform; the half that was not given counts as zero."""
    last = dims[-1]
    missing = input_layout.shape[last] - grad.shape[last]
    if onesided and missing > 0:
        pad = [0, 0] * (grad.dim() - 1 - last) + [0, missing]
        grad = F.constant_pad_nd(grad, pad, 0)
    return F.real(complex_to_complex(grad, dims, scale, False))


@operator(
    where="internal",
    backward_name="FftR2CBackward0",
    gradient={"input": _real_to_complex_grad},
)
def real_to_complex(input: Tensor, dims: Dims, scale: str, onesided: bool) -> Tensor:
    """The transform of real signals along `dims`; with `onesided` only the first half of the last
    one, since the other half mirrors it.
    """
    *others, last = dims
    order = (*_sorted(tuple(others), input._layout), last)
    shape = input._layout.shape
    if onesided:
        shape = _resized(shape, last, shape[last] // 2 + 1)
    layout = fourier_layout(input._layout, shape, order)
    transform = np.fft.rfftn if onesided else np.fft.fftn
    found = transform(input._array, axes=order, norm=_FORWARD[scale])
    return _finished(found, layout, input.dtype.to_complex())


def _complex_to_real_grad(grad: Any, input_layout: Layout, dims: Dims, scale: str) -> Any:
    """The forward transform; what stands for two mirrored values counts twice."""
    found = real_to_complex(grad, dims, scale, True)
    last = dims[-1]
    size = found.shape[last]
    doubled = grad.shape[last] - size
    if doubled <= 0:
        return found
    weights = F.ones(size, dtype=grad.dtype)
    weights._array[1 : 1 + doubled] = 2
    return found * weights.view((size,) + (1,) * (found.dim() - 1 - last))


@operator(
    where="internal",
    backward_name="FftC2RBackward0",
    gradient={"input": _complex_to_real_grad},
)
def complex_to_real(input: Tensor, dims: Dims, scale: str, size: int) -> Tensor:
    """The inverse transform along `dims` of signals whose last dimension holds the first half of a
    mirrored one of `size` elements.
    """
    *others, last = dims
    layout, array = input._layout, input._array
    if others:
        order = _sorted(tuple(others), layout)
        layout = fourier_layout(layout, layout.shape, order)
        array = np.fft.ifftn(array, axes=order, norm=_INVERSE[scale])
    layout = fourier_layout(layout, _resized(layout.shape, last, size), (last,))
    found = np.fft.irfft(array, size, axis=last, norm=_INVERSE[scale])
    return _finished(found, layout, input.dtype.to_real())


def scale_of(norm: str | None, forward: bool) -> str:
    """The scale that `norm` ("backward" if None, "ortho", "forward") asks for."""
    if norm is None or norm == "backward":
        return NONE if forward else FULL
    if norm == "forward":
        return FULL if forward else NONE
    if norm == "ortho":
        return ROOT
    raise RuntimeError(
        f'Invalid normalization mode: "{norm}"\n  Choose "backward" (the inverse is divided by n), '
        '"forward" (the transform is), or "ortho" (both by the square root of n).'
    )
