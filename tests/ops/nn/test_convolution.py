"""Convolution against a plain loop and PyTorch, its three directions against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

import pellucid
from pellucid.ops.nn import kernels_convolution as kernels
from pellucid.ops.nn.kernels_convolution import Geometry
from tests.ops.sides import agree, drawn, numbers, with_gradients


@st.composite
def problems(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...], Geometry, bool]:
    """Shapes of an input and a weight, a geometry that fits them, and whether channels are last."""
    dims = draw(st.integers(1, 3))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    groups = draw(st.sampled_from((1, 1, 2, 3)))
    inputs, outputs = draw(st.sampled_from(((1, 1), (1, 2), (2, 3))))
    batch = draw(st.integers(1, 3))
    g = Geometry(each(1, 3), each(0, 3), each(1, 3), groups)
    size, kernel = each(1, 7), each(1, 3)
    assume(min(kernels.output_size(size, kernel, g)) >= 1)
    x = (batch, inputs * groups, *size)
    return x, (outputs * groups, inputs, *kernel), g, draw(st.booleans())


def by_loops(x: np.ndarray, w: np.ndarray, g: Geometry) -> np.ndarray:
    """The definition: each output's sum over channels of its group and taps."""
    out_size = kernels.output_size(x.shape[2:], w.shape[2:], g)
    pad = ((0, 0), (0, 0), *((p, p) for p in g.padding))
    xp = np.pad(x, pad)
    out = np.zeros((x.shape[0], w.shape[0], *out_size))
    c, k = w.shape[1], w.shape[0] // g.groups
    for channel in range(w.shape[0]):
        group = channel // k
        seen = xp[:, group * c : (group + 1) * c]
        for place in np.ndindex(*out_size):
            start = [o * t for o, t in zip(place, g.stride, strict=True)]
            window = seen[
                (
                    slice(None),
                    slice(None),
                    *(
                        slice(s, s + d * (f - 1) + 1, d)
                        for s, d, f in zip(start, g.dilation, w.shape[2:], strict=True)
                    ),
                )
            ]
            total = (window * w[channel]).reshape(x.shape[0], -1).sum(axis=1)
            out[(slice(None), channel, *place)] = total
    return out


def laid_out(array: np.ndarray, last: bool) -> np.ndarray:
    """A copy, channels-last if asked."""
    if not last:
        return np.ascontiguousarray(array)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


@drawn(problems(), examples=60)
def test_forward_is_the_sum_over_windows(problem: Any) -> None:
    x_shape, w_shape, g, last = problem
    x, w = numbers(*x_shape), numbers(*w_shape, seed=1)
    want = by_loops(x, w, g)
    out = np.full_like(laid_out(want, last), np.nan)
    kernels.forward(laid_out(x, last), laid_out(w, last), out, g)
    np.testing.assert_allclose(out, want, atol=1e-12)


@drawn(problems(), examples=120)
def test_the_three_directions_are_transposes_of_each_other(problem: Any) -> None:
    """<conv(x, w), y> = <x, conv_input(y, w)> = <w, conv_weight(y, x)>."""
    x_shape, w_shape, g, last = problem
    x, w = laid_out(numbers(*x_shape), last), laid_out(numbers(*w_shape, seed=1), last)
    size = kernels.output_size(x_shape[2:], w_shape[2:], g)
    y = laid_out(numbers(x_shape[0], w_shape[0], *size, seed=2), last)
    out, for_x, for_w = (np.full_like(a, np.nan) for a in (y, x, w))
    kernels.forward(x, w, out, g)
    kernels.input_gradient(y, w, for_x, g)
    kernels.weight_gradient(y, x, for_w, g)
    want = float((out * y).sum())
    assert float((x * for_x).sum()) == pytest.approx(want, abs=1e-9)
    assert float((w * for_w).sum()) == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("shape", [(2, 8, 40, 40), (9, 16, 7, 7), (1, 3, 60, 50)])
def test_float32_is_within_1e_5_of_float64(shape: tuple[int, ...]) -> None:
    x, w = numbers(*shape), numbers(8, shape[1], 3, 3, seed=1) / 3
    g = Geometry((1, 1), (1, 1), (1, 1), 1)
    want, got = np.empty((shape[0], 8, *shape[2:])), None
    kernels.forward(x, w, want, g)
    got = np.empty(want.shape, np.float32)
    kernels.forward(x.astype(np.float32), w.astype(np.float32), got, g)
    assert np.abs(got - want).max() / np.abs(want).max() < 1e-5


@pytest.mark.parametrize("grads", [1, 2])
@pytest.mark.parametrize(
    ("x", "w", "arguments"),
    [
        ((2, 4, 6), (6, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
        ((2, 3, 6, 5), (4, 3, 3, 2), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}),
        ((1, 2, 4, 5, 4), (3, 2, 2, 2, 3), {"padding": "same"}),
        ((2, 3, 4, 4), (3, 1, 3, 3), {"padding": 1, "groups": 3}),
        ((3, 5, 5), (2, 3, 1, 1), {}),
    ],
)
def test_convolution_and_its_gradients(x: Any, w: Any, arguments: Any, grads: int) -> None:
    dims = len(w) - 2

    def program(t: Any, x: Any, w: Any, b: Any) -> Any:
        return getattr(t.nn.functional, f"conv{dims}d")(x, w, b, **arguments)

    arrays = numbers(*x), numbers(*w, seed=1), numbers(w[0], seed=2)
    agree(with_gradients(program, grads), *arrays, grad=True)


@pytest.mark.parametrize("grads", [1, 2])
@pytest.mark.parametrize(
    ("x", "w", "arguments"),
    [
        ((2, 4, 5), (4, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
        ((2, 3, 4, 4), (3, 2, 2, 3), {"stride": (3, 2), "dilation": 2, "output_padding": (2, 1)}),
        ((3, 3, 3), (3, 1, 2, 2), {"stride": 2, "groups": 3}),
        # Output padding may exceed a stride where the dilation is larger.
        ((1, 2, 4, 4), (2, 2, 2, 2), {"stride": 1, "dilation": 3, "output_padding": 2}),
    ],
)
def test_transposed_convolution_with_gradients(x: Any, w: Any, arguments: Any, grads: int) -> None:
    dims = len(w) - 2
    outputs = w[1] * arguments.get("groups", 1)

    def program(t: Any, x: Any, w: Any, b: Any) -> Any:
        return getattr(t.nn.functional, f"conv_transpose{dims}d")(x, w, b, **arguments)

    arrays = numbers(*x), numbers(*w, seed=1), numbers(outputs, seed=2)
    agree(with_gradients(program, grads), *arrays, grad=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_channels_last_stays_so(dtype: str) -> None:
    def program(t: Any, x: Any, w: Any) -> Any:
        last = x.contiguous(memory_format=t.channels_last)
        first = t.nn.functional.conv2d(last, w, padding=1)
        return [first, t.nn.functional.conv_transpose2d(first, w), t.relu(first)]

    agree(program, numbers(2, 3, 5, 4, dtype=dtype), numbers(4, 3, 3, 3, dtype=dtype, seed=1))


@pytest.mark.parametrize(
    ("x", "w", "arguments"),
    [
        ((2, 4, 5, 5), (6, 3, 3, 3), {}),
        ((2, 4, 5, 5), (6, 4, 7, 7), {}),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"stride": 0}),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"padding": -1}),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"dilation": -1}),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"groups": 3}),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"groups": 0}),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"stride": (1, 1, 1)}),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"padding": "sane"}),
        ((2, 4, 5, 5), (6, 4, 3, 3), {"padding": "same", "stride": 2}),
        ((4,), (6, 4, 3, 3), {}),
        ((2, 4, 5, 5), (4, 3), {}),
        ((2, 4, 5, 5), (6, 4, 3), {}),
    ],
)
def test_refusals_have_pytorchs_words(x: Any, w: Any, arguments: Any) -> None:
    seen = agree(
        lambda t, x, w: t.nn.functional.conv2d(x, w, **arguments),
        numbers(*x, dtype="float32"),
        numbers(*w, dtype="float32"),
    )
    assert isinstance(seen, tuple) and seen[0] == "RuntimeError"


def test_operands_of_two_dtypes_are_refused_with_the_way_out() -> None:
    x, w = pellucid.ones(1, 1, 4, 4), pellucid.ones(1, 1, 2, 2).double()
    with pytest.raises(RuntimeError, match=r"should be the same[\s\S]*\.to\(torch\.float64\)"):
        pellucid.nn.functional.conv2d(x, w)


def test_the_gradient_of_a_bias_requires_a_gradient_too() -> None:
    def program(t: Any, x: Any, w: Any, b: Any) -> Any:
        out = t.nn.functional.conv1d(x, w, b)
        (slope,) = t.autograd.grad(out.sum(), b, create_graph=True)
        unused = t.autograd.grad(slope.sum(), (x, w), allow_unused=True)
        return [slope.requires_grad, [u is None for u in unused]]

    agree(program, numbers(1, 2, 5), numbers(3, 2, 2, seed=1), numbers(3, seed=2), grad=True)


def test_time_first_convolution() -> None:
    def program(t: Any, x: Any, w: Any, b: Any) -> Any:
        return t.conv_tbc(x, w, b, 1)

    arrays = numbers(6, 2, 3), numbers(3, 3, 4, seed=1), numbers(4, seed=2)
    agree(with_gradients(program), *arrays, grad=True)


@pytest.mark.parametrize("name", ["conv1d", "conv_transpose1d"])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_permuted_weight_decides_how_a_sequence_lies(name: str, groups: int) -> None:
    """The weight alone: PyTorch makes the input of a sequence contiguous."""
    for order in ((0, 1, 2), (0, 2, 1)):
        found = []
        for library in (torch, pellucid):
            x = library.ones(2, 4, 5).permute(0, 2, 1).contiguous().permute(0, 2, 1)
            weight = library.ones(4, 4 // groups, 3).permute(order).contiguous().permute(order)
            call = getattr(library.nn.functional, name)
            found.append(call(x, weight, groups=groups).stride())
        assert found[0] == found[1]
