"""Gradient checkpointing: the same gradients as without, half of the work twice, nothing kept."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pellucid
from pellucid.autograd.graph import saved_tensors_hooks
from pellucid.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential


class Layer(pellucid.nn.Module):
    """A layer that draws random numbers and counts its calls."""

    def __init__(self):
        super().__init__()
        self.weight = pellucid.nn.Parameter(pellucid.randn(4, 4, dtype=pellucid.float64))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        kept = pellucid.bernoulli(pellucid.full_like(x, 0.5))
        return (x @ self.weight).tanh() * kept


def gradients(layer, run):
    pellucid.manual_seed(1)
    layer.zero_grad()
    x = pellucid.ones(3, 4, dtype=pellucid.float64).requires_grad_()
    y = run(x)
    (y * y).sum().backward()
    return y.tolist(), x.grad.tolist(), layer.weight.grad.tolist(), pellucid.rand(2).tolist()


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradients_are_those_without(reentrant):
    layer = Layer()
    plain = gradients(layer, layer)
    assert layer.calls == 1
    again = gradients(layer, lambda x: checkpoint(layer, x, use_reentrant=reentrant))
    assert layer.calls == 3
    for want, have in zip(plain, again, strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-14)


def test_nothing_is_kept():
    kept = []
    layer = Layer()
    x = pellucid.ones(3, 4, dtype=pellucid.float64, requires_grad=True)
    with saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = checkpoint(layer, x, use_reentrant=False)
    assert kept == []
    y.sum().backward()
    assert x.grad is not None


def test_the_second_run_ends_when_everything_is_there():
    reached = []

    def function(x):
        y = x.exp()
        reached.append("end")
        return y

    def late(x):
        y = x.exp()
        y = y + 1
        reached.append("late")
        return y

    x = pellucid.ones(2, requires_grad=True)
    checkpoint(late, x, use_reentrant=False).sum().backward()
    assert reached == ["late"]
    checkpoint(late, x, use_reentrant=False, early_stop=False).sum().backward()
    assert reached == ["late"] * 3
    checkpoint(function, x, use_reentrant=False).sum().backward()
    assert reached.count("end") == 1


def test_gradients_of_gradients():
    def double(run):
        x = pellucid.tensor([0.3, 1.2, -0.7], dtype=pellucid.float64, requires_grad=True)
        (first,) = pellucid.autograd.grad(run(x).sum(), x, create_graph=True)
        return pellucid.autograd.grad(first.sum(), x)[0].tolist()

    def function(x):
        return (x.sin() * x.exp()).sin()

    checkpointed = double(lambda x: checkpoint(function, x, use_reentrant=False))
    assert checkpointed == pytest.approx(double(function), rel=1e-14)


def test_two_backward_passes_recompute_twice():
    calls = []

    def function(x):
        calls.append(1)
        return x.sin().exp()

    x = pellucid.ones(2, requires_grad=True)
    y = checkpoint(function, x, use_reentrant=False).sum()
    y.backward(retain_graph=True)
    once = x.grad.clone()
    y.backward()
    assert x.grad.tolist() == (2 * once).tolist()
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (lambda x: x.exp(), "A different number of tensors was saved"),
        (lambda x: (x.sin() * x).exp() * x, "trying to save more tensors"),
        (lambda x: x[:1].sin().exp(), "have different metadata"),
    ],
)
def test_another_second_run_is_refused(second, words):
    calls = []

    def function(x):
        calls.append(1)
        return x.sin().exp() if len(calls) == 1 else second(x)

    x = pellucid.ones(2, requires_grad=True)
    y = checkpoint(function, x, use_reentrant=False, early_stop=False)
    with pytest.raises(CheckpointError, match=words):
        y.sum().backward()


def test_refusals():
    x = pellucid.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: y"):
        checkpoint(lambda x: x, x, use_reentrant=True, y=1)
    with pytest.raises(ValueError, match="only supported when use_reentrant=False"):
        checkpoint(lambda x: x, x, use_reentrant=True, debug=True)
    with pytest.raises(ValueError, match="determinism_check should be one of"):
        checkpoint(lambda x: x, x, use_reentrant=False, determinism_check="foo")
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        checkpoint(lambda x: x * 2, x)
    y = checkpoint(lambda x: x * 2, x, use_reentrant=True)
    with pytest.raises(RuntimeError, match=r"incompatible with \.grad\(\)"):
        pellucid.autograd.grad(y.sum(), x)


def test_without_gradients_it_only_calls():
    with pellucid.no_grad():
        assert checkpoint(lambda x: x * 2, pellucid.ones(1), use_reentrant=False).tolist() == [2.0]


def test_autocast_is_as_it_was():
    layer = pellucid.nn.Linear(3, 3)
    kinds = []

    def function(x):
        y = layer(x)
        kinds.append(y.dtype)
        return y.exp()

    x = pellucid.ones(2, 3, requires_grad=True)
    with pellucid.autocast("cpu"):
        y = checkpoint(function, x, use_reentrant=False)
    y.sum().backward()
    assert kinds == [pellucid.bfloat16] * 2


@pytest.mark.parametrize("reentrant", [False, True])
def test_sequential(reentrant):
    model = pellucid.nn.Sequential(*(pellucid.nn.Linear(4, 4) for _ in range(5)))
    x = pellucid.randn(2, 4, requires_grad=True)
    model(x).sum().backward()
    plain = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = checkpoint_sequential(model, 3, x, use_reentrant=reentrant)
    y.sum().backward()
    for want, p in zip(plain, model.parameters(), strict=True):
        assert pellucid.allclose(p.grad, want)
