"""The transposes of views: where the gradient of a part goes in the whole.

A view such as `select` shows a part of its input. Its gradient is the transpose: zeros of the
input's shape with the gradient in the part shown. `as_strided` may show an element several times;
then the gradients of all the places where it shows are added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import operator
from pellucid.tensor import layout as layouts
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.tensor import Tensor, empty

Step = tuple[Any, ...]
"""One view by name with its arguments: `("select", dim, index)`."""

LAYOUTS: dict[str, Callable[..., Layout]] = {
    "select": layouts.select,
    "slice": layouts.slice_dim,
    "unsqueeze": layouts.unsqueeze,
    "diagonal": layouts.diagonal,
}


def shown(layout: Layout, steps: tuple[Step, ...]) -> Layout:
    """The layout that the views `steps`, one after another, show of `layout`."""
    for name, *arguments in steps:
        layout = LAYOUTS[name](layout, *arguments)
    return layout


def show(whole: Tensor, steps: tuple[Step, ...]) -> Tensor:
    """The views `steps` of a tensor, one operator each."""
    for name, *arguments in steps:
        whole = getattr(F.internal if name == "slice" else F, name)(whole, *arguments)
    return whole


def window(array: np.ndarray, layout: Layout) -> np.ndarray:
    """What `layout` shows of a flat array."""
    size = array.itemsize
    if not layout.numel:
        return np.ndarray(layout.shape, array.dtype)
    strides = [s * size for s in layout.strides]
    return np.ndarray(layout.shape, array.dtype, array, layout.offset * size, strides)


@operator(where="internal", gradient={"part": lambda grad, steps: show(grad, steps)})
def embed(part: Tensor, shape: tuple[int, ...], steps: tuple[Step, ...]) -> Tensor:
    """Zeros of `shape` with `part` where the views `steps`, one after another, look."""
    whole = contiguous(shape)
    out = empty(whole, part.dtype)
    array = out._array
    array.fill(0)
    window(array.reshape(-1), shown(whole, steps))[...] = part._array
    return out


def _regather_grad(grad: Tensor, source: Layout, target: Layout, weight: Layout | None) -> Tensor:
    return regather(grad, target, source, weight)


@operator(where="internal", gradient={"part": _regather_grad})
def regather(part: Tensor, source: Layout, target: Layout, weight: Layout | None = None) -> Tensor:
    """Lay `part` out as `source` over zeroed memory, then read that memory as `target`.

    Elements that `source` shows several times get the sum of all. With `weight`, each element of
    memory is divided by the number of times that `weight` shows it. This is the gradient of
    `as_strided`, which goes from `target` to `source`; swapping the two gives its own gradient.
    """
    low = min(source.bounds[0], target.bounds[0])
    memory = np.zeros(max(source.bounds[1], target.bounds[1]) - low, part.dtype.numpy)
    _add_into(memory, _moved(source, low), part._array)
    if weight is not None:
        counts = np.zeros(memory.size, np.int64)
        inside = _moved(weight, low)
        _add_into(counts, inside, np.ones(inside.shape, np.int64))
        memory /= np.maximum(counts, 1).astype(memory.real.dtype)
    out = empty(contiguous(target.shape), part.dtype)
    np.copyto(out._array, window(memory, _moved(target, low)))
    return out


def _moved(layout: Layout, low: int) -> Layout:
    return Layout(layout.shape, layout.strides, layout.offset - low)


def _add_into(memory: np.ndarray, layout: Layout, part: np.ndarray) -> None:
    """`memory[layout] += part`, right also where `layout` shows an element twice."""
    if not layout.numel:
        return
    if layout.is_non_overlapping_and_dense or not _may_overlap(layout):
        window(memory, layout)[...] += part
        return
    np.add.at(memory, window(np.arange(memory.size), layout).reshape(-1), part.reshape(-1))


def _may_overlap(layout: Layout) -> bool:
    """Whether two indices could show one element: False only if each stride clears all smaller."""
    reach = 0
    axes = sorted(zip(layout.strides, layout.shape, strict=True))
    for stride, size in axes:
        if size == 1:
            continue
        if stride <= reach:
            return True
        reach += stride * (size - 1)
    return False
