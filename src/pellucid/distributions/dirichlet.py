"""`Dirichlet`, under PyTorch's module name."""

from pellucid.distributions.gamma import Dirichlet as Dirichlet
