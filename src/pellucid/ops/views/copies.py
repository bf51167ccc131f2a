"""Views by value: `select_scatter` and its kin write into a copy, `select_copy` and its kin copy.

They exist for programs that may not alias memory (PyTorch's functionalised graphs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import tensor
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import MOVED, copy_array, resize_output, same_dtype
from pellucid.ops.memory.memory import clone
from pellucid.ops.views import axes as view_axes
from pellucid.ops.views import memory as view_memory
from pellucid.ops.views import parts as view_parts
from pellucid.ops.views import shape as view_shape
from pellucid.ops.views.embed import window
from pellucid.ops.views.memory import strided_layout
from pellucid.tensor import layout as layouts
from pellucid.tensor.device import contiguous_format
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor, empty

# --- writing into a copy --------------------------------------------------------------------------


def _written(input: Tensor, src: Tensor, part: Callable[[Layout], Layout]) -> Tensor:
    """A copy of `input` with `src` in the part that the view `part` shows."""
    tensor("scatter", "src", 1, src)
    out = _same_strides(input)
    shown = part(out._layout)
    if shown.shape != src._layout.shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src._layout.shape)}, slice size = {list(shown.shape)}"
        )
    flat = np.frombuffer(out._storage.buffer, out.dtype.numpy)
    copy_array(window(flat, shown), src._array)
    return out


def _same_strides(input: Tensor) -> Tensor:
    """A copy with the input's strides and offset, gaps included; packed if elements overlap."""
    layout = input._layout
    if layout.has_internal_overlap:
        layout = layouts.empty_like_layout(layout)
    count = max(layout.bounds[1], input._storage.nbytes() // input.dtype.itemsize)
    out = empty(layouts.contiguous((count,)), input.dtype)
    out._array.fill(0)
    out._layout = layout
    out.__dict__.pop("_array")
    np.copyto(out._array, input._array)
    return out


def _no_part(src_layout: Layout, grad: Tensor) -> Tensor:
    return F.zeros(src_layout.shape, dtype=grad.dtype)


@operator(
    gradient={
        "input": lambda grad, src_layout, dim, index: grad.select_scatter(
            _no_part(src_layout, grad), dim, index
        ),
        "src": lambda grad, dim, index: grad.select(dim, index),
    }
)
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` at one index of dimension `dim`."""
    return _written(input, src, lambda layout: layouts.select(layout, dim, index))


def _slice_src(grad: Tensor, dim: int, start: Any, end: Any, step: int) -> Tensor:
    return view_parts.slice_along(grad, dim, start, end, step)


@operator(
    out=MOVED,
    gradient={
        "input": lambda grad, src_layout, dim, start, end, step: grad.slice_scatter(
            _no_part(src_layout, grad), dim, start, end, step
        ),
        "src": _slice_src,
    },
)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Tensor:
    """A copy of `input` with `src` at the indices `start:end:step` of dimension `dim`."""
    return _written(input, src, lambda layout: layouts.slice_dim(layout, dim, start, end, step))


@operator(
    gradient={
        "input": lambda grad, src_layout, offset, dim1, dim2: grad.diagonal_scatter(
            _no_part(src_layout, grad), offset, dim1, dim2
        ),
        "src": lambda grad, offset, dim1, dim2: grad.diagonal(offset, dim1, dim2),
    }
)
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy of `input` with `src` on a diagonal."""
    return _written(input, src, lambda layout: layouts.diagonal(layout, offset, dim1, dim2))


@operator(
    gradient={
        "input": lambda grad, src_layout, size, stride, storage_offset: (
            grad.contiguous().as_strided_scatter(
                _no_part(src_layout, grad), size, stride, storage_offset
            )
        ),
        "src": lambda grad, size, stride, storage_offset: grad.contiguous().as_strided(
            size, stride, storage_offset
        ),
    }
)
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: Any = None
) -> Tensor:
    """A copy of `input` with `src` in any strided part of its memory."""
    copied = _same_strides(input)
    strided_layout(copied, size, stride, storage_offset)
    return _written(
        input,
        src,
        lambda layout: layouts.as_strided(layout, tuple(size), tuple(stride), storage_offset),
    )


# --- fresh copies of views ------------------------------------------------------------------------


def _fresh(name: str, view: Callable[..., Any], where: str = "torch") -> None:
    """Enter `name`: what `view` shows, in fresh row-major memory."""

    def copied(*args: Any, **kwargs: Any) -> Tensor:
        return clone(view(*args, **kwargs), memory_format=contiguous_format)

    copied.__doc__ = f"`{name.removesuffix('_copy')}` in fresh memory."
    copied.__name__ = name
    composite(where=where, name=name, out=MOVED)(copied)


def _fresh_parts(name: str, view: Callable[..., tuple[Tensor, ...]]) -> None:
    """Enter `name`: the several tensors that `view` shows, copied. With `out=` it returns None."""

    def copied(*args: Any, out: Any = None, **kwargs: Any) -> tuple[Tensor, ...] | None:
        shown = view(*args, **kwargs)
        if out is None:
            return tuple(clone(each, memory_format=contiguous_format) for each in shown)
        for target, each in zip(out, shown, strict=True):
            same_dtype(each.dtype, target.dtype)
            resize_output(target, layouts.contiguous(each._layout.shape))
            target.copy_(each)
        return None

    copied.__doc__ = f"`{name.removesuffix('_copy')}`, each part in fresh memory."
    copied.__name__ = name
    composite(where="torch", name=name)(copied)


for _name, _view in {
    "alias_copy": view_shape.alias,
    "as_strided_copy": view_memory.as_strided,
    "detach_copy": lambda input: input.detach(),
    "diagonal_copy": view_parts.diagonal,
    "expand_copy": view_shape.expand,
    "permute_copy": view_axes.permute,
    "select_copy": view_parts.select,
    "slice_copy": view_parts.slice_along,
    "squeeze_copy": view_axes.squeeze,
    "t_copy": view_axes.t,
    "transpose_copy": view_axes.transpose,
    "unfold_copy": view_parts.unfold,
    "unsqueeze_copy": view_axes.unsqueeze,
    "view_as_complex_copy": view_memory.view_as_complex,
    "view_as_real_copy": view_memory.view_as_real,
    "view_copy": view_shape.reshape,
}.items():
    _fresh(_name, _view)
_fresh_parts("split_copy", view_parts.split)
_fresh_parts("split_with_sizes_copy", view_parts.split_with_sizes)
_fresh_parts("unbind_copy", view_parts.unbind)
_fresh("narrow_copy", view_parts.narrow, "torch Tensor")
