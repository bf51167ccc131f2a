"""Reductions, statistics and running results against PyTorch, and sums against exact ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import pellucid
from tests.ops.sides import agree, drawn, numbers, with_gradients
from tests.parity.bridge import TensorRecipe, values
from tests.strategies import ALL_DTYPES, both, tensors

DIFFERENTIABLE = {
    "sum": (),
    "mean": (),
    "prod": (),
    "amax": (),
    "amin": (),
    "var": (),
    "std": (),
    "logsumexp": (),
    "cumsum": (),
    "cumprod": (),
    "logcumsumexp": (),
    "nansum": (),
}
CHOOSING = ("max", "min", "median", "nanmedian", "mode", "cummax", "cummin")


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_values_and_two_orders_of_gradients_along_a_dimension(name: str, dim: int) -> None:
    agree(with_gradients(lambda lib, x: getattr(x, name)(dim), 2), numbers(3, 4, 2), grad=True)


@pytest.mark.parametrize(
    "name", ["sum", "mean", "prod", "var", "std", "norm", "amax", "max", "min"]
)
def test_everything_at_once(name: str) -> None:
    for x in (numbers(3, 4), numbers(5), numbers(1, 1), np.array(2.5)):
        if x.size > 1 or name not in ("var", "std"):
            agree(with_gradients(lambda lib, x: getattr(x, name)(), 2), x, grad=True)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "var", "std", "logsumexp", "nansum"])
@pytest.mark.parametrize("dims", [(0, 2), [1], (-1, 0), (0, 1, 2)])
@pytest.mark.parametrize("keepdim", [True, False])
def test_several_dimensions(name: str, dims: Any, keepdim: bool) -> None:
    def program(lib: Any, x: Any) -> Any:
        return getattr(x, name)(dims, keepdim=keepdim)

    agree(with_gradients(program), numbers(2, 3, 4), grad=True)


@pytest.mark.parametrize("name", CHOOSING)
def test_chosen_elements_and_their_indices(name: str) -> None:
    for x in (numbers(3, 5), numbers(4, 3, dtype="int64"), np.array([[1.0, 1, 0], [2, 2, 2]])):
        agree(lambda lib, x: list(getattr(x, name)(1)), x)
    agree(with_gradients(lambda lib, x: getattr(x, name)(1)[0], 2), numbers(3, 5), grad=True)


@pytest.mark.parametrize("name", ["amax", "amin", "max", "min", "median", "aminmax"])
def test_equal_extremes_share_the_gradient(name: str) -> None:
    x = np.array([3.0, 1, 3, 1, 2, 2])
    agree(with_gradients(lambda lib, x: getattr(x, name)()), x, grad=True)


@pytest.mark.parametrize(
    "name", ["max", "min", "amax", "amin", "argmax", "argmin", "median", "cummax", "cummin", "sort"]
)
def test_nan_is_more_extreme_than_any_number(name: str) -> None:
    x = np.array([[1.0, math.nan, 3], [math.nan, math.nan, -1], [0, 1, 2]])
    agree(lambda lib, x: getattr(x, name)(1), x)


def test_the_forms_without_nan() -> None:
    x = np.array([[1.0, math.nan, 3], [math.nan, math.nan, math.nan], [0, 1, 2]])
    agree(lambda lib, x: [x.nansum(), x.nanmean(1), x.nanmedian(1), x.nanmedian()], x)
    agree(lambda lib, x: lib.nanquantile(x, 0.3, dim=0), x)


@drawn(tensors(dtypes=ALL_DTYPES), st.sampled_from(["sum", "prod", "all", "any", "count_nonzero"]))
def test_any_layout_and_dtype(recipe: TensorRecipe, name: str) -> None:
    expected, got = both(recipe, pellucid)
    for dim in (None, *range(len(recipe.shape))):
        wide = recipe.dtype in ("float32", "float64") and name == "prod"
        want = (
            getattr(torch, name)(expected, dim)
            if dim is not None
            else getattr(torch, name)(expected)
        )
        have = (
            getattr(pellucid, name)(got, dim) if dim is not None else getattr(pellucid, name)(got)
        )
        assert str(have.dtype) == str(want.dtype)
        assert tuple(have.shape) == tuple(want.shape)
        assert have.stride() == want.stride()
        tight = {"rtol": 1e-5, "atol": 1e-6} if not wide else {"rtol": 1e-4, "atol": 0}
        if recipe.dtype in ("float16", "bfloat16"):
            tight = {"rtol": 2e-2, "atol": 1e-3}
        np.testing.assert_allclose(values(have).astype(float), values(want).astype(float), **tight)


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((100_000, 3), (0,)),
        ((16, 3, 40, 40), (0, 2, 3)),
        ((20_000, 8, 2), (0, 2)),
        ((3, 70_000), (1,)),
        ((50, 20, 30, 4), (0, 2)),
        ((1, 30_000, 1, 2), (1,)),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_large_sums_in_single_precision(
    shape: tuple[int, ...], dims: tuple[int, ...], turned: bool
) -> None:
    """No more than a few units in the last place from the exact sum, whatever the strides."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32) + 1
    tensor = pellucid.from_numpy(np.array(x.T if turned else x))
    tensor = tensor.permute(*range(x.ndim - 1, -1, -1)) if turned else tensor
    exact = x.astype(np.float64).sum(dims)
    np.testing.assert_allclose(tensor.sum(dims).numpy(), exact, rtol=6e-7)
    np.testing.assert_allclose(
        tensor.mean(dims).numpy(), x.astype(np.float64).mean(dims), rtol=6e-7
    )


def test_sum_of_an_expanded_tensor() -> None:
    x = pellucid.from_numpy(np.array([0.1, 0.2], np.float32)).expand(100_000, 2)
    np.testing.assert_allclose(x.sum(0).numpy(), [1e4, 2e4], rtol=2e-7)


def test_variance_far_from_zero() -> None:
    """Two passes: a mean of a million does not eat up a variance of one."""
    x = (np.random.default_rng(1).standard_normal(5000) + 1e6).astype(np.float32)
    got = pellucid.from_numpy(x).var().item()
    assert got == pytest.approx(x.astype(np.float64).var(ddof=1), rel=1e-5)


@pytest.mark.parametrize("call", [
    {"unbiased": False}, {"correction": 0}, {"correction": 2}, {"dim": 1, "correction": 0},
    {"dim": (0, 1), "unbiased": True, "keepdim": True},
])  # fmt: skip
def test_corrections(call: dict[str, Any]) -> None:
    x = numbers(4, 5)
    for name in ("var", "std", "var_mean", "std_mean"):
        agree(lambda lib, x, name=name: getattr(lib, name)(x, **call), x)
    agree(lambda lib, x: [x.var(False), x.std(1, False), x.var(1, True, True)], x)


def test_running_results_with_zeros() -> None:
    x = np.array([[1.0, 0, 2, 3], [0, 0, 1, 2], [2, 3, 4, 5]])
    agree(with_gradients(lambda lib, x: x.cumprod(1)), x, grad=True)
    agree(with_gradients(lambda lib, x: x.prod(1), 2), x, grad=True)
    agree(with_gradients(lambda lib, x: x.prod()), x, grad=True)


def test_quantiles() -> None:
    x = numbers(4, 5)
    for mode in ("linear", "lower", "higher", "midpoint", "nearest"):
        agree(
            with_gradients(lambda lib, x, m=mode: x.quantile(0.3, 1, interpolation=m)),
            x,
            grad=True,
        )
    agree(lambda lib, x, q: [x.quantile(q), x.quantile(q, 0, True)], x, np.array([0.1, 0.5, 1.0]))


def test_differences_and_integrals() -> None:
    x, y = numbers(4, 5), numbers(5)
    agree(with_gradients(lambda lib, x: x.diff(2, 0)), x, grad=True)
    agree(lambda lib, x, y: lib.diff(x, dim=1, prepend=y.expand(4, 5)[:, :1]), x, y)
    agree(with_gradients(lambda lib, x, y: lib.trapezoid(x, y)), x, y, grad=True)
    agree(lambda lib, x: lib.cumulative_trapezoid(x, dx=0.5, dim=0), x)
    agree(lambda lib, x, y: list(lib.gradient(x, spacing=(y,), dim=1, edge_order=2)), x, y)


def test_covariance() -> None:
    x = numbers(3, 6)
    agree(with_gradients(lambda lib, x: x.cov(), 2), x, grad=True)
    agree(with_gradients(lambda lib, x: x.corrcoef()), x, grad=True)
    agree(lambda lib, x: lib.cov(x, correction=0, fweights=lib.arange(1, 7)), x)


def test_names_of_numpy() -> None:
    agree(
        lambda lib, x: [
            x.sum(axis=1, keepdims=True),
            x.mean(axis=0),
            x.argmax(axis=1),
            x.max(axis=0),
        ],
        numbers(3, 4),
    )


@pytest.mark.parametrize(
    "program",
    [
        lambda lib, x: x.long().mean(),
        lambda lib, x: x.sum(5),
        lambda lib, x: x.sum((0, 0)),
        lambda lib, x: x.long().var(),
        lambda lib, x: x[:0].max(),
        lambda lib, x: x[:0].max(0),
        lambda lib, x: x[:0].argmax(),
        lambda lib, x: x[:0].amax(0),
        lambda lib, x: x.quantile(2.0),
        lambda lib, x: x.diff(-1),
        lambda lib, x: x.kthvalue(9),
        lambda lib, x: lib.trace(x[0]),
        lambda lib, x: x.renorm(-1, 0, 1),
        lambda lib, x: x.sum_to_size(7),
    ],
)
def test_refusals(program: Any) -> None:
    seen = agree(program, numbers(3, 4))
    assert seen[0] in ("RuntimeError", "IndexError")


def test_results_with_names() -> None:
    x = pellucid.from_numpy(np.array([[1.0, 3.0]]))
    found = x.max(1)
    assert found.values.item() == 3 and found.indices.item() == 1
    assert repr(found).startswith("torch.return_types.max(\nvalues=tensor(")
    assert isinstance(found, pellucid.return_types.max)
