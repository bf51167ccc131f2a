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
from pellucid.distributions.categorical import Categorical as Categorical
from pellucid.distributions.categorical import OneHotCategorical as OneHotCategorical
from pellucid.distributions.distribution import Distribution as Distribution
from pellucid.distributions.exponential import Exponential as Exponential
from pellucid.distributions.gamma import Beta as Beta
from pellucid.distributions.gamma import Dirichlet as Dirichlet
from pellucid.distributions.gamma import Gamma as Gamma
from pellucid.distributions.independent import Independent as Independent
from pellucid.distributions.kl import kl_divergence as kl_divergence
from pellucid.distributions.kl import register_kl as register_kl
from pellucid.distributions.laplace import Cauchy as Cauchy
from pellucid.distributions.laplace import Laplace as Laplace
from pellucid.distributions.multivariate_normal import MultivariateNormal as MultivariateNormal
from pellucid.distributions.normal import LogNormal as LogNormal
from pellucid.distributions.normal import Normal as Normal
from pellucid.distributions.poisson import Poisson as Poisson
from pellucid.distributions.uniform import Uniform as Uniform

__all__ = [
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
