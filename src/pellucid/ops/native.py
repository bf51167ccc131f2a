"""Eager operators on compiled kernels: the rule which calls run on them, and the ways there.

A call runs on kernels if its numbers are float32, `PELLUCID_KERNELS` is not "off", and it is large
enough: the first call of a kind loads LLVM (a quarter of a second) and makes the kernel (20 to
60 ms, once per machine). 3x3 convolutions without stride go by Winograd's way, whose rounding is
about three times the direct way's, and in which a NaN or infinity spreads over a tile of up to
4x4 outputs. Everything else runs on NumPy, which is also the reference. The rule looks at shapes,
strides and dtypes only, so that the same call always runs the same way.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from pellucid.config import eager_kernels
from pellucid.kernels.threads import num_threads
from pellucid.ops.elementwise import threaded as expressions

MULTIPLICATIONS = 1 << 24
"""Convolutions of so many and more run on kernels: about a millisecond of work."""
CHANNELS_OF_GROUP = 8
"""Groups of fewer output channels leave most of a vector unused, except one filter a channel."""
ELEMENTS = 1 << 20
"""Arrays of so many numbers and more are normalised by kernels: about a millisecond of work."""
_VECTOR = 16
HEAVY, LIGHT = 1 << 15, 1 << 18
"""Elementwise operators on so many numbers and more run on kernels: those that take NumPy several
passes, and those that it does at the speed of memory, which gain by a second thread alone.
"""


@cache
def _pointwise() -> Any:
    """The elementwise kernels."""
    return importlib.import_module("pellucid.kernels.eager_pointwise")


@cache
def planes() -> Any:
    """The kernels of normalisation."""
    return importlib.import_module("pellucid.kernels.eager_planes")


@cache
def _eager() -> Any:
    """The kernels, which are loaded by the first call that is large enough."""
    return importlib.import_module("pellucid.kernels.eager")


@cache
def enabled() -> bool:
    """Whether `PELLUCID_KERNELS` lets eager operators run on kernels."""
    return eager_kernels()


def convolves(x: np.ndarray, w: np.ndarray, y: np.ndarray, groups: int) -> bool:
    """Whether a convolution of x (N, C, *S) and w (K, C / groups, *F) that gives y (N, K, *O), or
    one of its gradients, runs on kernels.
    """
    if x.ndim not in (3, 4) or x.dtype != np.float32:
        return False
    if math.prod(y.shape) * math.prod(w.shape[1:]) < MULTIPLICATIONS or not x.size:
        return False
    depthwise = groups == x.shape[1] == w.shape[0]
    wide = min(w.shape[0] // groups, w.shape[1]) >= CHANNELS_OF_GROUP
    return (groups == 1 or depthwise or wide) and enabled()


def maps(name: str, operands: Sequence[Any], out: np.ndarray, settings: Mapping[str, Any]) -> bool:
    """Compute an elementwise operator into `out` on kernels, if it runs there: float32, large, and
    arrays that lie in the same order without gaps. Whether it was done.
    """
    heavy = name in expressions.HEAVY
    if out.size < (HEAVY if heavy else LIGHT) or out.dtype != np.float32 or not enabled():
        return False
    if not heavy and (name not in expressions.LIGHT or num_threads() == 1):
        return False
    if not _dense(out) or not all(_lies_like(each, out) for each in operands):
        return False
    found = expressions.expression(name, settings)
    if found is None:
        return False
    _pointwise().evaluate(found, operands, out)
    return True


def _dense(out: np.ndarray) -> bool:
    return out.flags.c_contiguous or out.flags.f_contiguous or (0 not in out.strides and (
        sum((n - 1) * s for n, s in zip(out.shape, out.strides, strict=True)) + 4 == out.nbytes
    ))  # fmt: skip


def _lies_like(operand: Any, out: np.ndarray) -> bool:
    """Whether an operand is a number, or an array with the elements of `out` in its order."""
    if not isinstance(operand, np.ndarray):
        return isinstance(operand, (int, float))
    if operand.dtype != np.float32:
        return False
    if operand.size == 1:
        return True
    return operand.shape == out.shape and operand.strides == out.strides


@cache
def rows() -> Any:
    """The kernels of softmax and layer normalisation."""
    return importlib.import_module("pellucid.kernels.eager_rows")


def takes_rows(*arrays: np.ndarray | None) -> bool:
    """Whether kernels take rows: float32, contiguous, at least a vector long, HEAVY in all."""
    given = [array for array in arrays if array is not None]
    first = given[0]
    return (
        first.size >= HEAVY and first.shape[-1] >= _VECTOR and enabled()
        and all(each.dtype == np.float32 and each.flags.c_contiguous for each in given)
    )  # fmt: skip


@cache
def attention() -> Any:
    """The kernel of attention."""
    return importlib.import_module("pellucid.kernels.eager_attention")


def attends(query: np.ndarray, key: np.ndarray, value: np.ndarray, out: np.ndarray) -> bool:
    """Whether a kernel takes attention over (N, H, L, D): float32 rows without gaps, and as many
    scores as are worth it.
    """
    arrays = (query, key, value, out)
    return (
        query.ndim == 4 and math.prod(query.shape[:3]) * key.shape[2] >= HEAVY and enabled()
        and query.size > 0
        and all(x.dtype == np.float32 and (x.strides[3] == 4 or x.shape[3] == 1) for x in arrays)
    )  # fmt: skip


def sums(array: np.ndarray) -> bool:
    """Whether kernels sum the innermost axis: large rows, for which a second thread pays."""
    return array.size >= ELEMENTS and num_threads() > 1 and takes_rows(array)


def normalises(*arrays: np.ndarray | None) -> bool:
    """Whether arrays (N, C, L) are normalised by kernels: planes of at least a vector, in order."""
    given = [array for array in arrays if array is not None]
    return (
        given[0].size >= ELEMENTS and given[0].shape[2] > 1 and enabled()
        and all(each.dtype == np.float32 and each.flags.c_contiguous for each in given)
    )  # fmt: skip


def _images(x: np.ndarray) -> np.ndarray:
    """(N, C, L) as images of one row."""
    return x if x.ndim == 4 else x[:, :, None]


def _geometry(slide: Any) -> tuple[Any, Any, Any]:
    """Stride, padding and dilation of two dimensions."""
    if len(slide.kernel) == 2:
        return slide.stride, slide.padding, slide.dilation
    return (1, *slide.stride), (0, *slide.padding), (1, *slide.dilation)


def correlate(x: np.ndarray, w: np.ndarray, out: np.ndarray, slide: Any, groups: int) -> None:
    """Correlate `x` with `w` into `out`, as `kernels_convolution` does."""
    _eager().correlate(_images(x), _images(w), _images(out), *_geometry(slide), groups)


def weight_gradient(
    grad: np.ndarray, x: np.ndarray, out: np.ndarray, slide: Any, groups: int
) -> None:
    """The gradient for the weights, into `out`."""
    images = (_images(array) for array in (grad, x, out))
    _eager().weight_gradient_of(*images, *_geometry(slide), groups)


def channels_last(x: np.ndarray) -> np.ndarray:
    """The same numbers with the channels last in memory, for several uses of them."""
    found = _eager().channels_last(_images(x), "several")
    return found if x.ndim == 4 else found[:, :, 0]


def staging(out: np.ndarray) -> np.ndarray:
    """Channels-last memory of `out`'s shape, to be filled piece by piece; then `unstage` it."""
    found = _eager().staging(_images(out))
    return found if out.ndim == 4 else found[:, :, 0]


def unstage(staged: np.ndarray, out: np.ndarray) -> None:
    """Bring what was put together in `staging(out)` to `out`."""
    if staged is not out:
        _eager().settle(_images(staged), _images(out))
