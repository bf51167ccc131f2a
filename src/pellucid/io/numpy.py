"""NumPy arrays as tensors over the same memory."""

from __future__ import annotations

import warnings

import numpy as np

from pellucid.tensor import tensor as core
from pellucid.tensor.tensor import Tensor


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor over the memory of `ndarray`: writing to one changes the other.

    Args:
        ndarray: any shape, strides a multiple of the item size and not negative.

    Raises:
        TypeError: not an array, or of a dtype without a counterpart (objects, text).
        ValueError: negative strides, or the other byte order.
    """
    if isinstance(ndarray, np.ndarray) and not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable "
            "tensors. This means writing to this tensor will result in undefined behavior. You "
            "may want to copy the array to protect its data or make it writable before converting "
            "it to a tensor.",
            UserWarning,
            stacklevel=2,
        )
    return core.from_numpy(ndarray)
