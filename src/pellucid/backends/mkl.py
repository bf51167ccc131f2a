"""`torch.backends.mkl`: Intel's Math Kernel Library, which is not used."""

from __future__ import annotations


def is_available() -> bool:
    """Whether Intel's Math Kernel Library computes: no, NumPy and its BLAS do."""
    return False
