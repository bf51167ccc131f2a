"""`Beta`, under PyTorch's module name."""

from pellucid.distributions.gamma import Beta as Beta
