"""How far a plan's results are from those of the operators in their own precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.tensor.tensor import Tensor


@dataclass(frozen=True)
class Accuracy:
    """Errors relative to the exact result: `largest`, the largest error of an element over the
    largest element; `rms`, the root of the mean square of errors over that of elements. Of several
    results the worst.
    """

    largest: float
    rms: float

    def __str__(self) -> str:
        return f"largest error {self.largest:.1e} of the largest element, rms {self.rms:.1e}"


def accuracy(found: Sequence[Tensor], exact: Sequence[Tensor]) -> Accuracy:
    """Compare results, those of floating types."""
    largest = rms = 0.0
    for one, other in zip(found, exact, strict=True):
        if not other.dtype.is_floating_point or not other._layout.numel:
            continue
        right = other.detach()._array.astype(np.float64)
        away = one.detach()._array.astype(np.float64) - right
        largest = max(largest, _over(np.abs(away).max(), np.abs(right).max()))
        rms = max(rms, _over(np.sqrt(np.square(away).mean()), np.sqrt(np.square(right).mean())))
    return Accuracy(largest, rms)


def _over(error: float, scale: float) -> float:
    return float(error / scale) if scale else float(error)
