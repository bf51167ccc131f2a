"""Random samples against PyTorch's: every bit of them, and the state of the stream afterwards.

PyTorch's kernels for AVX2 and AVX-512 agree with each other; those for older CPUs round
differently, so what is compared bit for bit in floating point is skipped there.
"""

import numpy as np
import pytest
import torch
from reference_generator import (
    FLOATING,
    SEEDS,
    SIZES,
    Pair,
    fused_kernels,
    of,
    to_numpy,
)

from pellucid.tensor import dtype as dtypes
from pellucid.tensor.random.box_muller import fill_normal
from pellucid.tensor.random.distributions import (
    bernoulli,
    cauchy,
    exponential,
    fill_in_memory_order,
    geometric,
    log_normal,
    normal,
    normal_of,
    uniform,
)
from pellucid.tensor.random.fused import fused_multiply_add
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.random.integers import integers, randperm

# -- uniform and normal


@fused_kernels
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", FLOATING, ids=str)
def test_uniform(kind, seed):
    pair = Pair(seed)
    for count in SIZES:
        for low, high in ((0, 1), (-0.3, 0.71), (2, 2.5), (-1e-3, 5), (3, 3)):
            wanted = torch.empty(count, dtype=of(kind)).uniform_(low, high, generator=pair.theirs)
            pair.check(uniform(pair.ours, count, kind, low, high), wanted)


@fused_kernels
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", FLOATING, ids=str)
def test_normal_of_contiguous_tensors(kind, seed):
    pair = Pair(seed)
    for count in SIZES:
        for mean, std in ((0, 1), (0, 0.02), (0.3, 1), (-0.123, 0.77), (1, 0)):
            wanted = torch.empty(count, dtype=of(kind)).normal_(mean, std, generator=pair.theirs)
            pair.check(normal(pair.ours, count, kind, mean, std), wanted)


@fused_kernels
@pytest.mark.parametrize("kind", FLOATING, ids=str)
def test_normal_of_other_tensors_comes_one_at_a_time(kind):
    pair = Pair(6)
    for count in SIZES[2:]:
        wanted = torch.empty(count, 2, dtype=of(kind))[:, 0]
        wanted.normal_(0.3, 0.77, generator=pair.theirs)
        pair.check(normal(pair.ours, count, kind, 0.3, 0.77, contiguous=False), wanted)


@pytest.mark.parametrize("kind", [dtypes.complex64, dtypes.complex128], ids=str)
def test_complex_parts_are_drawn_in_turn(kind):
    pair = Pair(2)
    for count in SIZES:
        wanted = torch.rand(count, dtype=of(kind), generator=pair.theirs)
        pair.check(uniform(pair.ours, count, kind), wanted)
        wanted = torch.randn(count, dtype=of(kind), generator=pair.theirs)
        if torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512"):
            pair.check(normal(pair.ours, count, kind), wanted)


@fused_kernels
@pytest.mark.parametrize("kind", [dtypes.float32, dtypes.float64, dtypes.bfloat16], ids=str)
@pytest.mark.parametrize("shapes", [((5, 7), (5, 7)), ((4, 1), (9,)), ((3,), ()), ((), (40,))])
def test_normal_of_tensors_of_means_and_deviations(kind, shapes):
    pair = Pair(3)
    mean = torch.linspace(-1, 1, max(1, int(np.prod(shapes[0])))).reshape(shapes[0]).to(of(kind))
    std = torch.linspace(0, 2, max(1, int(np.prod(shapes[1])))).reshape(shapes[1]).to(of(kind))
    own = [to_numpy(x, kind) for x in (mean, std)]
    wanted = torch.normal(mean, std, generator=pair.theirs)
    pair.check(normal_of(pair.ours, own[0], own[1], kind), wanted)
    wanted = torch.normal(mean, 0.7, generator=pair.theirs)
    pair.check(normal_of(pair.ours, own[0], 0.7, kind), wanted)
    wanted = torch.normal(0.7, std, generator=pair.theirs)
    pair.check(normal_of(pair.ours, 0.7, own[1], kind), wanted)


@pytest.mark.parametrize("permutation", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_elements_are_filled_in_the_order_of_memory(permutation):
    pair = Pair(1)
    base = torch.empty(4, 6, 5)[:, ::2]
    theirs = base.permute(permutation)
    theirs.uniform_(generator=pair.theirs)
    ours = np.zeros((4, 6, 5), dtype=np.float32)[:, ::2].transpose(permutation)
    fill_in_memory_order(ours, uniform(pair.ours, ours.size, dtypes.float32))
    pair.check(ours, theirs)


def test_channels_last_is_filled_in_its_own_order():
    pair = Pair(1)
    theirs = torch.empty(2, 3, 4, 5).to(memory_format=torch.channels_last)
    theirs.uniform_(generator=pair.theirs)
    ours = np.empty((2, 4, 5, 3), dtype=np.float32).transpose(0, 3, 1, 2)
    fill_in_memory_order(ours, uniform(pair.ours, ours.size, dtypes.float32))
    pair.check(ours, theirs)


def test_fused_multiply_add_rounds_once():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(2000).astype(np.float32)
    exact = x.astype(np.longdouble) * np.longdouble(np.float32(0.7)) + np.longdouble(np.float32(3))
    got = fused_multiply_add(x, float(np.float32(0.7)), 3.0)
    assert (got == exact.astype(np.float32)).all()
    assert (got != x * np.float32(0.7) + np.float32(3)).any()
    wide = x.astype(np.float64) * (
        1 + 2.0**-40
    )  # (1 + e)(1 - e) - 1 = -e**2: lost by two roundings
    one = np.array([1 + 2.0**-30])
    assert fused_multiply_add(one, 1 - 2.0**-30, -1.0) == -(2.0**-60)
    assert fused_multiply_add(wide, 1.0, 0.0).tolist() == wide.tolist()


# -- the other continuous distributions


@fused_kernels
@pytest.mark.parametrize("kind", FLOATING, ids=str)
@pytest.mark.parametrize("seed", SEEDS[:4])
def test_exponential_cauchy_log_normal_geometric(kind, seed):
    pair = Pair(seed)
    for count in SIZES:

        def empty(count=count):
            return torch.empty(count, dtype=of(kind))

        pair.check(
            exponential(pair.ours, count, kind, 0.3),
            empty().exponential_(0.3, generator=pair.theirs),
        )
        pair.check(
            cauchy(pair.ours, count, kind, 0.3, 1.7),
            empty().cauchy_(0.3, 1.7, generator=pair.theirs),
        )
        pair.check(
            log_normal(pair.ours, count, kind, 0.3, 0.7),
            empty().log_normal_(0.3, 0.7, generator=pair.theirs),
        )
        pair.check(
            geometric(pair.ours, count, kind, 0.13),
            empty().geometric_(0.13, generator=pair.theirs),
        )


# -- mixed calls, and what a comparison would miss


@fused_kernels
def test_consecutive_calls_of_every_kind_stay_in_step():
    pair = Pair(31)
    order = np.random.default_rng(0)
    ours, theirs = pair.ours, pair.theirs
    float32, float64 = dtypes.float32, dtypes.float64
    calls = [
        (lambda n: uniform(ours, n, float32), lambda n: torch.rand(n, generator=theirs)),
        (lambda n: normal(ours, n, float32), lambda n: torch.randn(n, generator=theirs)),
        (
            lambda n: normal(ours, n, float64),
            lambda n: torch.randn(n, dtype=torch.float64, generator=theirs),
        ),
        (
            lambda n: integers(ours, n, dtypes.int64, 0, 10),
            lambda n: torch.randint(10, (n,), generator=theirs),
        ),
        (lambda n: randperm(ours, n), lambda n: torch.randperm(n, generator=theirs)),
        (
            lambda n: log_normal(ours, n, float32),
            lambda n: torch.empty(n).log_normal_(generator=theirs),
        ),
        (
            lambda n: bernoulli(ours, n, float32, 0.2),
            lambda n: torch.empty(n).bernoulli_(0.2, generator=theirs),
        ),
    ]
    for _ in range(120):
        our_call, their_call = calls[order.integers(len(calls))]
        count = int(order.choice(SIZES[:-1]))
        pair.check(our_call(count), their_call(count))


def test_the_comparison_sees_one_bit_and_one_word():
    pair = Pair(0)
    ours = uniform(pair.ours, 100, dtypes.float32)
    theirs = torch.rand(100, generator=pair.theirs)
    ours[50] = np.nextafter(ours[50], np.float32(2))
    with pytest.raises(AssertionError, match="1 of 100, first at"):
        pair.check(ours, theirs)
    pair.ours.random()
    with pytest.raises(AssertionError, match="the streams stand in different places"):
        pair.check_state()


def test_the_filling_kernel_covers_every_element_of_large_tensors():
    samples = fill_normal(Generator().manual_seed(0), 300_001, dtypes.float32, 0.0, 1.0)
    assert np.isfinite(samples).all() and abs(samples.mean()) < 0.01
    assert abs(samples.std() - 1) < 0.01
