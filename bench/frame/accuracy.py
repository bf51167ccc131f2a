"""How far an answer in float32 is from the one in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def arrays(answer: Any) -> Iterator[np.ndarray]:
    """The arrays in a call's outcome: a tensor, an array, or lists and dictionaries of them."""
    if isinstance(answer, dict):
        for each in answer.values():
            yield from arrays(each)
    elif isinstance(answer, (list, tuple)):
        for each in answer:
            yield from arrays(each)
    elif hasattr(answer, "detach"):
        yield answer.detach().double().numpy()
    elif answer is not None:
        yield np.asarray(answer, np.float64)


def error(answer: Any, exact: Any) -> float:
    """The largest distance of an element from the exact one, relative to the largest exact element
    of its array: 1e-6 is a good float32 result of a network, whatever its scale.

    Raises: ValueError for other shapes or another number of arrays.
    """
    worst = 0.0
    for found, right in zip(arrays(answer), arrays(exact), strict=True):
        if found.shape != right.shape:
            raise ValueError(f"the answer has shape {found.shape}, float64's {right.shape}")
        if not found.size:
            continue
        scale = float(np.abs(right).max()) or 1.0
        worst = max(worst, float(np.abs(found - right).max()) / scale)
    return worst
