"""Kernels by name, for plans that come from a file."""

from __future__ import annotations

from pellucid.kernels import (
    attention,
    attention_low,
    convolution,
    convolution_low,
    gemm,
    gemm_low,
    low,
    pointwise,
    pooling,
    quantise,
    rows,
    updates,
    vectors,
    winograd,
    winograd_low,
)
from pellucid.kernels.kernel import Kernel, kernels

MODULES = (attention, attention_low, convolution, convolution_low, gemm, gemm_low, low, pointwise,
           pooling, quantise, rows, updates, vectors, winograd, winograd_low)  # fmt: skip
"""Importing a module enters its kernels."""


def named(name: str) -> Kernel:
    """The kernel of this name. Raises ValueError if there is none."""
    found = kernels.get(name)
    if found is None:
        raise ValueError(f"this version has no kernel {name!r}: save the function again")
    return found
