"""Hypothesis strategies: tensors of every layout, the same for PyTorch and for Pellucid.

A strategy draws a *recipe* (`tests.parity.bridge.TensorRecipe`): dtype, shape, strides, offset and
memory. `both(recipe)` builds it in each library. Layouts drawn: contiguous, permuted, every n-th
element, cut out of something larger (an offset and gaps), expanded (stride 0), channels last, and
combinations; with empty and 0-dimensional tensors among all of them.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from tests.parity.bridge import (
    NUMPY_DTYPES,
    StorageRecipe,
    TensorRecipe,
    build,
    contiguous_strides,
)

FLOAT_DTYPES = ("float32", "float64")
ALL_DTYPES = (*FLOAT_DTYPES, "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool")
CHANNELS_LAST_ORDER = {4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}


def shapes(
    least: int = 0, most: int = 4, *, smallest: int = 0, largest: int = 4
) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of `least` to `most` dimensions; a size is rarely 0, and 1 more often than others."""
    sizes = st.one_of(
        st.integers(max(1, smallest), largest), st.just(1), st.integers(smallest, largest)
    )
    return st.lists(sizes, min_size=least, max_size=most).map(tuple)


@st.composite
def layouts(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int, int]:
    """`(strides, offset, elements of the storage)` for a shape.

    The dimensions are laid out in a drawn order; along each one, room for more elements may be left
    (a slice of something larger), steps may be longer than 1, or the stride may be 0 (expanded).
    """
    order = draw(orders(len(shape)))
    strides = [0] * len(shape)
    step = 1
    for dimension in reversed(order):
        every = draw(st.sampled_from((1, 1, 1, 2, 3)))
        strides[dimension] = step * every
        room = draw(st.sampled_from((0, 0, 0, 1, 2)))
        step *= max(shape[dimension], 1) * every + room
    if draw(st.sampled_from((False, False, False, True))):
        for dimension in range(len(shape)):
            if draw(st.booleans()):
                strides[dimension] = 0
    offset = draw(st.sampled_from((0, 0, 0, 1, 5)))
    reach = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    used = 0 if 0 in shape else reach + 1
    return tuple(strides), offset, offset + max(used, 0) + draw(st.sampled_from((0, 0, 3)))


def orders(dimensions: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Orders of the dimensions in memory, the slowest first."""
    plain = tuple(range(dimensions))
    known = [plain, plain[::-1], CHANNELS_LAST_ORDER.get(dimensions, plain)]
    return st.one_of(st.just(plain), st.sampled_from(known), st.permutations(plain).map(tuple))


@st.composite
def tensors(
    draw: st.DrawFn,
    shape: tuple[int, ...] | st.SearchStrategy[tuple[int, ...]] | None = None,
    dtypes: tuple[str, ...] = FLOAT_DTYPES,
    *,
    contiguous: bool = False,
    requires_grad: bool = False,
) -> TensorRecipe:
    """Recipes of tensors; values are small numbers, distinct where the dtype has room.

    Args:
        shape: the shape, a strategy for it, or None for any of up to four dimensions.
        dtypes: names to choose from.
        contiguous: row-major tensors only.
        requires_grad: whether the built leaves ask for a gradient.
    """
    if shape is None:
        shape = shapes()
    size = shape if isinstance(shape, tuple) else draw(shape)
    dtype = draw(st.sampled_from(dtypes))
    if contiguous:
        elements = int(np.prod(size, dtype=np.int64))
        strides, offset = contiguous_strides(size), 0
    else:
        strides, offset, elements = draw(layouts(size))
    seed = draw(st.integers(0, 2**16))
    storage = StorageRecipe(memory(dtype, elements, seed).tobytes(), 2 - contiguous)
    return TensorRecipe(storage, dtype, size, strides, offset, requires_grad)


def memory(dtype: str, elements: int, seed: int) -> np.ndarray:
    """Shuffled multiples of 1/8 around 0; integers modulo their range; coin tosses for bool."""
    order = np.random.default_rng(seed).permutation(elements)
    kind = NUMPY_DTYPES[dtype]
    if dtype == "bool":
        return (order % 2).astype(np.bool_)
    if kind.kind in "iu":
        return (order % 100).astype(kind)
    return ((order - elements // 2) / 8).astype(kind)


@st.composite
def broadcasting_pairs(
    draw: st.DrawFn, dtypes: tuple[str, ...] = FLOAT_DTYPES
) -> tuple[TensorRecipe, TensorRecipe]:
    """Two tensors of one dtype whose shapes broadcast."""
    full = draw(shapes(0, 4))
    dtype = draw(st.sampled_from(dtypes))
    recipes = []
    for _ in range(2):
        kept = full[draw(st.integers(0, len(full))) :]
        size = tuple(1 if draw(st.booleans()) else n for n in kept)
        recipes.append(draw(tensors(size, (dtype,))))
    return recipes[0], recipes[1]


def both(tree: Any, library: ModuleType) -> tuple[Any, Any]:
    """A recipe, or any tree of recipes, built for PyTorch and for `library`."""
    return build(tree, torch), build(tree, library)
