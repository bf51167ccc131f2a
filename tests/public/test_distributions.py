"""Distributions beside PyTorch's: samples of the same seed, densities, moments, divergences,
refusals.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributions

import pellucid
import pellucid.distributions
from tests.expressions import first_sentence

CASES = {
    "Normal": (lambda d, t: d.Normal(t([0.0, 1]), t([1.0, 2])), [0.3, 0.7]),
    "Normal of numbers": (lambda d, t: d.Normal(0.0, 2), 0.3),
    "LogNormal": (lambda d, t: d.LogNormal(t([0.0, 1]), t([1.0, 2])), [0.3, 0.7]),
    "Uniform": (lambda d, t: d.Uniform(t([0.0, 1]), t([2.0, 2.5])), [0.3, 1.7]),
    "Laplace": (lambda d, t: d.Laplace(t([0.0, 1]), t([2.0, 2.5])), [0.3, 1.7]),
    "Cauchy": (lambda d, t: d.Cauchy(t([0.0, 1]), t([2.0, 2.5])), [0.3, 1.7]),
    "Exponential": (lambda d, t: d.Exponential(t([1.0, 2.5])), [0.3, 1.7]),
    "Gamma": (lambda d, t: d.Gamma(t([0.5, 2.5]), t([1.0, 2])), [0.3, 1.7]),
    "Beta": (lambda d, t: d.Beta(t([0.5, 2.5]), t([1.0, 2])), [0.3, 0.7]),
    "Dirichlet": (lambda d, t: d.Dirichlet(t([[0.5, 2.5, 1]])), [[0.3, 0.5, 0.2]]),
    "Bernoulli": (lambda d, t: d.Bernoulli(t([0.3, 0.6])), [1.0, 0]),
    "Bernoulli of logits": (lambda d, t: d.Bernoulli(logits=t([0.3, -0.6])), [1.0, 0]),
    "Geometric": (lambda d, t: d.Geometric(t([0.3, 0.6])), [1.0, 3]),
    "Categorical": (lambda d, t: d.Categorical(t([[0.2, 0.3, 0.5], [1.0, 1, 2]])), [1, 2]),
    "Categorical of logits": (lambda d, t: d.Categorical(logits=t([[0.2, 0.3, 1.5]])), [1]),
    "OneHotCategorical": (lambda d, t: d.OneHotCategorical(t([[0.2, 0.3, 0.5]])), [[0.0, 1, 0]]),
    "Poisson": (lambda d, t: d.Poisson(t([0.5, 3])), [1.0, 4]),
    "MultivariateNormal": (
        lambda d, t: d.MultivariateNormal(t([0.0, 1]), t([[2.0, 0.5], [0.5, 1]])),
        [0.3, 0.7],
    ),
    "MultivariateNormal of a precision": (
        lambda d, t: d.MultivariateNormal(t([0.0, 1]), precision_matrix=t([[2.0, 0.5], [0.5, 1]])),
        [0.3, 0.7],
    ),
    "Binomial": (lambda d, t: d.Binomial(5, t([0.3, 0.6])), [2.0, 5]),
    "Binomial of logits": (lambda d, t: d.Binomial(4, logits=t([0.3, -0.6])), [2.0, 0]),
    "NegativeBinomial": (lambda d, t: d.NegativeBinomial(3, t([0.3, 0.6])), [2.0, 5]),
    "Multinomial": (lambda d, t: d.Multinomial(4, t([[0.2, 0.3, 0.5]])), [[1.0, 1, 2]]),
    "Chi2": (lambda d, t: d.Chi2(t([1.5, 3])), [0.3, 1.7]),
    "StudentT": (lambda d, t: d.StudentT(t([0.5, 1.5, 3]), 0.5, 2.0), [0.3, 1.7, 2]),
    "HalfNormal": (lambda d, t: d.HalfNormal(t([1.0, 2.5])), [0.3, 1.7]),
    "HalfCauchy": (lambda d, t: d.HalfCauchy(t([1.0, 2.5])), [0.3, 1.7]),
    "Gumbel": (lambda d, t: d.Gumbel(t([0.0, 1]), t([2.0, 2.5])), [0.3, 1.7]),
    "Weibull": (lambda d, t: d.Weibull(t([1.0, 2]), t([2.0, 2.5])), [0.3, 1.7]),
    "Pareto": (lambda d, t: d.Pareto(t([0.2, 1]), t([3.0, 2.5])), [0.3, 1.7]),
    "InverseGamma": (lambda d, t: d.InverseGamma(t([1.5, 3]), t([1.0, 2])), [0.3, 1.7]),
    "FisherSnedecor": (lambda d, t: d.FisherSnedecor(t([1.5, 5]), t([3.0, 6])), [0.3, 1.7]),
    "LowRankMultivariateNormal": (
        lambda d, t: d.LowRankMultivariateNormal(
            t([[0.0, 1, 2]]), t([[2.0, 0.5], [0.5, 1], [1.0, -1]]), t([1.0, 2, 0.5])
        ),
        [[0.3, 0.7, 1.5]],
    ),
    "MixtureSameFamily": (
        lambda d, t: d.MixtureSameFamily(
            d.Categorical(t([0.3, 0.7])), d.Normal(t([0.0, 1]), t([1.0, 2]))
        ),
        0.3,
    ),
    "TransformedDistribution": (
        lambda d, t: d.TransformedDistribution(
            d.Normal(t([0.0, 1]), t([1.0, 2])),
            [d.AffineTransform(0.5, -2.0), d.TanhTransform()],
        ),
        [0.3, -0.7],
    ),
    "SigmoidTransform": (
        lambda d, t: d.TransformedDistribution(
            d.Normal(t([[0.0, 1]]), t([[1.0, 2]])),
            [d.IndependentTransform(d.SigmoidTransform(), 1)],
        ),
        [[0.3, 0.7]],
    ),
    "Independent": (
        lambda d, t: d.Independent(d.Normal(t([[0.0, 1]]), t([[1.0, 2]])), 1),
        [[0.3, 0.7]],
    ),
}
QUESTIONS = {
    "repr": lambda d, value, t: repr(d),
    "support": lambda d, value, t: str(d.support),
    "shapes": lambda d, value, t: [tuple(d.batch_shape), tuple(d.event_shape)],
    "log_prob": lambda d, value, t: d.log_prob(value),
    "cdf": lambda d, value, t: d.cdf(value),
    "icdf": lambda d, value, t: d.icdf(t([0.2, 0.7])),
    "entropy": lambda d, value, t: d.entropy(),
    "perplexity": lambda d, value, t: d.perplexity(),
    "mean": lambda d, value, t: d.mean,
    "mode": lambda d, value, t: d.mode,
    "variance": lambda d, value, t: d.variance,
    "stddev": lambda d, value, t: d.stddev,
    "sample": lambda d, value, t: d.sample(),
    "samples": lambda d, value, t: d.sample((3, 4)),
    "rsample": lambda d, value, t: d.rsample((2,)),
    "expand": lambda d, value, t: d.expand((3, *d.batch_shape)).sample((2,)),
    "enumerate_support": lambda d, value, t: d.enumerate_support(),
}


def answer(library, question, *args):
    """The answer as plain data: an array, a text, or the type of an error and its first
    sentence.
    """
    library.manual_seed(3)
    try:
        found = question(*args)
    except Exception as error:
        return type(error).__name__, first_sentence(str(error))
    return found.detach().numpy() if isinstance(found, library.Tensor) else found


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", CASES)
def test_answers(name, question):
    make, value = CASES[name]
    answers = []
    for library in (torch, pellucid):
        made = make(library.distributions, library.tensor)
        value_here = library.tensor(value)
        answers.append(answer(library, QUESTIONS[question], made, value_here, library.tensor))
    want, have = answers
    if isinstance(want, np.ndarray):
        assert have.dtype == want.dtype
        np.testing.assert_allclose(have, want, rtol=2e-5, atol=1e-6)
    elif want[0] == "NotImplementedError":
        assert have[0] == want[0]
    else:
        assert have == want


@pytest.mark.parametrize("name", CASES)
def test_divergence_from_another_of_its_kind(name):
    make, _ = CASES[name]
    found = []
    for library in (torch, pellucid):
        p = make(library.distributions, library.tensor)
        q = make(library.distributions, lambda values, t=library.tensor: t(values) * 0.9 + 0.05)
        found.append(answer(library, library.distributions.kl_divergence, p, q))
    if isinstance(found[0], tuple):
        assert found[0][0] == found[1][0] == "NotImplementedError"
    else:
        np.testing.assert_allclose(found[1], found[0], rtol=2e-5, atol=1e-6)


REFUSED = [
    lambda d, t: d.Normal(t([0.0]), t([-1.0])),
    lambda d, t: d.Normal("a", 1.0),
    lambda d, t: d.Uniform(2.0, 1.0),
    lambda d, t: d.Gamma(t([0.0]), 1.0),
    lambda d, t: d.Bernoulli(t([2.0])),
    lambda d, t: d.Bernoulli(),
    lambda d, t: d.Categorical(t(1.0)),
    lambda d, t: d.Categorical(),
    lambda d, t: d.Normal(0.0, 1.0).log_prob(t([float("nan")])),
    lambda d, t: d.Normal(0.0, 1.0).log_prob(3),
    lambda d, t: d.Normal(t([0.0, 1]), 1.0).log_prob(t([1.0, 2, 3])),
    lambda d, t: d.Categorical(t([0.5, 0.5])).log_prob(t([2])),
    lambda d, t: d.Dirichlet(t([1.0, 2])).log_prob(t([0.5, 0.6])),
    lambda d, t: d.MultivariateNormal(t([0.0, 1]), t([[1.0, 2], [2.0, 1]])),
    lambda d, t: d.MultivariateNormal(t([0.0, 1])),
    lambda d, t: d.Independent(d.Normal(0.0, 1.0), 1),
    lambda d, t: d.Binomial(3),
    lambda d, t: d.Binomial(3, t([0.5])).log_prob(t([4.0])),
    lambda d, t: d.Binomial(t([2.0, 3]), t([0.5])).entropy(),
    lambda d, t: d.Multinomial(2.5, t([0.5, 0.5])),
    lambda d, t: d.StudentT(t([-1.0])),
    lambda d, t: d.HalfNormal(t([-1.0])),
    lambda d, t: d.HalfNormal(1.0).log_prob(t([-1.0])),
    lambda d, t: d.TransformedDistribution(d.Normal(0.0, 1.0), 3),
    lambda d, t: d.MixtureSameFamily(d.Categorical(t([0.5, 0.5])), d.Normal(t([0.0]), 1.0)),
    lambda d, t: d.MixtureSameFamily(d.Normal(0.0, 1.0), d.Normal(t([0.0]), 1.0)),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refusals(number):
    def program(library):
        return answer(library, REFUSED[number], library.distributions, library.tensor)

    want = program(torch)
    assert isinstance(want, tuple)
    assert program(pellucid) == want


def test_a_pair_without_a_rule():
    d = pellucid.distributions
    with pytest.raises(NotImplementedError, match="p type Normal and q type Bernoulli"):
        d.kl_divergence(d.Normal(0.0, 1.0), d.Bernoulli(0.5))


def test_a_rule_of_ones_own_is_found_for_subclasses():
    d = pellucid.distributions

    class Mine(d.Normal):
        pass

    class Other(d.Poisson):
        pass

    d.register_kl(Mine, d.Poisson)(lambda p, q: "found")
    assert d.kl_divergence(Mine(0.0, 1.0), Other(1.0)) == "found"


@pytest.mark.parametrize("name", ["Normal", "Laplace", "Exponential", "Gamma", "Uniform"])
def test_gradients_through_samples(name):
    grads = []
    for library in (torch, pellucid):
        leaves = []

        def leaf(values, library=library, leaves=leaves):
            leaves.append(library.tensor(values, dtype=library.float64, requires_grad=True))
            return leaves[-1]

        made = CASES[name][0](library.distributions, leaf)
        library.manual_seed(0)
        made.rsample((5,)).sum().backward()
        grads.append([each.grad.tolist() for each in leaves])
    np.testing.assert_allclose(grads[1], grads[0], rtol=1e-9)


def test_validation_can_be_switched_off():
    assert pellucid.distributions.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
