"""NumPy arrays as tensors over the same memory: `from_numpy`, which is described with the operators."""

from __future__ import annotations

from pellucid.ops.from_data import from_numpy as from_numpy
