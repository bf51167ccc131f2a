"""`Geometric`, under PyTorch's module name."""

from pellucid.distributions.bernoulli import Geometric as Geometric
