"""`Layout` against PyTorch: every view, every predicate and every output stride, on real tensors.

A case is drawn once and asked of both: what comes back is a layout, or the type and first line of
an error. Tensors come from chains of views (transposed, sliced, expanded, offset, empty, 0-dim,
channels last) and from arbitrary strides.
"""

import copy
import doctest
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pellucid.tensor import layout as L
from pellucid.tensor import layout_axes, layout_rules, layout_value, layout_view
from pellucid.tensor.layout import Layout, NoView

torch.set_num_threads(1)


def drawn(*strategies: Any, examples: int = 100) -> Callable[[Any], Any]:
    """Run a test on so many examples, the same ones each time."""
    fixed = settings(max_examples=examples, deadline=None, derandomize=True)
    return lambda test: fixed(given(*strategies)(test))


dims = st.integers(-6, 5)


def of(tensor: torch.Tensor) -> Layout:
    return Layout(tuple(tensor.shape), tensor.stride(), tensor.storage_offset())


def outcome(function: Callable[[], Any]) -> Any:
    """The layout that comes back, or the type and first line of the error."""
    try:
        result = function()
    except (RuntimeError, IndexError) as error:
        return type(error), str(error).split("\n")[0]
    if isinstance(result, NoView):
        return RuntimeError, result.message.split("\n")[0]
    return of(result) if isinstance(result, torch.Tensor) else result


def agree(ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
    assert outcome(ours) == outcome(theirs)


# --- tensors of every kind ------------------------------------------------------------------------


def any_shape(max_dims: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from([0, 1, 1, 2, 2, 3, 4]), max_size=max_dims)


@st.composite
def strided(draw: st.DrawFn, max_dims: int = 5, shape: Any = None) -> torch.Tensor:
    """A tensor of any strides at all, overlapping and gapped ones too."""
    sizes = draw(any_shape(max_dims)) if shape is None else shape
    steps = draw(st.lists(st.integers(0, 12), min_size=len(sizes), max_size=len(sizes)))
    return torch.empty_strided(sizes, steps)


@st.composite
def dense(draw: st.DrawFn, max_dims: int = 5, shape: Any = None) -> torch.Tensor:
    """A packed tensor with its axes in any order in memory; 4 and 5 axes often channels last.

    Axes of size 1 sometimes have a stride that means nothing.
    """
    sizes = draw(any_shape(max_dims)) if shape is None else shape
    tensor = torch.empty(sizes)
    kind = draw(st.sampled_from(["row major", "channels last", "permuted", "loose"]))
    if kind == "channels last" and len(sizes) in (4, 5):
        last = torch.channels_last if len(sizes) == 4 else torch.channels_last_3d
        return torch.empty(sizes, memory_format=last)
    if kind == "loose":
        steps = [
            draw(st.integers(0, 9)) if n == 1 else tensor.stride(a) for a, n in enumerate(sizes)
        ]
        return torch.empty_strided(sizes, steps)
    if kind == "permuted":
        order = draw(st.permutations(range(len(sizes))))
        inverse = [order.index(axis) for axis in range(len(sizes))]
        return torch.empty([sizes[axis] for axis in order]).permute(inverse)
    return tensor


@st.composite
def viewed(draw: st.DrawFn) -> torch.Tensor:
    """A dense tensor seen through up to four views."""
    tensor = draw(dense(4))
    for _ in range(draw(st.integers(0, 4))):
        step = draw(st.sampled_from(["t", "slice", "expand", "select", "new", "diagonal", "sub"]))
        axis = draw(st.integers(0, max(tensor.dim() - 1, 0)))
        other = draw(st.integers(0, max(tensor.dim() - 1, 0)))
        if step == "new" and tensor.dim() < 5:
            tensor = tensor.unsqueeze(axis)
        elif not tensor.dim():
            continue
        elif step == "t":
            tensor = tensor.transpose(axis, other)
        elif step == "slice":
            tensor = torch.ops.aten.slice(tensor, axis, draw(st.integers(0, 2)), None, 2)
        elif step == "sub":
            tensor = torch.ops.aten.slice(tensor, axis, draw(st.integers(0, 2)), 3)
        elif step == "expand":
            tensor = tensor.expand([3 if size == 1 else -1 for size in tensor.shape])
        elif step == "select" and tensor.shape[axis]:
            tensor = tensor.select(axis, 0)
        elif step == "diagonal" and axis != other:
            tensor = tensor.diagonal(1, axis, other)
    return tensor


tensors = st.one_of(viewed(), dense(), strided())


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


# --- the other views ------------------------------------------------------------------------------


@drawn(st.data(), tensors)
def test_permute(data: st.DataObject, tensor: torch.Tensor):
    order = data.draw(
        st.one_of(st.permutations(range(tensor.dim())), st.lists(dims, max_size=4)).map(tuple)
    )
    agree(lambda: L.permute(of(tensor), order), lambda: tensor.permute(order))


@drawn(tensors, dims, dims)
def test_transpose(tensor: torch.Tensor, first: int, second: int):
    agree(lambda: L.transpose(of(tensor), first, second), lambda: tensor.transpose(first, second))


several_dims = st.lists(st.integers(-4, 3), max_size=3).map(tuple)


@drawn(st.data(), tensors)
def test_movedim(data: st.DataObject, tensor: torch.Tensor):
    if data.draw(st.booleans()):
        source, place = data.draw(dims), data.draw(dims)
    else:
        source = data.draw(several_dims)
        place = data.draw(several_dims.filter(lambda x: len(x) == len(source)) | several_dims)
    agree(lambda: L.movedim(of(tensor), source, place), lambda: tensor.movedim(source, place))


@drawn(st.data(), tensors)
def test_expand(data: st.DataObject, tensor: torch.Tensor):
    sizes = [data.draw(st.sampled_from([size, size, -1, 3, 0])) for size in tensor.shape]
    # PyTorch expands a 0-dim tensor to (-1, 0), a shape that is none: refused here, see below.
    new = [-1, 0, 1, 1, 2] if tensor.dim() else [0, 1, 2]
    sizes = data.draw(st.lists(st.sampled_from(new), max_size=2)) + sizes
    sizes = tuple(sizes[data.draw(st.sampled_from([0, 0, 0, 0, 1])) :])
    agree(lambda: L.expand(of(tensor), sizes), lambda: tensor.expand(sizes))


def test_expand_says_which_size_is_in_the_way():
    with pytest.raises(
        RuntimeError,
        match=r"^The expanded size of the tensor \(6\) must match the existing size \(3\) at "
        r"non-singleton dimension 1\.  Target sizes: \[2, 6\]\.  Tensor sizes: \[1, 3\]$",
    ):
        L.expand(L.contiguous((1, 3)), (2, 6))


@pytest.mark.parametrize("sizes", [(-1, 0), (-1,), (-2, 3)])
def test_expand_refuses_sizes_that_are_none(sizes: tuple[int, ...]):
    with pytest.raises(
        RuntimeError, match=r"^numel: integer multiplication overflow\nexpand: sizes"
    ):
        L.expand(L.contiguous(()), sizes)


ends = st.one_of(st.none(), st.integers(-7, 7), st.just(2**62))


@drawn(tensors, dims, ends, ends, st.integers(-1, 4), examples=200)
def test_slice(tensor: torch.Tensor, dim: int, start: Any, stop: Any, step: int):
    agree(
        lambda: L.slice_dim(of(tensor), dim, start, stop, step),
        lambda: torch.ops.aten.slice(tensor, dim, start, stop, step),
    )


@drawn(tensors, dims, st.integers(-5, 5), st.integers(-1, 5))
def test_narrow(tensor: torch.Tensor, dim: int, start: int, length: int):
    agree(
        lambda: L.narrow(of(tensor), dim, start, length),
        lambda: tensor.narrow(dim, start, length),
    )


@drawn(tensors, dims, st.integers(-5, 5))
def test_select(tensor: torch.Tensor, dim: int, index: int):
    agree(lambda: L.select(of(tensor), dim, index), lambda: tensor.select(dim, index))


@drawn(tensors, dims)
def test_unsqueeze(tensor: torch.Tensor, dim: int):
    agree(lambda: L.unsqueeze(of(tensor), dim), lambda: tensor.unsqueeze(dim))


@drawn(tensors, st.one_of(dims, several_dims))
def test_squeeze(tensor: torch.Tensor, axes: Any):
    agree(lambda: L.squeeze(of(tensor)), lambda: tensor.squeeze())
    agree(lambda: L.squeeze(of(tensor), axes), lambda: tensor.squeeze(axes))


@drawn(tensors, dims, st.integers(-1, 5), st.integers(-1, 3))
def test_unfold(tensor: torch.Tensor, dim: int, size: int, step: int):
    agree(lambda: L.unfold(of(tensor), dim, size, step), lambda: tensor.unfold(dim, size, step))


@drawn(tensors, st.integers(-5, 5), dims, dims)
def test_diagonal(tensor: torch.Tensor, offset: int, dim1: int, dim2: int):
    agree(
        lambda: L.diagonal(of(tensor), offset, dim1, dim2),
        lambda: tensor.diagonal(offset, dim1, dim2),
    )


@drawn(
    tensors,
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    st.lists(st.integers(-1, 3), max_size=3).map(tuple),
    st.one_of(st.none(), st.integers(-1, 9)),
)
def test_as_strided(tensor: torch.Tensor, shape: Any, strides: Any, offset: int | None):
    big = torch.empty(4000).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
    agree(
        lambda: L.as_strided(of(big), shape, strides, offset),
        lambda: big.as_strided(shape, strides, offset),
    )


def test_as_strided_refuses_negative_sizes():
    with pytest.raises(RuntimeError, match=r"overflowed with sizes=\[-2\] and strides=\[1\]"):
        L.as_strided(L.contiguous((4,)), (-2,), (1,))


# --- strides of new tensors -----------------------------------------------------------------------


@drawn(tensors)
def test_empty_like_and_clone(tensor: torch.Tensor):
    expected = of(tensor.clone())
    assert L.empty_like_layout(of(tensor)) == of(torch.empty_like(tensor)) == expected
    assert L.empty_like_strides(of(tensor)) == expected.strides


@st.composite
def operands(draw: st.DrawFn, count: int) -> list[torch.Tensor]:
    """Tensors that broadcast together: one shape, or some axes 1, missing or expanded."""
    sizes = st.sampled_from([1, 1, 2, 2, 3, 4, 0])
    shape = draw(st.lists(sizes, max_size=5) | st.lists(sizes, min_size=4, max_size=4))
    alike = draw(st.booleans())
    chosen = []
    for _ in range(count):
        mine = shape
        if not alike:
            mine = [draw(st.sampled_from([size, size, 1])) for size in shape]
            mine = mine[draw(st.sampled_from([0, 0, 0, 1, len(mine)])) :]
        each = draw(st.one_of(dense(shape=mine), strided(shape=mine)))
        if draw(st.integers(0, 4)) == 0:
            lead = len(shape) - each.dim()
            each = each.expand([*shape[:lead], *[-1] * each.dim()])
        if chosen and draw(st.integers(0, 2)) == 0 and each.shape == chosen[0].shape:
            each = torch.empty_strided(chosen[0].shape, chosen[0].stride())
        chosen.append(each)
    return chosen


def check_elementwise(function: Callable[..., torch.Tensor], arguments: list[torch.Tensor]) -> None:
    layouts = tuple(of(each) for each in arguments)
    expected = of(function(*arguments))
    assert L.elementwise_layout(*layouts) == expected
    shape = L.broadcast_shapes(*[each.shape for each in layouts])
    assert L.elementwise_strides(layouts, shape) == expected.strides


@drawn(operands(1))
def test_elementwise_of_one(arguments: list[torch.Tensor]):
    check_elementwise(torch.neg, arguments)


@drawn(operands(2), examples=400)
def test_elementwise_of_two(arguments: list[torch.Tensor]):
    check_elementwise(torch.add, arguments)


@drawn(operands(3), examples=400)
def test_elementwise_of_three(arguments: list[torch.Tensor]):
    check_elementwise(torch.addcmul, arguments)
    condition = torch.empty_strided(arguments[0].shape, arguments[0].stride(), dtype=torch.bool)
    check_elementwise(torch.where, [condition.zero_(), *arguments[1:]])


@drawn(operands(1))
def test_a_python_number_takes_part_as_a_0_dim_operand(arguments: list[torch.Tensor]):
    check_elementwise(lambda a, _: a + 2, [arguments[0], torch.empty(())])


# --- the examples in the documentation ------------------------------------------------------------


@pytest.mark.parametrize("module", [L, layout_axes, layout_rules, layout_value, layout_view])
def test_the_examples_are_true(module: Any):
    failed, attempted = doctest.testmod(module)
    assert attempted and not failed
