"""`Cauchy`, under PyTorch's module name."""

from pellucid.distributions.laplace import Cauchy as Cauchy
