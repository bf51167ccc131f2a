"""`torch.distributions`: probability distributions with samples, densities, and divergences.

>>> import pellucid as torch
>>> from pellucid.distributions import Normal, kl_divergence
>>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
tensor(0.5000)
"""

from __future__ import annotations

from pellucid.distributions import constraints as constraints
from pellucid.distributions.bernoulli import Bernoulli as Bernoulli
from pellucid.distributions.bernoulli import Geometric as Geometric
from pellucid.distributions.binomial import Binomial as Binomial
from pellucid.distributions.binomial import Multinomial as Multinomial
from pellucid.distributions.binomial import NegativeBinomial as NegativeBinomial
from pellucid.distributions.categorical import Categorical as Categorical
from pellucid.distributions.categorical import OneHotCategorical as OneHotCategorical
from pellucid.distributions.distribution import Distribution as Distribution
from pellucid.distributions.exponential import Exponential as Exponential
from pellucid.distributions.fishersnedecor import FisherSnedecor as FisherSnedecor
from pellucid.distributions.gamma import Beta as Beta
from pellucid.distributions.gamma import Dirichlet as Dirichlet
from pellucid.distributions.gamma import Gamma as Gamma
from pellucid.distributions.independent import Independent as Independent
from pellucid.distributions.kl import kl_divergence as kl_divergence
from pellucid.distributions.kl import register_kl as register_kl
from pellucid.distributions.laplace import Cauchy as Cauchy
from pellucid.distributions.laplace import Laplace as Laplace
from pellucid.distributions.lowrank_multivariate_normal import (
    LowRankMultivariateNormal as LowRankMultivariateNormal,
)
from pellucid.distributions.mixture_same_family import MixtureSameFamily as MixtureSameFamily
from pellucid.distributions.multivariate_normal import MultivariateNormal as MultivariateNormal
from pellucid.distributions.normal import LogNormal as LogNormal
from pellucid.distributions.normal import Normal as Normal
from pellucid.distributions.poisson import Poisson as Poisson
from pellucid.distributions.studentT import Chi2 as Chi2
from pellucid.distributions.studentT import StudentT as StudentT
from pellucid.distributions.transformed_distribution import Gumbel as Gumbel
from pellucid.distributions.transformed_distribution import HalfCauchy as HalfCauchy
from pellucid.distributions.transformed_distribution import HalfNormal as HalfNormal
from pellucid.distributions.transformed_distribution import InverseGamma as InverseGamma
from pellucid.distributions.transformed_distribution import Pareto as Pareto
from pellucid.distributions.transformed_distribution import (
    TransformedDistribution as TransformedDistribution,
)
from pellucid.distributions.transformed_distribution import Weibull as Weibull
from pellucid.distributions.transforms import AbsTransform as AbsTransform
from pellucid.distributions.transforms import AffineTransform as AffineTransform
from pellucid.distributions.transforms import ComposeTransform as ComposeTransform
from pellucid.distributions.transforms import ExpTransform as ExpTransform
from pellucid.distributions.transforms import IndependentTransform as IndependentTransform
from pellucid.distributions.transforms import PowerTransform as PowerTransform
from pellucid.distributions.transforms import SigmoidTransform as SigmoidTransform
from pellucid.distributions.transforms import SoftmaxTransform as SoftmaxTransform
from pellucid.distributions.transforms import SoftplusTransform as SoftplusTransform
from pellucid.distributions.transforms import TanhTransform as TanhTransform
from pellucid.distributions.transforms import Transform as Transform
from pellucid.distributions.transforms import identity_transform as identity_transform
from pellucid.distributions.uniform import Uniform as Uniform

__all__ = [
    "FisherSnedecor",
    "LowRankMultivariateNormal",
    "Binomial",
    "Multinomial",
    "NegativeBinomial",
    "Chi2",
    "StudentT",
    "MixtureSameFamily",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "InverseGamma",
    "Pareto",
    "TransformedDistribution",
    "Weibull",
    "AbsTransform",
    "AffineTransform",
    "ComposeTransform",
    "ExpTransform",
    "IndependentTransform",
    "PowerTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "TanhTransform",
    "Transform",
    "identity_transform",
    "Bernoulli",
    "Beta",
    "Categorical",
    "Cauchy",
    "Dirichlet",
    "Distribution",
    "Exponential",
    "Gamma",
    "Geometric",
    "Independent",
    "Laplace",
    "LogNormal",
    "MultivariateNormal",
    "Normal",
    "OneHotCategorical",
    "Poisson",
    "Uniform",
    "constraints",
    "kl_divergence",
    "register_kl",
]
