"""Layout: where each element of a tensor lies in its storage, as a value.

Element `(i, j, …)` of a tensor lies at `offset + i*strides[0] + j*strides[1] + …`, counted in
elements. A view (`permute`, `expand`, `narrow`, …) is another `Layout` over the same storage, so
every view operator is a pure function here: it returns a `Layout`, or a `NoView` that says which
axes are in the way. No other code computes strides.

>>> x = contiguous((2, 3))
>>> transpose(x, 0, 1)
Layout(shape=(3, 2), strides=(1, 3), offset=0)
>>> view(transpose(x, 0, 1), (6,)).pairs
((0, 1),)

These functions run once per operator call, so each is cached on its arguments: pass tuples of
Python integers, not lists or NumPy integers. Error types and words are PyTorch 2.13's.

This module is the door; behind it stand `layout_rules` (arithmetic on shapes and strides),
`layout_value` (`Layout`, and the layouts of fresh tensors), `layout_view` (`view` and its
obstacles) and `layout_axes` (every other view).
"""

from pellucid.tensor.layout_axes import (
    as_strided,
    diagonal,
    expand,
    movedim,
    narrow,
    permute,
    select,
    slice_dim,
    squeeze,
    transpose,
    unfold,
    unsqueeze,
)
from pellucid.tensor.layout_rules import (
    Ints,
    MemoryFormat,
    channels_last_3d_strides,
    channels_last_strides,
    contiguous_strides,
    infer_shape,
    normalize_dim,
    normalize_dims,
    reduced_shape,
)
from pellucid.tensor.layout_value import (
    Layout,
    NoView,
    bounds,
    broadcast_shapes,
    channels_last,
    channels_last_3d,
    contiguous,
    elementwise_layout,
    elementwise_strides,
    empty_like_layout,
    empty_like_strides,
    fourier_layout,
    has_internal_overlap,
    infer_reduction_strides,
    is_contiguous,
    is_non_overlapping_and_dense,
    reduction_layout,
    span,
    suggest_memory_format,
)
from pellucid.tensor.layout_view import (
    contiguity_formula,
    flatten_shape,
    joined_pairs,
    pairs,
    unflatten,
    view,
    view_dtype,
    view_obstacle,
)

__all__ = [
    # the value
    "Ints",
    "Layout",
    "MemoryFormat",
    "NoView",
    "bounds",
    "has_internal_overlap",
    "is_contiguous",
    "is_non_overlapping_and_dense",
    "span",
    "suggest_memory_format",
    # fresh tensors
    "channels_last",
    "channels_last_3d",
    "channels_last_3d_strides",
    "channels_last_strides",
    "contiguous",
    "contiguous_strides",
    "elementwise_layout",
    "elementwise_strides",
    "empty_like_layout",
    "empty_like_strides",
    "fourier_layout",
    "infer_reduction_strides",
    "reduced_shape",
    "reduction_layout",
    # arguments
    "broadcast_shapes",
    "infer_shape",
    "normalize_dim",
    "normalize_dims",
    # views
    "as_strided",
    "diagonal",
    "expand",
    "flatten_shape",
    "joined_pairs",
    "movedim",
    "narrow",
    "pairs",
    "permute",
    "select",
    "slice_dim",
    "squeeze",
    "transpose",
    "unflatten",
    "unfold",
    "unsqueeze",
    "view",
    "view_dtype",
    # explanations
    "contiguity_formula",
    "view_obstacle",
]
