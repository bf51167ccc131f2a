"""Autocast and GradScaler beside PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pellucid
from tests.expressions import check, lines

POLICIES = [
    lambda t, x, w: x @ w,
    lambda t, x, w: t.mm(x, w),
    lambda t, x, w: t.nn.functional.linear(x, w),
    lambda t, x, w: t.bmm(x[None], w[None]),
    lambda t, x, w: t.addmm(w, x, w),
    lambda t, x, w: t.nn.functional.conv1d(x[None], w[:, :, None]),
    lambda t, x, w: x + w,
    lambda t, x, w: (x @ w).exp(),
    lambda t, x, w: (x @ w) + x,
    lambda t, x, w: t.softmax(x @ w, -1),
    lambda t, x, w: t.nn.functional.mse_loss(x @ w, x),
    lambda t, x, w: t.nn.functional.cross_entropy(x @ w, t.tensor([0, 1, 2, 3])),
    lambda t, x, w: (x @ w).prod(),
    lambda t, x, w: t.cat([x @ w, x]),
    lambda t, x, w: t.cat([x @ w, x @ w]),
    lambda t, x, w: t.stack([x @ w, x]),
    lambda t, x, w: x.double() @ w.double(),
    lambda t, x, w: t.nn.Linear(4, 4)(x),
]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("number", range(len(POLICIES)))
def test_operators_run_in_the_dtype_of_their_table(number, dtype):
    def program(library):
        library.manual_seed(0)
        x, w = library.randn(4, 4), library.randn(4, 4)
        with library.autocast("cpu", dtype=getattr(library, dtype)):
            return POLICIES[number](library, x, w).detach()

    want, have = program(torch), program(pellucid)
    assert str(have.dtype) == str(want.dtype)
    np.testing.assert_allclose(have.float().numpy(), want.float().numpy(), rtol=0.02, atol=0.02)


def test_gradients_come_back_in_the_dtype_of_the_leaf():
    x, w = pellucid.randn(4, 4, requires_grad=True), pellucid.randn(4, 4, requires_grad=True)
    with pellucid.autocast("cpu"):
        y = (x @ w).sum()
    y.backward()
    assert (y.dtype, x.grad.dtype, w.grad.dtype) == (
        pellucid.bfloat16,
        pellucid.float32,
        pellucid.float32,
    )


def test_autocast_nests_and_ends():
    x = pellucid.ones(2, 2)
    with pellucid.autocast("cpu"):
        assert pellucid.is_autocast_enabled("cpu")
        with pellucid.autocast("cpu", enabled=False):
            assert (x @ x).dtype is pellucid.float32
        assert (x @ x).dtype is pellucid.bfloat16
    assert not pellucid.is_autocast_enabled("cpu")
    with pytest.raises(ValueError, match="planted"), pellucid.autocast("cpu"):
        raise ValueError("planted")
    assert (x @ x).dtype is pellucid.float32


def test_autocast_decorates():
    @pellucid.autocast("cpu")
    def product(x):
        return x @ x

    assert product(pellucid.ones(2, 2)).dtype is pellucid.bfloat16


REFUSED = """
    torch.autocast(3)
    torch.autocast("foo")
    torch.autocast("cuda")._enabled
    torch.autocast("cpu", dtype=torch.float32)._enabled
    torch.amp.GradScaler()
    torch.amp.GradScaler("cpu", growth_factor=0.5)
    torch.amp.GradScaler("cpu", backoff_factor=1.5)
    torch.amp.GradScaler("cpu").update()
    torch.amp.GradScaler("cpu").scale(3)
    torch.get_autocast_dtype("cpu")
    torch.is_autocast_enabled()
"""


@pytest.mark.parametrize("expression", [e for e in lines(REFUSED) if "GradScaler()" not in e])
def test_refusals(expression):
    check(expression)


def test_a_scaler_for_cuda_is_disabled_with_a_warning():
    with pytest.warns(UserWarning, match="CUDA is not available"):
        scaler = pellucid.amp.GradScaler()
    assert not scaler.is_enabled()
    loss = pellucid.ones((), requires_grad=True) * 2
    assert scaler.scale(loss) is loss
    assert scaler.state_dict() == {}


def train(library):
    """Scales after ten steps, of which two overflow."""
    weight = library.nn.Parameter(library.ones(3))
    optimizer = library.optim.SGD([weight], lr=0.1)
    scaler = library.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    told = []
    for step in range(10):
        optimizer.zero_grad()
        loss = (weight * (float("inf") if step in (4, 5) else 1.0)).sum()
        scaler.scale(loss).backward()
        if step % 2:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        told.append((scaler.get_scale(), weight.tolist()))
    return told, scaler.state_dict()


def test_a_scaler_skips_overflows_and_adapts():
    want, have = train(torch), train(pellucid)
    assert have[1] == want[1]
    for (scale, weights), (ours, our_weights) in zip(want[0], have[0], strict=True):
        assert ours == scale
        assert our_weights == pytest.approx(weights)


@pytest.mark.parametrize("again", ["unscale_", "step"])
def test_a_scaler_refuses_to_do_it_twice(again):
    weight = pellucid.nn.Parameter(pellucid.ones(3))
    optimizer = pellucid.optim.SGD([weight], lr=0.1)
    scaler = pellucid.amp.GradScaler("cpu")
    scaler.scale(weight.sum()).backward()
    getattr(scaler, again)(optimizer)
    with pytest.raises(RuntimeError, match="has already been called"):
        getattr(scaler, again)(optimizer)
