"""Random tensors against PyTorch: the same seed gives the same bits, in any layout; refusals
too.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pellucid
from tests.expressions import bits, check, lines
from tests.parity.bridge import build
from tests.strategies import tensors

DRAWN = """
    torch.rand(2, 3)
    torch.rand((2, 3), dtype=torch.float64)
    torch.rand(3, dtype=torch.complex64)
    torch.rand(3, dtype=torch.bfloat16)
    torch.rand(3, requires_grad=True)
    torch.rand(3, generator=torch.Generator().manual_seed(5))
    torch.rand(3, out=torch.empty(2))
    torch.randn(33)
    torch.randn(3, dtype=torch.float16)
    torch.randn(3, out=torch.empty(3, dtype=torch.float64))
    torch.randint(10, (5,))
    torch.randint(3, 10, (5,), dtype=torch.int8)
    torch.randint(low=3, high=5, size=(2,))
    torch.randint(torch.tensor(3), (2,))
    torch.randint(0, 3, (2,), dtype=torch.float32)
    torch.randperm(20)
    torch.randperm(5, dtype=torch.float32)
    torch.rand_like(torch.ones(3, 2).t())
    torch.randn_like(torch.ones(30, 2).t())
    torch.randint_like(torch.zeros(2, dtype=torch.int16), 3, 5)
    torch.bernoulli(torch.tensor([0.2, 0.7]))
    torch.bernoulli(torch.tensor([1, 0]), 0.5)
    torch.bernoulli(torch.ones(3), out=torch.empty(0, dtype=torch.int64))
    torch.zeros(3).bernoulli_(torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64))
    torch.zeros(3, dtype=torch.int64).bernoulli_(torch.tensor(0.5))
    torch.zeros(3).uniform_(1, 2)
    torch.zeros(3).uniform_(**{"from": 1, "to": 2})
    torch.zeros(3).normal_(std=2, mean=1)
    torch.zeros(3).exponential_(lambd=2)
    torch.zeros(3).cauchy_(sigma=2)
    torch.zeros(3).log_normal_()
    torch.zeros(3, dtype=torch.int32).geometric_(0.3)
    torch.zeros(3).random_()
    torch.zeros(3).random_(5)
    torch.zeros(3).random_(2, 5)
    torch.zeros(3).random_(2, None)
    torch.normal(0.0, 1.0, (2,))
    torch.normal(mean=torch.zeros(2))
    torch.normal(torch.zeros(2, 1), torch.ones(3))
    torch.normal(1.0, torch.ones(3, dtype=torch.float64))
    torch.normal(torch.zeros(2, dtype=torch.float64), torch.ones(2))
    torch.normal(torch.zeros(3, 2).t(), 1.0)
    torch.poisson(torch.tensor([0.5, 30.0]))
    torch.binomial(torch.full((3,), 10.0), torch.full((3,), 0.3))
    torch.multinomial(torch.tensor([1.0, 2, 3]), 2)
    torch.multinomial(torch.ones(2, 3), 5, True)
    torch._standard_gamma(torch.tensor([0.3, 4.0]))
    torch._sample_dirichlet(torch.ones(2, 3))
"""

ON_THE_TAPE = """
    (torch.zeros(3, requires_grad=True) * 2).normal_()
    (torch.zeros(3, requires_grad=True) * 2).uniform_()
    (torch.zeros(3, requires_grad=True) * 2).exponential_()
    (torch.zeros(3, requires_grad=True) * 2).bernoulli_()
    (torch.zeros(3, requires_grad=True) * 2).bernoulli_(torch.tensor(0.5))
    torch.bernoulli(torch.zeros(3, requires_grad=True))
    torch.poisson(torch.zeros(3, requires_grad=True))
    torch.multinomial(torch.ones(3, requires_grad=True), 2)
    torch.normal(torch.zeros(3, requires_grad=True), 1.0)
    torch.normal(1.0, torch.ones(3, requires_grad=True))
    torch.normal(torch.zeros(3, requires_grad=True), torch.ones(3))
    torch._standard_gamma(torch.ones(3, requires_grad=True))
"""

REFUSED = """
    torch.rand(2, dtype=torch.int64)
    torch.rand(-1)
    torch.randn(2, dtype=torch.int32)
    torch.randint(5, 3, (2,))
    torch.randint(3, 2)
    torch.randint(3.5, (2,))
    torch.randint(0, 300, (2,), dtype=torch.uint8)
    torch.randint(0, 3, (2,), requires_grad=True)
    torch.randperm(-1)
    torch.randperm(2.0)
    torch.randperm(3, dtype=torch.bool)
    torch.bernoulli(torch.tensor([0.2, 3.0]))
    torch.bernoulli(torch.tensor([1, 0]))
    torch.bernoulli([1.0])
    torch.zeros(3).bernoulli_(2)
    torch.zeros(3).bernoulli_(torch.tensor([1.0, 0]))
    torch.zeros(3).uniform_("a")
    torch.zeros(3).uniform_(2, 1)
    torch.zeros(3).uniform_(1, 2, 3)
    torch.zeros(3).uniform_(from_=1)
    torch.zeros(3).normal_(1, -1)
    torch.zeros(3, dtype=torch.int64).normal_()
    torch.zeros(1).expand(3).normal_()
    torch.zeros(3, requires_grad=True).normal_()
    torch.zeros(3).geometric_()
    torch.zeros(3).geometric_(1)
    torch.zeros(3).random_(0)
    torch.normal(0.0, 1.0)
    torch.normal(torch.zeros(2), -1)
    torch.normal(torch.zeros(2), torch.tensor([-1.0, 1]))
    torch.normal(torch.zeros(2), torch.ones(3))
    torch.normal(torch.zeros(2), torch.ones(2, dtype=torch.complex64))
    torch.binomial(torch.zeros(2, dtype=torch.int64), torch.ones(2))
    torch.binomial(torch.zeros(2, dtype=torch.float64), torch.ones(2))
    torch.multinomial(torch.ones(3), 2.0)
    torch.multinomial(torch.ones(3), 4)
    torch.multinomial(torch.ones(3), 2, out=torch.empty(0))
"""


@pytest.mark.parametrize("expression", lines(DRAWN + ON_THE_TAPE + REFUSED))
def test_the_same_seed_gives_the_same_bits(expression):
    check(expression)


FILLERS = {
    "normal_": (),
    "uniform_": (-1.0, 2.0),
    "exponential_": (2.0,),
    "bernoulli_": (0.3,),
    "random_": (7,),
}


@given(tensors(dtypes=("float32", "float64")), st.sampled_from(sorted(FILLERS)), st.integers(0, 99))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_fillers_draw_in_the_order_of_memory(recipe, name, seed):
    assume(all(s or n < 2 for n, s in zip(recipe.shape, recipe.strides, strict=True)))
    results = []
    for library in (torch, pellucid):
        tensor = build(recipe, library).detach()
        library.manual_seed(seed)
        getattr(tensor, name)(*FILLERS[name])
        results.append((bits(tensor), bits(library.rand(2))))
    assert results[0] == results[1]


def test_a_filled_tensor_has_no_gradient_before():
    x = pellucid.ones(3, requires_grad=True)
    y = x * 2
    y.uniform_()
    (y * 3).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["binomial", "bernoulli"])
def test_a_gradient_that_pytorch_leaves_out_is_refused_when_needed(name):
    p = pellucid.full((3,), 0.5, requires_grad=True)
    sample = pellucid.bernoulli(p, 0.5) if name == "bernoulli" else pellucid.binomial(p, p)
    assert sample.requires_grad
    with pytest.raises(NotImplementedError, match=f"derivative for aten::{name}"):
        sample.sum().backward()


def test_gradients_through_gamma_samples():
    grads = []
    for library in (torch, pellucid):
        library.manual_seed(0)
        alpha = library.logspace(-2, 3, 400, dtype=library.float64).requires_grad_()
        library._standard_gamma(alpha).sum().backward()
        grads.append(alpha.grad.tolist())
    assert grads[1] == pytest.approx(grads[0], rel=1e-9)


def test_fork_rng_leaves_the_stream_as_it_was():
    pellucid.manual_seed(1)
    with pellucid.random.fork_rng():
        inside = pellucid.rand(3)
    assert bool((pellucid.rand(3) == inside).all())


def test_states_pass_between_both_libraries():
    pellucid.manual_seed(3)
    pellucid.randn(5)
    torch.set_rng_state(torch.from_numpy(pellucid.get_rng_state().numpy()))
    assert torch.rand(4).tolist() == pellucid.rand(4).tolist()


def test_an_unknown_generator_is_refused():
    with pytest.raises(
        TypeError, match=r"invalid combination of arguments - got \(int, generator=int\)"
    ):
        pellucid.rand(2, generator=3)
