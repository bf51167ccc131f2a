"""The augmentations of `transforms/policies.py` with the draws of the second edition."""

from __future__ import annotations

from typing import Any

from pellucid import ops
from pellucid.vision.transforms import policies
from pellucid.vision.transforms.chance import below
from pellucid.vision.transforms.v2.colour import autocontrast


class _Signs:
    stretch = staticmethod(autocontrast)

    def _negative(self) -> bool:
        return bool(ops.rand(()).item() <= 0.5)


class AutoAugment(_Signs, policies.AutoAugment):
    """A sub-policy of those that a search found best for a data set (Cubuk et al. 2018)."""

    def augmented(self, img: Any) -> Any:
        for step in self.policies[below(len(self.policies))]:
            if ops.rand(()).item() <= step[1]:
                img = self._stepped(img, step, self._negative)
        return img


class RandAugment(_Signs, policies.RandAugment):
    """`num_ops` operations at random, all of one `magnitude` (Cubuk et al. 2019)."""


class TrivialAugmentWide(_Signs, policies.TrivialAugmentWide):
    """One operation at random, of random magnitude, from wide ranges (Müller and Hutter 2021)."""


class AugMix(_Signs, policies.AugMix):
    """The image mixed with chains of operations on it (Hendrycks et al. 2019, algorithm 1)."""
