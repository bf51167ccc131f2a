"""Every view but `view`, and the strides of fresh tensors, each against PyTorch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from tensor.layout_cases import agree, dense, dims, drawn, of, strided, tensors

from pellucid.tensor import layout as L

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
        r"non-singleton dimension 1\.  Target sizes: \[2, 6\]\.  Tensor sizes: \[1, 3\]\n"
        r"  Only a dimension of size 1 can be expanded",
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
