"""NumPy arrays as tensors over the same memory: `from_numpy`, described with the operators."""

from __future__ import annotations

from pellucid.ops.creation.data import from_numpy as from_numpy
