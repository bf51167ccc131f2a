"""`torch.backends.openmp`: OpenMP, which is not used."""

from __future__ import annotations


def is_available() -> bool:
    """Whether OpenMP computes: no, NumPy and its BLAS do."""
    return False
