"""Sorting, searching and counting against PyTorch: order, ties, NaN, gradients, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import pellucid
from pellucid.ops.sorting import selection
from tests.ops.sides import agree, drawn, numbers, with_gradients
from tests.parity.bridge import TensorRecipe, values
from tests.strategies import both, tensors

SORTABLE = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool")


@drawn(tensors(dtypes=SORTABLE), st.booleans())
def test_sort_of_any_layout_and_dtype(recipe: TensorRecipe, descending: bool) -> None:
    expected, got = both(recipe, pellucid)
    for dim in range(len(recipe.shape)):
        wants = torch.sort(expected, dim=dim, descending=descending, stable=True)
        haves = pellucid.sort(got, dim=dim, descending=descending, stable=True)
        for want, have in zip(wants, haves, strict=True):
            assert have.stride() == want.stride()
            np.testing.assert_array_equal(values(have), values(want))


@pytest.mark.parametrize("descending", [False, True])
def test_stable_sort_keeps_equal_elements_in_order(descending: bool) -> None:
    x = np.random.default_rng(0).integers(0, 4, 300)
    values_, indices = pellucid.from_numpy(x).sort(descending=descending, stable=True)
    found = list(zip(values_.tolist(), indices.tolist(), strict=True))
    sign = -1 if descending else 1
    assert found == sorted(zip(x.tolist(), range(300), strict=True), key=lambda p: sign * p[0])


def test_gradients_go_to_what_was_chosen() -> None:
    x = numbers(3, 6)
    agree(with_gradients(lambda lib, x: x.sort(1)[0], 2), x, grad=True)
    agree(with_gradients(lambda lib, x: x.topk(2, 0, largest=False)[0], 2), x, grad=True)
    agree(with_gradients(lambda lib, x: x.kthvalue(2, 1, True)[0], 2), x, grad=True)
    agree(with_gradients(lambda lib, x: x.msort()), x, grad=True)


def test_nan_comes_last_and_counts_as_largest() -> None:
    x = np.array([2.0, math.nan, 1, math.nan, 3])
    agree(lambda lib, x: [x.sort(), x.sort(descending=True), x.topk(3), x.kthvalue(3)], x)
    agree(lambda lib, x: [x.topk(2, largest=False), x.argsort()], x)


@drawn(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.booleans(), st.data())
def test_ties_as_pytorch_breaks_them(found: list[int], largest: bool, data: Any) -> None:
    k = data.draw(st.integers(1, len(found)))
    x = np.array(found)
    agree(lambda lib, x: list(x.topk(k, largest=largest)), x)
    agree(lambda lib, x: list(x.kthvalue(k)), x)
    agree(lambda lib, x: list(x.to(lib.int8).sort()), x)
    agree(lambda lib, x: list(x.mode()), x)


def test_ties_in_long_rows() -> None:
    """Rows long enough for every branch of introspective selection, heaps included."""
    for seed in range(4):
        x = np.random.default_rng(seed).integers(0, 40, 700)
        for k in (1, 5, 10, 100, 699):
            agree(lambda lib, x, k=k: list(x.topk(k)), x)
            agree(lambda lib, x, k=k: list(x.kthvalue(k)), x)


@drawn(st.lists(st.integers(0, 5), max_size=60), st.data())
def test_selection_selects(keys: list[int], data: Any) -> None:
    """Whatever is chosen among equal keys, the keys chosen are the smallest, in order."""
    k = data.draw(st.integers(0, len(keys)))
    assert [keys[i] for i in selection.top(keys, k, True)] == sorted(keys)[:k]
    if k < len(keys):
        assert keys[selection.kth(keys, k)] == sorted(keys)[k]
    row = [(key, i) for i, key in enumerate(keys)]
    selection.partial_sort(row, 0, k, len(row))
    assert [key for key, _ in row[:k]] == sorted(keys)[:k]
    selection.sort(row, len(row))
    assert [key for key, _ in row] == sorted(keys)
    assert sorted(i for _, i in row) == list(range(len(keys)))


def test_topk_of_many_takes_the_short_way() -> None:
    x = np.random.default_rng(3).standard_normal((20, 3000)).astype(np.float32)
    agree(lambda lib, x: [list(x.topk(5)), list(x.topk(3, 0, False))], x)


@pytest.mark.parametrize("right", [False, True])
def test_searching_in_sorted_rows(right: bool) -> None:
    rows, wanted = np.sort(numbers(3, 6), 1), numbers(3, 4)
    agree(lambda lib, r, w: lib.searchsorted(r, w, right=right), rows, wanted)
    edges, x = np.array([0, 2, 2, 5]), np.array([[-1, 0, 2], [3, 5, 9]])
    agree(lambda lib, e, x: lib.bucketize(x, e, right=right), edges, x)
    agree(lambda lib, e, x: lib.searchsorted(e, x, out_int32=True, right=right), edges, x)
    holes = np.array([1.0, 2, math.nan])
    agree(
        lambda lib, e, x: lib.searchsorted(e, x, right=right), holes, np.array([math.nan, 1.5, 2])
    )
    agree(lambda lib, e: lib.searchsorted(e, 2, right=right), edges)


def test_unique() -> None:
    x = np.array([[3, 1, 3], [1, 1, 2], [3, 1, 3]])
    agree(lambda lib, x: list(lib.unique(x, return_inverse=True, return_counts=True)), x)
    for dim in (0, 1):
        agree(
            lambda lib, x, d=dim: list(
                lib.unique(x, return_inverse=True, return_counts=True, dim=d)
            ),
            x,
        )
    agree(lambda lib, x: list(lib.unique_consecutive(x.flatten(), True, True)), x)
    agree(lambda lib, x: lib.unique(x), np.array([1.0, math.nan, math.nan, 1.0]))


def test_membership_and_counting() -> None:
    x = np.array([[0, 1, 4], [2, 2, 9]])
    agree(lambda lib, x: [lib.isin(x, lib.tensor([2, 9])), lib.isin(x, 2, invert=True)], x)
    agree(lambda lib, x: x.flatten().bincount(minlength=12), x)
    agree(lambda lib, x, w: lib.bincount(x.flatten(), w), x, numbers(6))
    y = numbers(50, dtype="float32")
    agree(lambda lib, y: [y.histc(7), y.histc(5, -1, 1)], y)
    agree(lambda lib, y: list(lib.histogram(y, 6, range=(-2.0, 2.0), density=True)), y)
    agree(lambda lib, y, e: list(lib.histogram(y, e)), y, np.array([-1, 0, 0.5, 2], np.float32))


def test_histograms_of_points() -> None:
    x, weight = numbers(40, 2, dtype="float32"), np.abs(numbers(40, dtype="float32"))

    def program(lib: Any, x: Any, w: Any) -> Any:
        edges = [lib.tensor([-1.0, 0, 1]), lib.tensor([-2.0, 0.5, 2])]
        some = lib.histogramdd(x, [3, 2], range=[-1.0, 1.0, -2.0, 2.0], weight=w, density=True)
        return [list(found) for found in (lib.histogramdd(x, 3), lib.histogramdd(x, edges), some)]

    agree(program, x, weight)
    agree(lambda lib, x, w: lib.histogramdd(x, [2]), x, weight)


@pytest.mark.parametrize(
    "program",
    [
        lambda lib, x: x.topk(99),
        lambda lib, x: x.topk(-1),
        lambda lib, x: x.sort(5),
        lambda lib, x: lib.searchsorted(x, x[:1]),
        lambda lib, x: lib.searchsorted(x[0], x, sorter=lib.zeros(4)),
        lambda lib, x: lib.searchsorted(x[0], x, right=True, side="left"),
        lambda lib, x: lib.bincount(x.long()),
        lambda lib, x: x.histc(0),
    ],
)
def test_refusals(program: Any) -> None:
    seen = agree(program, numbers(3, 4))
    assert seen[0] in ("RuntimeError", "IndexError")
