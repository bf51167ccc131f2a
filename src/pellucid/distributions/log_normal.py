"""`LogNormal`, under PyTorch's module name."""

from pellucid.distributions.normal import LogNormal as LogNormal
