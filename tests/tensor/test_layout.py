"""The `Layout` value, its predicates, arguments, and `view`, each against PyTorch."""

import copy
import doctest
import pickle
from typing import Any

import pytest
import torch
from hypothesis import example
from hypothesis import strategies as st
from tensor.layout_cases import agree, dense, dims, drawn, of, outcome, strided, tensors

from pellucid.tensor import layout as L
from pellucid.tensor import layout_axes, layout_rules, layout_value, layout_view
from pellucid.tensor.layout import Layout, NoView

# --- the value ------------------------------------------------------------------------------------


def test_a_layout_is_a_value():
    layout = L.contiguous((2, 3))
    assert layout is L.contiguous((2, 3))
    assert layout == Layout((2, 3), (3, 1), 0) and hash(layout) == hash(Layout((2, 3), (3, 1), 0))
    assert layout != Layout((2, 3), (3, 1), 1)
    assert repr(layout) == "Layout(shape=(2, 3), strides=(3, 1), offset=0)"
    assert layout.numel == 6 and layout.ndim == 2
    assert pickle.loads(pickle.dumps(layout)) == copy.deepcopy(layout) == layout
    with pytest.raises(AttributeError, match="cannot set 'shape'"):
        layout.shape = (3, 2)
    with pytest.raises(AttributeError, match="cannot set 'name'"):
        layout.name = "x"


@drawn(tensors)
def test_predicates_are_pytorchs(tensor: torch.Tensor):
    layout = of(tensor)
    assert layout.numel == tensor.numel() and layout.ndim == tensor.dim()
    for name in ("contiguous_format", "channels_last", "channels_last_3d", "preserve_format"):
        expected = tensor.is_contiguous(memory_format=getattr(torch, name))
        assert layout.is_contiguous(name) == L.is_contiguous(layout, name) == expected, name
    assert L.is_non_overlapping_and_dense(layout) == torch.ops.aten.is_non_overlapping_and_dense(
        tensor
    )


@drawn(tensors)
def test_bounds_are_the_least_storage_that_pytorch_accepts(tensor: torch.Tensor):
    layout = of(tensor)
    low, high = L.bounds(layout)
    assert (low, high - low) == (layout.offset, L.span(layout))
    torch.empty(high).as_strided(layout.shape, layout.strides, layout.offset)
    if layout.numel:
        with pytest.raises(RuntimeError, match="out of bounds for storage"):
            torch.empty(high - 1).as_strided(layout.shape, layout.strides, layout.offset)


def test_bounds_of_a_reversed_axis():
    assert Layout((2, 3), (3, -1), 2).bounds == (0, 6)


@drawn(tensors)
def test_internal_overlap_decides_which_in_place_writes_pytorch_refuses(tensor: torch.Tensor):
    try:
        tensor.zero_().add_(1)
        refused = False
    except RuntimeError as error:
        assert "more than one element of the written-to tensor" in str(error)
        refused = True
    assert refused == (L.has_internal_overlap(of(tensor)) is True)


sized_for_pooling = st.lists(st.integers(1, 3), min_size=4, max_size=5)


@drawn(sized_for_pooling.flatmap(lambda shape: dense(shape=shape) | strided(shape=shape)))
def test_suggested_format_is_the_one_pooling_continues_in(tensor: torch.Tensor):
    layout = of(tensor)
    pool = torch.nn.functional.max_pool2d if tensor.dim() == 4 else torch.nn.functional.max_pool3d
    made = {
        "contiguous_format": L.contiguous_strides,
        "channels_last": L.channels_last_strides,
        "channels_last_3d": L.channels_last_3d_strides,
    }[L.suggest_memory_format(layout)]
    assert pool(tensor, 1).stride() == made(layout.shape)
    name = f"torch.{L.suggest_memory_format(layout)}"
    assert name == str(torch._prims_common.suggest_memory_format(tensor))


@drawn(st.lists(st.integers(0, 4), max_size=5).map(tuple), st.integers(0, 3))
def test_fresh_layouts(shape: tuple[int, ...], offset: int):
    assert of(torch.empty(shape)) == L.contiguous(shape)
    assert L.contiguous(shape, offset) == Layout(shape, L.contiguous_strides(shape), offset)
    for name, make in (
        ("channels_last", L.channels_last),
        ("channels_last_3d", L.channels_last_3d),
    ):
        agree(
            lambda make=make: make(shape),
            lambda name=name: torch.empty(shape, memory_format=getattr(torch, name)),
        )


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "ndim", "words"), [
    (5, 2, r"expected to be in range of \[-2, 1\], but got 5"),
    (-3, 2, r"expected to be in range of \[-2, 1\], but got -3"),
    (1, 0, r"expected to be in range of \[-1, 0\], but got 1"),
])  # fmt: skip
def test_a_dim_out_of_range(dim: int, ndim: int, words: str):
    with pytest.raises(IndexError, match=words):
        L.normalize_dim(dim, ndim)


def test_a_scalar_has_one_wrapped_dim_unless_told_otherwise():
    assert L.normalize_dim(-1, 0) == L.normalize_dim(0, 0) == 0
    with pytest.raises(IndexError, match="Dimension specified as 0 but tensor has no dimensions"):
        L.normalize_dim(0, 0, wrap_scalar=False)


@drawn(tensors, st.one_of(st.none(), dims, st.lists(dims, max_size=4).map(tuple)), st.booleans())
@example(torch.zeros(()), (0, -1), False)
def test_reductions(tensor: torch.Tensor, axes: Any, keepdim: bool):
    def theirs() -> torch.Tensor:
        return torch.sum(tensor, dim=axes, keepdim=keepdim)

    agree(lambda: L.reduction_layout(of(tensor), axes, keepdim), theirs)
    if isinstance(outcome(theirs), Layout):
        assert L.infer_reduction_strides(of(tensor), axes, keepdim) == theirs().stride()


shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@drawn(st.lists(shapes, min_size=1, max_size=3))
def test_broadcasting(several: list[tuple[int, ...]]):
    operands = [torch.zeros(shape) for shape in several]
    function = {1: torch.neg, 2: torch.add, 3: torch.addcmul}[len(operands)]
    agree(
        lambda: L.contiguous(L.broadcast_shapes(*several)),
        lambda: torch.empty(function(*operands).shape),
    )


# --- view -----------------------------------------------------------------------------------------


@st.composite
def regrouped(draw: st.DrawFn, numel: int) -> tuple[int, ...]:
    """A shape that often holds `numel` elements, sometimes with a -1, sometimes wrong."""
    if draw(st.integers(0, 5)) == 0:
        return tuple(draw(st.lists(st.integers(-2, 6), max_size=4)))
    sizes, left = [], numel
    for _ in range(draw(st.integers(0, 4))):
        factors = [f for f in range(1, min(left, 30) + 1) if left % f == 0] or [0, 1, 3]
        sizes.append(draw(st.sampled_from(factors)))
        left = left // sizes[-1] if sizes[-1] else 0
    sizes.append(draw(st.sampled_from([left, left, -1])))
    sizes.insert(draw(st.integers(0, len(sizes))), 1)
    return tuple(sizes)


@drawn(st.data(), tensors, examples=500)
def test_view(data: st.DataObject, tensor: torch.Tensor):
    shape = data.draw(regrouped(tensor.numel()))
    layout = of(tensor)
    agree(lambda: L.view(layout, shape), lambda: tensor.view(shape))
    try:
        result = L.view(layout, shape)
    except RuntimeError:
        return
    assert bool(result) == (L.view_obstacle(layout, shape) == "")
    if isinstance(result, NoView):
        assert result.pairs and result.reason == L.view_obstacle(layout, shape)
        for left, right in result.pairs:
            assert layout.strides[left] != layout.strides[right] * layout.shape[right]
            assert all(layout.shape[axis] == 1 for axis in range(left + 1, right))
    else:
        # Where reshape shares memory, it is this view.
        assert of(tensor.reshape(shape)) == result


@pytest.mark.parametrize(("start", "shape", "words"), [
    ((2, 6), (2, 5), r"^shape '\[2, 5\]' is invalid for input of size 12$"),
    ((0, 2), (0, -1), r"^cannot reshape tensor of 0 elements into shape \[0, -1\] because the "),
    ((2, 6), (-1, -1), "^only one dimension can be inferred$"),
    ((2, 6), (-2, 6), r"^invalid shape dimension -2 at index 0 of shape \[-2, 6\]$"),
])  # fmt: skip
def test_shapes_that_view_refuses(start: tuple[int, ...], shape: tuple[int, ...], words: str):
    with pytest.raises(RuntimeError, match=words):
        L.view(L.contiguous(start), shape)


def test_no_view_names_the_axes():
    layout = L.permute(L.contiguous((2, 3, 4)), (0, 2, 1))
    answer = L.view(layout, (2, 12))
    assert isinstance(answer, NoView) and not answer
    assert answer.pairs == ((1, 2),)
    assert answer.layout == layout and answer.shape == (2, 12)
    assert answer.reason == (
        "shape (2, 4, 3) with strides (12, 1, 4) has no view of shape (2, 12): axes 1 and 2 "
        "cannot merge, because stride[1] = 1 is not stride[2] * size[2] = 4 * 3 = 12"
    )
    assert L.view(layout, (2, 2, 2, 3)) == Layout((2, 2, 2, 3), (12, 2, 1, 4), 0)


@pytest.mark.parametrize(("layout", "words"), [
    (L.contiguous((2, 3)),
     "contiguous: stride[1] = 1; stride[0] = stride[1] * size[1] = 1 * 3 = 3"),
    (Layout((3, 2), (1, 3)),
     "not contiguous: stride[1] = 3, but the last axis needs 1; "
     "stride[0] = 1, but stride[1] * size[1] = 3 * 2 = 6"),
    (L.contiguous(()), "contiguous: it has one element"),
    (Layout((2, 0), (7, 7)), "contiguous: it has no elements"),
])  # fmt: skip
def test_contiguity_by_formula(layout: Layout, words: str):
    assert L.contiguity_formula(layout) == words


@drawn(tensors)
def test_the_formula_agrees_with_the_predicate(tensor: torch.Tensor):
    words = L.contiguity_formula(of(tensor))
    assert words.startswith("contiguous: ") == tensor.is_contiguous()
    assert words.startswith("not contiguous: ") != tensor.is_contiguous()


@drawn(tensors, dims, dims)
def test_flatten(tensor: torch.Tensor, start: int, end: int):
    layout = of(tensor)
    agree(
        lambda: L.contiguous(L.flatten_shape(layout.shape, start, end)),
        lambda: torch.empty(tensor.flatten(start, end).shape),
    )


@drawn(st.data(), tensors, dims)
def test_unflatten(data: st.DataObject, tensor: torch.Tensor, dim: int):
    size = tensor.shape[dim] if -tensor.dim() <= dim < tensor.dim() else 1
    sizes = data.draw(regrouped(size))
    agree(lambda: L.unflatten(of(tensor), dim, sizes), lambda: tensor.unflatten(dim, sizes))


# --- the examples in the documentation ------------------------------------------------------------


@pytest.mark.parametrize("module", [L, layout_axes, layout_rules, layout_value, layout_view])
def test_the_examples_are_true(module: Any):
    failed, attempted = doctest.testmod(module)
    assert attempted and not failed
