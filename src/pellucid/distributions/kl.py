"""`kl_divergence(p, q)`: how much is lost when q stands for p, for pairs with a closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid.distributions.bernoulli import Bernoulli, Geometric
from pellucid.distributions.binomial import Binomial
from pellucid.distributions.categorical import Categorical, OneHotCategorical
from pellucid.distributions.distribution import Distribution
from pellucid.distributions.exponential import Exponential
from pellucid.distributions.gamma import Beta, Dirichlet, Gamma
from pellucid.distributions.independent import Independent
from pellucid.distributions.laplace import Cauchy, Laplace
from pellucid.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from pellucid.distributions.multivariate_normal import MultivariateNormal
from pellucid.distributions.normal import LogNormal, Normal
from pellucid.distributions.poisson import Poisson
from pellucid.distributions.transformed_distribution import (
    EULER,
    Gumbel,
    HalfNormal,
    Pareto,
    TransformedDistribution,
)
from pellucid.distributions.uniform import Uniform
from pellucid.distributions.utils import sum_rightmost
from pellucid.ops.api import F
from pellucid.tensor.tensor import Tensor

Rule = Callable[[Any, Any], Tensor]
RULES: dict[tuple[type, type], Rule] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Rule], Rule]:
    """Decorate the function that computes the divergence of two classes of distributions."""
    for kind in (type_p, type_q):
        if not (isinstance(kind, type) and issubclass(kind, Distribution)):
            raise TypeError(f"Expected type to be a Distribution subclass but got {kind}")

    def decorate(rule: Rule) -> Rule:
        RULES[type_p, type_q] = rule
        return rule

    return decorate


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """`E_p[log p - log q]`, of the batch's shape.

    The rule of the most specific pair of classes counts. NotImplementedError if there is none.
    """
    for kind_p in type(p).__mro__:
        for kind_q in type(q).__mro__:
            rule = RULES.get((kind_p, kind_q))
            if rule is not None:
                return rule(p, q)
    raise NotImplementedError(
        f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
    )


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    softplus = F.nn.softplus
    ones = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    ones[q.probs == 0] = math.inf
    ones[p.probs == 0] = 0
    zeros = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    zeros[q.probs == 1] = math.inf
    zeros[p.probs == 1] = 0
    return ones + zeros


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms[(q.probs == 0).expand_as(terms)] = math.inf
    terms[(p.probs == 0).expand_as(terms)] = 0
    return terms.sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    distance = ((p.loc - q.loc) / q.scale).pow(2)
    return 0.5 * (ratio + distance - 1 - ratio.log())


@register_kl(LogNormal, LogNormal)
def _log_normal(p: LogNormal, q: LogNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot be "
            "computed"
        )
    factor_p, factor_q = p._unbroadcasted_scale_tril, q._unbroadcasted_scale_tril
    half_log_det = q._half_log_det() - p._half_log_det()
    solved = F.linalg.solve_triangular(factor_q, factor_p, upper=False)
    trace = solved.pow(2).sum(-1).sum(-1)
    offset = (q.loc - p.loc).unsqueeze(-1)
    distance = F.linalg.solve_triangular(factor_q, offset, upper=False).squeeze(-1).pow(2).sum(-1)
    return half_log_det + 0.5 * (trace + distance - p.event_shape[0])


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    result = ((q.high - q.low) / (p.high - p.low)).log()
    result[(q.low > p.low) | (q.high < p.high)] = math.inf
    return result


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio = p.scale / q.scale
    distance = (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * F.exp(-distance / p.scale) - 1


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Cauchy, q: Cauchy) -> Tensor:
    spread = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return spread.log() - (4 * p.scale * q.scale).log()


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    return (
        q.concentration * (p.rate / q.rate).log()
        + (F.lgamma(q.concentration) - F.lgamma(p.concentration))
        + (p.concentration - q.concentration) * F.digamma(p.concentration)
        + (q.rate - p.rate) * (p.concentration / p.rate)
    )


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    total_p, total_q = p.concentration.sum(-1), q.concentration.sum(-1)
    sums = total_p.lgamma() - total_q.lgamma()
    parts = (p.concentration.lgamma() - q.concentration.lgamma()).sum(-1)
    slopes = p.concentration.digamma() - total_p.digamma().unsqueeze(-1)
    return sums - parts + ((p.concentration - q.concentration) * slopes).sum(-1)


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - F.log1p(-q.probs) / p.probs - q.logits


@register_kl(Uniform, Normal)
def _uniform_normal(p: Uniform, q: Normal) -> Tensor:
    width = p.high - p.low
    spread = (q.scale * math.sqrt(2 * math.pi)).log()
    offset = ((p.high + p.low - 2 * q.loc) / 2).pow(2)
    return spread - width.log() + 0.5 * (width.pow(2) / 12 + offset) / q.scale.pow(2)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            f"KL of Independent distributions with {p.reinterpreted_batch_ndims} and "
            f"{q.reinterpreted_batch_ndims} reinterpreted dimensions"
        )
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Tensor:
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    each = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return (p.total_count * each).masked_fill(p.total_count > q.total_count, math.inf)


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> Tensor:
    ratio, apart = p.scale / q.scale, (q.loc - p.loc) / q.scale
    tail = F.exp(apart + (1 + ratio).lgamma())
    return -ratio.log() - apart + ratio * EULER + tail - (1 + EULER)


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: HalfNormal, q: HalfNormal) -> Tensor:
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Pareto, Pareto)
def _pareto(p: Pareto, q: Pareto) -> Tensor:
    ratio = q.alpha / p.alpha
    found = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return found.masked_fill(p.scale < q.scale, math.inf)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    """An invertible function moves both alike, and leaves their divergence."""
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(
            "the divergence of transformed distributions is known for equal transforms and shapes"
        )
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _low_rank_normal(p: LowRankMultivariateNormal, q: LowRankMultivariateNormal) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Low Rank Multivariate Normals with different event shapes "
            "cannot be computed"
        )
    apart = (q.loc - p.loc).unsqueeze(-1)
    distance = F.matmul(apart.mT, F.matmul(q.precision_matrix, apart)).squeeze(-1).squeeze(-1)
    trace = (q.precision_matrix * p.covariance_matrix).sum((-2, -1))
    volume = q.log_determinant() - p.log_determinant()
    return 0.5 * (volume + trace + distance - p.event_shape[0])
