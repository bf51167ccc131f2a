"""`OneHotCategorical`, under PyTorch's module name."""

from pellucid.distributions.categorical import OneHotCategorical as OneHotCategorical
