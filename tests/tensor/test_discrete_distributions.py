"""Integers, permutations, weights and rejection samplers against PyTorch's."""

import numpy as np
import pytest
import torch
from reference_generator import (
    FLOATING,
    INTEGERS,
    SEEDS,
    SIZES,
    Pair,
    as_bytes,
    of,
    state_of,
    to_numpy,
)

from pellucid.tensor import dtype as dtypes
from pellucid.tensor.random.distributions import (
    bernoulli,
    bernoulli_of,
    dropout_noise,
    geometric,
)
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.random.integers import _grown_permutation, _swapped, integers, randperm
from pellucid.tensor.random.multinomial import multinomial
from pellucid.tensor.random.rejection import binomial, dirichlet, poisson, standard_gamma

# -- discrete distributions


@pytest.mark.parametrize("kind", [*FLOATING, dtypes.bool_, *INTEGERS], ids=str)
@pytest.mark.parametrize("seed", SEEDS[:4])
def test_bernoulli_and_geometric_and_unbounded_integers(kind, seed):
    pair = Pair(seed)
    for count in SIZES:

        def empty(count=count):
            return torch.empty(count, dtype=of(kind))

        for p in (0, 0.3, 1):
            wanted = empty().bernoulli_(p, generator=pair.theirs)
            pair.check(bernoulli(pair.ours, count, kind, p), wanted)
        pair.check(integers(pair.ours, count, kind), empty().random_(generator=pair.theirs))
        wanted = empty().random_(0, None, generator=pair.theirs)
        pair.check(integers(pair.ours, count, kind, 0), wanted)
        if kind is not dtypes.bool_:
            wanted = empty().geometric_(0.01, generator=pair.theirs)
            pair.check(geometric(pair.ours, count, kind, 0.01), wanted)


@pytest.mark.parametrize("kind", FLOATING, ids=str)
def test_bernoulli_of_probabilities(kind):
    pair = Pair(5)
    for count in SIZES:
        p = torch.linspace(0, 1, count).to(of(kind))
        wanted = torch.bernoulli(p, generator=pair.theirs)
        pair.check(bernoulli_of(pair.ours, to_numpy(p, kind), kind), wanted)


@pytest.mark.parametrize("kind", FLOATING, ids=str)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.73])
def test_dropout_noise(kind, p):
    default = Generator().manual_seed(13)
    torch.manual_seed(13)
    for count in SIZES[1:-1]:
        wanted = torch.nn.functional.dropout(torch.ones(count, dtype=of(kind)), p)
        assert dropout_noise(default, count, kind, p).tobytes() == as_bytes(wanted).tobytes()
        image = torch.ones(2, count, 3, dtype=of(kind))
        wanted = torch.feature_dropout(image, p, True)[:, :, 0].contiguous()
        noise = dropout_noise(default, 2 * count, kind, p)
        assert noise.tobytes() == as_bytes(wanted).tobytes()
        assert default.state_bytes() == state_of(torch.default_generator)


BOUNDS = (
    (0, 1),
    (0, 100),
    (-5, 90),
    (3, 60000),
    (7, 2**28 + 6),
    (7, 2**28 + 7),
    (2**24 + 1, 2**25 + 7),
    (-(2**62), 2**62),
    (-(2**63), 2**63 - 1),
)


@pytest.mark.parametrize(
    "kind", [*FLOATING, *INTEGERS, dtypes.uint16, dtypes.uint32, dtypes.uint64], ids=str
)
@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.filterwarnings("ignore:.*is out of bounds:UserWarning")
def test_integers_between_bounds(kind, bounds):
    pair = Pair(21)
    for count in (1, 17, 1000):
        theirs = torch.empty(count, dtype=of(kind))
        try:
            theirs.random_(*bounds, generator=pair.theirs)
        except RuntimeError as error:
            with pytest.raises(RuntimeError, match=r"out of bounds|expects 'from'") as raised:
                integers(pair.ours, count, kind, *bounds)
            assert str(raised.value) == str(error).split("\n")[0]
        else:
            pair.check(integers(pair.ours, count, kind, *bounds), theirs)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("seed", SEEDS[:4])
def test_integers_of_all_patterns_and_permutations(count, seed):
    pair = Pair(seed)
    for kind in (dtypes.int64, dtypes.float64, dtypes.float32, dtypes.bfloat16):
        wanted = torch.empty(count, dtype=of(kind)).random_(-(2**63), None, generator=pair.theirs)
        pair.check(integers(pair.ours, count, kind, -(2**63)), wanted)
    wanted = torch.randperm(count, generator=pair.theirs)
    pair.check(randperm(pair.ours, count), wanted)
    for kind in (dtypes.int32, dtypes.float32, dtypes.float64):
        wanted = torch.randperm(count, dtype=of(kind), generator=pair.theirs)
        pair.check(randperm(pair.ours, count, kind), wanted)


def test_long_permutations_are_grown_from_64_bit_words():
    """The algorithm for 2**32 / 20 places and more, on a few of them, step by step."""
    ours, words = Generator().manual_seed(1), Generator().manual_seed(1)
    order = []
    for place in range(50):
        other = words.random64() % (place + 1)
        order.append(order[other] if other < place else place)
        order[other] = place
    assert _grown_permutation(ours, 50, dtypes.int64, chunk=7).tolist() == order
    assert sorted(order) == list(range(50))
    assert ours.state_bytes() == words.state_bytes()


# -- samplers with rejection, weights


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_poisson_gamma_binomial(seed):
    pair = Pair(seed)
    rng = np.random.default_rng(seed % 100)
    for count in (0, 1, 5, 100, 1500):
        for kind in FLOATING:
            rate = rng.exponential(12, count) * (rng.random(count) > 0.1)
            rate = torch.from_numpy(rate).to(of(kind))
            wanted = torch.poisson(rate, generator=pair.theirs)
            pair.check(poisson(pair.ours, to_numpy(rate, kind), kind), wanted)
        for kind in FLOATING[:2]:
            alpha = torch.from_numpy(np.exp(rng.normal(0, 2, count))).to(of(kind))
            alpha[rng.random(count) < 0.05] = 0
            wanted = torch._standard_gamma(alpha, generator=pair.theirs)
            pair.check(standard_gamma(pair.ours, alpha.numpy(), kind), wanted)
            trials = torch.from_numpy(rng.integers(0, 300, count)).to(of(kind))
            p = torch.from_numpy(rng.random(count)).to(of(kind))
            wanted = torch.binomial(trials, p, generator=pair.theirs)
            pair.check(binomial(pair.ours, trials.numpy(), p.numpy(), kind), wanted)


@pytest.mark.parametrize("kind", FLOATING[:2], ids=str)
def test_dirichlet_up_to_the_order_of_its_sum(kind):
    pair = Pair(4)
    alpha = torch.rand(40, 6, dtype=of(kind)) + 0.01
    wanted = torch._sample_dirichlet(alpha, generator=pair.theirs).numpy()
    ours = dirichlet(pair.ours, alpha.numpy(), kind)
    np.testing.assert_array_max_ulp(ours, wanted, maxulp=8)
    pair.check_state()


@pytest.mark.parametrize("kind", FLOATING, ids=str)
@pytest.mark.parametrize("shape", [(3,), (1000,), (4, 7), (2, 300), (5, 1), (0, 3)], ids=str)
def test_multinomial(kind, shape):
    pair = Pair(8)
    weights = (torch.rand(shape, generator=torch.Generator().manual_seed(1)) + 0.01).to(of(kind))
    some = min(3, shape[-1])
    for theirs in (weights, weights.mT.contiguous().mT if weights.ndim == 2 else weights):
        own = to_numpy(theirs, kind)
        for samples, replacement in ((1, False), (1, True), (some, False), (50, True)):
            wanted = torch.multinomial(theirs, samples, replacement, generator=pair.theirs)
            pair.check(multinomial(pair.ours, own, samples, replacement, kind), wanted)


def test_multinomial_never_draws_a_weight_of_zero():
    weights = np.array([0.0, 2.0, 0.0, 1.0], dtype=np.float32)
    generator = Generator().manual_seed(0)
    drawn = multinomial(generator, weights, 500, True, dtypes.float32)
    assert set(drawn.tolist()) == {1, 3}
    assert set(multinomial(generator, weights, 2, False, dtypes.float32).tolist()) == {1, 3}


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 64, 1000])
def test_a_permutation_is_that_of_swaps_one_after_the_other(n):
    for seed in range(20):
        choices = np.random.default_rng(seed)
        reach = np.arange(n, 1, -1)
        offsets = choices.integers(0, reach) if seed else np.minimum(reach - 1, 3)
        expected = list(range(n))
        for place, offset in enumerate(offsets.tolist()):
            other = place + offset
            expected[place], expected[other] = expected[other], expected[place]
        assert _swapped(n, offsets).tolist() == expected


def test_a_long_permutation_is_pytorchs():
    ours, theirs = Generator().manual_seed(5), torch.Generator().manual_seed(5)
    assert randperm(ours, 100_000).tolist() == torch.randperm(100_000, generator=theirs).tolist()
