"""Activations and softmax against PyTorch.

Values and two orders of gradients, everywhere at once, `inplace=`, refusals.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
from pellucid.nn import functional as ours
from pellucid.ops.elementwise.blocks import BLOCK, blocked
from tests.parity.bridge import TensorRecipe, values
from tests.parity.tolerances import words
from tests.strategies import both, tensors

theirs = torch.nn.functional
ACTIVATIONS: dict[str, tuple[Any, ...]] = {
    "relu": (), "relu6": (), "elu": (0.7,), "selu": (), "celu": (0.7,), "gelu": (), "silu": (),
    "mish": (), "softplus": (2, 3), "softsign": (), "softshrink": (0.3,), "hardshrink": (0.3,),
    "hardtanh": (-0.5, 2.0), "hardsigmoid": (), "hardswish": (), "leaky_relu": (0.2,),
    "logsigmoid": (), "threshold": (0.1, 5.0), "tanhshrink": (), "sigmoid": (), "tanh": (),
    "softmax": (0,), "log_softmax": (0,), "softmin": (0,), "glu": (0,),
}  # fmt: skip
FLAGGED = words(
    """
    relu relu6 elu selu celu silu mish hardtanh hardsigmoid hardswish leaky_relu
    threshold
    """
)
CORNERS = [-3.0, 3.0, 0.0, 6.0, 0.3, -0.3, -0.5, 2.0, 0.1, 1.5]


ONCE = {"hardsigmoid"}  # PyTorch differentiates it once only


def derivatives(library: Any, name: str, x: np.ndarray, *arguments: Any, **keywords: Any) -> list:
    """Value, gradient, and gradient of the gradient, for random cotangents."""
    functional = theirs if library is torch else ours
    rng = np.random.default_rng(0)
    leaf = library.from_numpy(x.copy()).requires_grad_()
    out = getattr(functional, name)(leaf, *arguments, **keywords)
    weight = library.from_numpy(rng.standard_normal(tuple(out.shape)).astype(x.dtype))
    if name in ONCE:
        return [values(t.detach()) for t in (out, *library.autograd.grad(out, leaf, weight))]
    weight.requires_grad_()
    (slope,) = library.autograd.grad(out, leaf, weight, create_graph=True)
    second = library.from_numpy(rng.standard_normal(x.shape).astype(x.dtype))
    curve = library.autograd.grad(slope, (leaf, weight), second, allow_unused=True)
    return [values(t.detach()) for t in (out, slope, *curve) if t is not None]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_two_orders_of_gradients(name: str) -> None:
    x = np.concatenate([np.random.default_rng(1).standard_normal(90) * 3, CORNERS])
    for got, want in zip(
        derivatives(pellucid, name, x, *ACTIVATIONS[name]),
        derivatives(torch, name, x, *ACTIVATIONS[name]),
        strict=True,
    ):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_gelu_by_tanh() -> None:
    x = np.random.default_rng(2).standard_normal(50) * 3
    got = derivatives(pellucid, "gelu", x, approximate="tanh")
    want = derivatives(torch, "gelu", x, approximate="tanh")
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "sigmoid", "elu", "hardswish"])
@pytest.mark.parametrize("shape", [(BLOCK * 2 + 17,), (300, 200)])
def test_large_inputs_in_single_precision(name: str, shape: tuple[int, ...]) -> None:
    x = (np.random.default_rng(3).standard_normal(shape) * 3).astype(np.float32)
    # In float64: in float32 PyTorch's own gelu is off by 1.1e-6 on some CPUs.
    want = getattr(theirs, name)(torch.from_numpy(x).double()).numpy()
    got = getattr(ours, name)(pellucid.from_numpy(x)).numpy()
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=7e-7)
    turned = getattr(ours, name)(pellucid.from_numpy(x).t()).numpy()
    np.testing.assert_allclose(turned, want.T, rtol=2e-6, atol=7e-7)


@given(
    recipe=tensors(dtypes=("float32", "float64")),
    name=st.sampled_from(words("relu silu gelu hardtanh logsigmoid softplus hardshrink")),
)
@settings(deadline=None, max_examples=60)
def test_any_layout(recipe: TensorRecipe, name: str) -> None:
    expected, got = both(recipe, pellucid)
    exact = getattr(theirs, name)(expected.double())
    expected, got = getattr(theirs, name)(expected), getattr(ours, name)(got)
    assert got.stride() == expected.stride()
    np.testing.assert_allclose(values(got), values(exact), rtol=2e-6, atol=7e-7)


@given(recipe=tensors(dtypes=("float32", "float64")), data=st.data())
@settings(deadline=None, max_examples=60)
def test_softmax_along_any_dimension_of_any_layout(recipe: TensorRecipe, data: Any) -> None:
    dimensions = max(len(recipe.shape), 1)
    dim = data.draw(st.integers(-dimensions, dimensions - 1))
    expected, got = both(recipe, pellucid)
    for name in ("softmax", "log_softmax"):
        want, have = getattr(torch, name)(expected, dim), getattr(pellucid, name)(got, dim)
        assert have.stride() == want.stride()
        np.testing.assert_allclose(values(have), values(want), rtol=1e-5, atol=1e-6)


def test_softmax_of_large_and_infinite_numbers() -> None:
    data = np.array([[1e4, -1e4, 0.0], [-math.inf, 0.0, 1.0], [-math.inf] * 3], np.float32)
    for name in ("softmax", "log_softmax"):
        want = getattr(theirs, name)(torch.from_numpy(data), 1)
        have = getattr(ours, name)(pellucid.from_numpy(data), 1)
        np.testing.assert_allclose(have.numpy(), want.numpy(), rtol=1e-6)


def test_softmax_without_a_dimension_guesses_and_warns() -> None:
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        got = ours.softmax(pellucid.ones(2, 4))
    assert got.tolist() == [[0.25] * 4] * 2
    assert ours.softmax(pellucid.ones(2), 0, dtype=pellucid.float64).dtype is pellucid.float64


@pytest.mark.parametrize("name", FLAGGED)
def test_the_inplace_flag_overwrites_the_input(name: str) -> None:
    arguments = ACTIVATIONS[name]
    x = pellucid.linspace(-4, 4, 9)
    want = getattr(ours, name)(x, *arguments)
    assert want is not x
    got = getattr(ours, name)(x, *arguments, inplace=True)
    assert got is x
    assert x.tolist() == want.tolist()


def test_an_activation_in_place_passes_its_gradient_on() -> None:
    found = []
    for library, functional in ((torch, theirs), (pellucid, ours)):
        leaf = library.linspace(-4, 4, 9, requires_grad=True)
        functional.relu(functional.leaky_relu(leaf * 2, 0.1, True) * 2, True).sum().backward()
        found.append(leaf.grad.tolist())
    assert found[1] == pytest.approx(found[0], rel=1e-6)


def test_prelu_has_one_weight_for_each_channel() -> None:
    x = np.random.default_rng(4).standard_normal((2, 3, 4))
    weight = np.array([0.1, 0.2, 0.3])
    found = []
    for library, functional in ((torch, theirs), (pellucid, ours)):
        leaves = [library.from_numpy(v.copy()).requires_grad_() for v in (x, weight)]
        functional.prelu(*leaves).pow(2).sum().backward()
        found.append([leaf.grad.numpy() for leaf in leaves])
    for got, want in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_rrelu_draws_the_slopes_of_the_reference() -> None:
    x = np.random.default_rng(5).standard_normal((4, 5)).astype(np.float32)
    torch.manual_seed(7)
    pellucid.manual_seed(7)
    want = theirs.rrelu(torch.from_numpy(x), 0.1, 0.4, training=True)
    got = ours.rrelu(pellucid.from_numpy(x), 0.1, 0.4, training=True)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-6)


REFUSED: list[tuple[Any, str]] = [
    (lambda t, f: f.hardtanh(t.ones(2), 1, -1), "min_val cannot be greater than max_val"),
    (lambda t, f: f.celu(t.ones(2), 0.0), "alpha cannot be 0 for CELU"),
    (lambda t, f: f.gelu(t.ones(2), approximate="x"), "must be either none or tanh"),
    (lambda t, f: f.glu(t.ones(3)), "Halving dimension must be even, but dimension 0 is size 3"),
    (lambda t, f: f.glu(t.tensor(1.0)), "glu does not support scalars"),
    (lambda t, f: f.softshrink(t.ones(2), -1.0), "lambda must be in range"),
    (lambda t, f: f.prelu(t.ones(2, 4), t.ones(3)), "Mismatch of parameter numbers and input"),
    (lambda t, f: f.softmax(t.ones(2, 2), 5), "Dimension out of range"),
    (lambda t, f: f.softmax(t.ones(2).long(), 0), "softmax_lastdim_kernel_impl"),
    (lambda t, f: f.relu(t.tensor([True])), "Boolean inputs not supported for relu"),
    (lambda t, f: f.silu(t.tensor([1])), "\"silu_cpu\" not implemented for 'Long'"),
    (lambda t, f: f.rrelu(t.ones(2), 0.5, 0.1), "Lower bound should be less than or equal"),
]


@pytest.mark.parametrize(("call", "said"), REFUSED)
def test_refusals_have_the_type_and_words_of_the_reference(call: Any, said: str) -> None:
    with pytest.raises(Exception, match=said) as refused:
        call(torch, theirs)
    with pytest.raises(refused.type, match=said):
        call(pellucid, ours)


def test_blocks_give_what_one_piece_gives() -> None:
    def double_plus(x: np.ndarray, y: Any, out: np.ndarray, add: float = 0) -> None:
        np.multiply(x, 2, out)
        out += y
        out += add

    size = BLOCK * 3 + 5
    x = np.arange(size, dtype=np.float64)
    for y in (x[::-1], x.copy(), 3.0, np.array(3.0)):
        whole, parts = np.empty(size), np.empty(size)
        double_plus(x, y, whole, add=1)
        blocked(double_plus)(x, y, parts, add=1)
        assert np.array_equal(whole, parts)


def test_gelu_far_out_is_zero_of_its_sign() -> None:
    """`1 + erf` is exactly 0 there in single precision, as in PyTorch."""
    far = [-6.5, -10.0, -30.0, -3e38]
    want = theirs.gelu(torch.tensor(far))
    got = ours.gelu(pellucid.tensor(far))
    assert got.tolist() == want.tolist() == [0.0] * 4
    assert got.signbit().all()
    assert pellucid.erf(pellucid.tensor([-9.0, 9.0])).tolist() == [-1.0, 1.0]
