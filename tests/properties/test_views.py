"""Chains of views give PyTorch's layouts, values and sharing, from every starting layout."""

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
from tests.parity.bridge import TensorRecipe, storage_key, values
from tests.strategies import ALL_DTYPES, both, broadcasting_pairs, tensors

Step = tuple[str, tuple]


@st.composite
def steps(draw: st.DrawFn, dimensions: int) -> Step:
    """One view that any tensor of this many dimensions allows, with its arguments."""
    axis = st.integers(-dimensions, dimensions - 1)
    grown = st.integers(-dimensions - 1, dimensions)
    choices: list[st.SearchStrategy[Step]] = [
        grown.map(lambda d: ("unsqueeze", (d,))),
        st.just(("squeeze", ())),
    ]
    if dimensions:
        order = st.permutations(range(dimensions)).map(tuple)
        choices += [
            order.map(lambda o: ("permute", o)),
            st.tuples(axis, axis).map(lambda pair: ("transpose", pair)),
        ]
    return draw(st.one_of(choices))


def apply(tensor: Any, step: Step) -> Any:
    name, arguments = step
    return getattr(tensor, name)(*arguments)


def same(expected: Any, got: Any) -> None:
    assert tuple(got.shape) == tuple(expected.shape)
    assert got.stride() == expected.stride()
    assert got.storage_offset() == expected.storage_offset()
    assert got.is_contiguous() == expected.is_contiguous()
    assert values(got).tobytes() == values(expected).tobytes()


@given(recipe=tensors(dtypes=ALL_DTYPES))
@settings(deadline=None, max_examples=60)
def test_a_recipe_is_the_same_tensor_on_both_sides(recipe: TensorRecipe) -> None:
    expected, got = both(recipe, pellucid)
    same(expected, got)
    assert not got._is_view()


@given(recipe=tensors(dtypes=ALL_DTYPES), data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_chain_of_views_has_the_reference_layout_and_shares_memory(
    recipe: TensorRecipe, data: st.DataObject
) -> None:
    expected, got = both(recipe, pellucid)
    start = got
    for _ in range(data.draw(st.integers(1, 4))):
        step = data.draw(steps(expected.dim()))
        expected, got = apply(expected, step), apply(got, step)
        same(expected, got)
    assert storage_key(got) == storage_key(start)
    assert got._base is start


@given(pair=broadcasting_pairs())
@settings(deadline=None, max_examples=60)
def test_broadcasting_addition_has_the_reference_values_and_strides(pair: tuple) -> None:
    (a, b), (x, y) = both(pair, pellucid)
    expected, got = torch.add(a, b), pellucid.add(x, y)
    assert values(got).tobytes() == values(expected).tobytes()
    if expected.numel():
        kept = [d for d, size in enumerate(expected.shape) if size > 1]
        assert [got.stride(d) for d in kept] == [expected.stride(d) for d in kept]


@given(recipe=tensors())
@settings(deadline=None, max_examples=60)
def test_contiguous_copies_only_when_it_must(recipe: TensorRecipe) -> None:
    expected, got = both(recipe, pellucid)
    whole, ours = expected.contiguous(), got.contiguous()
    same(whole, ours)
    assert (ours is got) == (whole is expected)
