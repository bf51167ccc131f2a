"""What samplers refuse: PyTorch's errors in PyTorch's words, and no word of the stream spent."""

import numpy as np
import pytest
import torch

from pellucid.tensor import dtype as dtypes
from pellucid.tensor.random.distributions import (
    bernoulli,
    bernoulli_of,
    cauchy,
    exponential,
    geometric,
    log_normal,
    normal,
    normal_of,
    uniform,
)
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.random.integers import integers, randperm
from pellucid.tensor.random.multinomial import multinomial
from pellucid.tensor.random.rejection import poisson

G = Generator()
HALF, FLOAT, INT = dtypes.float16, dtypes.float32, dtypes.int32
ONES = np.ones(3, dtype=np.float32)
REFUSALS = [
    (
        "uniform_ expects to return a",
        lambda: uniform(G, 3, FLOAT, 2, 1),
        lambda x: x.uniform_(2, 1),
    ),
    (
        "uniform_ expects to-from",
        lambda: uniform(G, 3, FLOAT, -3e38, 3e38),
        lambda x: x.uniform_(-3e38, 3e38),
    ),
    (
        "to is out of bounds for float",
        lambda: uniform(G, 3, FLOAT, 0, 1e39),
        lambda x: x.uniform_(0, 1e39),
    ),
    ("normal expects std >= 0.0", lambda: normal(G, 3, FLOAT, 0, -1), lambda x: x.normal_(0, -1)),
    ("exponential_ expects", lambda: exponential(G, 3, FLOAT, 0), lambda x: x.exponential_(0)),
    ("cauchy_ expects sigma > 0.0", lambda: cauchy(G, 3, FLOAT, 0, 0), lambda x: x.cauchy_(0, 0)),
    (
        "log_normal_ expects std",
        lambda: log_normal(G, 3, FLOAT, 0, 0),
        lambda x: x.log_normal_(0, 0),
    ),
    ("geometric_ expects p", lambda: geometric(G, 3, FLOAT, 1), lambda x: x.geometric_(1)),
    ("bernoulli_ expects p", lambda: bernoulli(G, 3, FLOAT, 1.5), lambda x: x.bernoulli_(1.5)),
    ("random_ expects 'from'", lambda: integers(G, 3, FLOAT, 5, 5), lambda x: x.random_(5, 5)),
    ('"normal_kernel_cpu" not', lambda: normal(G, 3, INT), lambda x: x.int().normal_()),
    ('"check_uniform_bounds" not', lambda: uniform(G, 3, INT), lambda x: x.int().uniform_()),
    (
        "Exponential distribution is",
        lambda: exponential(G, 3, INT),
        lambda x: x.int().exponential_(),
    ),
    ("Cauchy distribution is", lambda: cauchy(G, 3, INT), lambda x: x.int().cauchy_()),
    ('"log_normal_cpu" not', lambda: log_normal(G, 3, INT), lambda x: x.int().log_normal_()),
    (
        "random_ expects 'from' casted to dtype to be less than or equal",
        lambda: integers(G, 3, HALF, 4000),
        lambda x: x.half().random_(4000, None),
    ),
]


@pytest.mark.parametrize(("words", "ours", "theirs"), REFUSALS)
def test_refusals_say_what_pytorch_says(words, ours, theirs):
    with pytest.raises((RuntimeError, NotImplementedError), match=words) as expected:
        theirs(torch.empty(3))
    state = G.state_bytes()
    with pytest.raises(type(expected.value), match=words) as raised:
        ours()
    assert str(raised.value) == str(expected.value).split("\n")[0]
    assert G.state_bytes() == state


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("Expected p_in >= 0 && p_in <= 1", lambda: bernoulli_of(G, 2 * ONES, FLOAT)),
        ("normal expects all elements of std", lambda: normal_of(G, ONES, -ONES, FLOAT)),
        ("invalid Poisson rate", lambda: poisson(G, -ONES, FLOAT)),
        ("negative dimension -1", lambda: randperm(G, -1)),
        ("n cannot be greater than 2049", lambda: randperm(G, 2050, HALF)),
        ("value cannot be converted to type uint8_t", lambda: randperm(G, 257, dtypes.uint8)),
        ("cannot sample n_sample <= 0", lambda: multinomial(G, ONES, 0, True, FLOAT)),
        ("cannot sample n_sample >", lambda: multinomial(G, ONES, 4, False, FLOAT)),
        ("prob_dist must be 1 or 2 dim", lambda: multinomial(G, ONES[None, None], 1, True, FLOAT)),
        ("only supports floating-point", lambda: multinomial(G, ONES, 1, True, INT)),
        ("contains either `inf`", lambda: multinomial(G, -ONES, 1, True, FLOAT)),
        ("probability entry < 0", lambda: multinomial(G, -ONES, 2, True, FLOAT)),
        ("infinity or NaN", lambda: multinomial(G, ONES / 0, 2, True, FLOAT)),
        ("sum of probabilities <= 0", lambda: multinomial(G, 0 * ONES, 2, True, FLOAT)),
        ("sum of probabilities <= 0", lambda: multinomial(G, 0 * ONES, 1, False, FLOAT)),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_refusals_of_parameters(words, call):
    with pytest.raises(RuntimeError, match=words):
        call()


@pytest.mark.parametrize("kind", [dtypes.bool_, dtypes.complex64, dtypes.uint16], ids=str)
def test_refusals_of_dtypes(kind):
    with pytest.raises(NotImplementedError, match='"randperm" not implemented'):
        randperm(G, 3, kind)
    with pytest.raises(NotImplementedError, match='"random_full_64_bits_range_kernel_cpu" not'):
        integers(G, 3, kind, -(2**63))


def test_floats_that_skip_integers_warn():
    with pytest.warns(UserWarning, match=r"to - 1 is out of bounds \[-\(2\^11\), 2\^11\]"):
        integers(G, 3, HALF, 0, 60000)
