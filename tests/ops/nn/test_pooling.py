"""Pooling: kernels against plain loops, operators with two orders of gradients, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from pellucid.ops.nn import kernels_pooling as kernels
from pellucid.ops.nn.kernels_pooling import Window
from pellucid.ops.nn.pooling_checks import pooled_size
from tests.ops.sides import agree, drawn, numbers, with_gradients


@st.composite
def problems(draw: Any) -> tuple[tuple[int, ...], Window, tuple[int, ...]]:
    """A shape, a window that fits, and the output's spatial sizes."""
    dims = draw(st.integers(1, 3))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    size, kernel = each(1, 8), each(1, 3)
    padding = tuple(draw(st.integers(0, f // 2)) for f in kernel)
    window = Window(kernel, each(1, 3), padding, each(1, 2))
    out_size = pooled_size(size, window, draw(st.booleans()))
    assume(min(out_size) >= 1)
    shape = (2, 3, *size)
    assume(all(members(shape, window, place) for place in np.ndindex(*out_size)))
    return shape, window, out_size


def members(
    shape: tuple[int, ...], window: Window, place: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """The places of one window inside the image, in the order of memory."""
    found = []
    for tap in np.ndindex(*window.kernel):
        at = tuple(o * t - p + i * d for o, i, t, p, d in zip(place, tap, *window[1:], strict=True))
        if all(0 <= a < s for a, s in zip(at, shape[2:], strict=True)):
            found.append(at)
    return found


@drawn(problems(), examples=80)
def test_maxima_and_their_places(problem: Any) -> None:
    shape, window, out_size = problem
    x = np.round(numbers(*shape))  # ties: the first one wins
    out = np.empty((*shape[:2], *out_size))
    choices = np.empty(out.shape, np.uint8)
    kernels.max_pool_choices(x, window, out, choices)
    places = kernels.places_of(choices, shape[2:], window)
    plain = np.empty_like(out)
    kernels.max_pool(x, window, plain)
    np.testing.assert_array_equal(plain, out)
    for place in np.ndindex(*out_size):
        inside = members(shape, window, place)
        values = np.stack([x[(..., *at)] for at in inside], -1)
        np.testing.assert_array_equal(out[(..., *place)], values.max(-1))
        flat = np.array([np.ravel_multi_index(at, shape[2:]) for at in inside])
        np.testing.assert_array_equal(places[(..., *place)], flat[values.argmax(-1)])


@drawn(problems(), examples=80)
def test_spreading_is_the_transpose(problem: Any) -> None:
    """<pool(x), y> = <x, spread(y)>, for sums and for chosen elements."""
    shape, window, out_size = problem
    x, y = numbers(*shape), numbers(*shape[:2], *out_size, seed=1)
    out, choices, back = np.empty_like(y), np.empty(y.shape, np.uint8), np.empty_like(x)
    kernels.max_pool_choices(x, window, out, choices)
    kernels.spread_choices(y, choices, window, back)
    assert float((back * x).sum()) == pytest.approx(float((out * y).sum()), abs=1e-9)
    gathered = np.empty_like(y)
    kernels.gather_choices(x, choices, window, gathered)
    np.testing.assert_array_equal(gathered, out)
    kernels.sum_windows(x, window, out)
    kernels.spread_windows(y, window, back)
    assert float((back * x).sum()) == pytest.approx(float((out * y).sum()), abs=1e-9)


def test_large_images_are_pooled_in_blocks() -> None:
    x = numbers(3, 40, 64, 64, dtype="float32")
    assert sum(1 for _ in kernels.blocks(x, 2)) > 1
    window = Window((2, 2), (2, 2), (0, 0), (1, 1))
    out = np.empty((3, 40, 32, 32), np.float32)
    kernels.max_pool(x, window, out)
    np.testing.assert_array_equal(out, x.reshape(3, 40, 32, 2, 32, 2).max(axis=(3, 5)))


def test_a_gradient_of_infinity_stays_where_it_belongs() -> None:
    x, grad = np.arange(4.0).reshape(1, 1, 4), np.array([[[np.inf, 1.0, 2.0]]])
    window = Window((2,), (1,), (0,), (1,))
    out, choices = np.empty((1, 1, 3)), np.empty((1, 1, 3), np.uint8)
    kernels.max_pool_choices(x, window, out, choices)
    back = np.empty_like(x)
    kernels.spread_choices(grad, choices, window, back)
    np.testing.assert_array_equal(back, [[[0, np.inf, 1, 2]]])


MAXIMA = [
    (1, (2, 3, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
    (2, (2, 3, 7, 6), {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": (1, 2)}),
    (2, (3, 6, 6), {"kernel_size": 2, "ceil_mode": True, "stride": 3}),
    (3, (1, 2, 5, 4, 6), {"kernel_size": (2, 1, 3), "stride": (1, 2, 2)}),
]


@pytest.mark.parametrize(("dims", "shape", "arguments"), MAXIMA)
def test_max_pool_with_indices_and_gradients(dims: int, shape: Any, arguments: Any) -> None:
    def program(t: Any, x: Any) -> Any:
        pool = getattr(t.nn.functional, f"max_pool{dims}d")
        return [*pool(x, return_indices=True, **arguments), pool(x, **arguments)]

    agree(program, numbers(*shape))
    agree(with_gradients(lambda t, x: program(t, x)[2], 2), numbers(*shape), grad=True)


@pytest.mark.parametrize(
    ("dims", "shape", "arguments"),
    [
        (1, (2, 3, 9), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        (2, (2, 3, 7, 6), {"kernel_size": (3, 2), "padding": 1, "count_include_pad": False}),
        (2, (3, 6, 6), {"kernel_size": 2, "divisor_override": 3}),
        (3, (1, 2, 5, 4, 6), {"kernel_size": 2, "stride": 1}),
    ],
)
def test_avg_pool_and_its_gradients(dims: int, shape: Any, arguments: Any) -> None:
    def program(t: Any, x: Any) -> Any:
        return getattr(t.nn.functional, f"avg_pool{dims}d")(x, **arguments)

    agree(with_gradients(program, 2), numbers(*shape), grad=True)


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [((2, 3, 7), 3), ((2, 3, 7, 5), (3, 5)), ((3, 4, 6), (1, 4)), ((1, 2, 4, 5, 6), 2)],
)
def test_adaptive_pools_and_their_gradients(kind: str, shape: Any, size: Any) -> None:
    dims = {2: 1, 3: 2 if isinstance(size, tuple) else 1, 4: 2, 5: 3}[len(shape)]

    def program(t: Any, x: Any) -> Any:
        return getattr(t.nn.functional, f"adaptive_{kind}_pool{dims}d")(x, size)

    agree(with_gradients(program, 2), numbers(*shape), grad=True)


def test_nan_wins_and_the_last_one_is_chosen() -> None:
    x = np.array([[[1, np.nan, 3, np.nan], [5, 2, 9, 1], [-np.inf] * 4, [-np.inf] * 4]])

    def program(t: Any, x: Any) -> Any:
        pool = t.nn.functional.max_pool2d(x, 2, return_indices=True)
        return [*pool, *t.nn.functional.adaptive_max_pool2d(x, (1, 2), return_indices=True)]

    agree(program, x)


def test_unpooling_undoes_pooling() -> None:
    def program(t: Any, x: Any) -> Any:
        f = t.nn.functional
        out, indices = f.max_pool2d(x, 2, return_indices=True)
        return f.max_unpool2d(out, indices, 2)

    agree(with_gradients(program, 2), numbers(2, 3, 6, 4), grad=True)


@pytest.mark.parametrize("p", [1, 2, 3.5, float("inf")])
def test_power_average(p: float) -> None:
    def program(t: Any, x: Any) -> Any:
        return t.nn.functional.lp_pool2d(t.abs(x) + 1, p, (2, 3), stride=2)

    agree(with_gradients(program), numbers(2, 3, 6, 5), grad=True)


@pytest.mark.parametrize(("dims", "size"), [(2, (3, 2)), (3, 2)])
def test_fractional_pooling_with_given_samples(dims: int, size: Any) -> None:
    def program(t: Any, x: Any, samples: Any) -> Any:
        pool = getattr(t.nn.functional, f"fractional_max_pool{dims}d")
        return pool(x, 2, size, return_indices=True, _random_samples=t.sigmoid(samples))

    agree(program, numbers(2, 3, *(7, 6, 5)[:dims]), numbers(2, 3, dims, seed=1))


@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 0},
        {"kernel_size": -1},
        {"kernel_size": 9},
        {"kernel_size": 2, "stride": 0},
        {"kernel_size": 2, "stride": -1},
        {"kernel_size": 2, "padding": -1},
        {"kernel_size": 2, "padding": 2},
        {"kernel_size": (2, 2, 2, 2)},
    ],
)
def test_windows_that_are_refused(kind: str, dims: int, arguments: Any) -> None:
    seen = agree(
        lambda t, x: getattr(t.nn.functional, f"{kind}{dims}d")(x, **arguments),
        numbers(1, 2, *(8,) * dims, dtype="float32"),
    )
    assert isinstance(seen, tuple) and seen[0] == "RuntimeError"
