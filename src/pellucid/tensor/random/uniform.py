"""From words to uniform floats, and the two kinds of rounding every distribution needs.

Float32 takes the low 24 bits of one word, float64 the low 53 bits of two: multiples of 2**-24 and
2**-53 in [0, 1). The reduced dtypes take float32 uniforms and round them.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.tensor.dtype import dtype, float32
from pellucid.tensor.random.generator import Generator


def unit_float32(generator: Generator, count: int) -> np.ndarray:
    """`count` uniforms in [0, 1), float32 `(count,)`; one word each."""
    uniforms = (generator.words(count) & np.uint32(0xFFFFFF)).astype(np.float32)
    uniforms *= np.float32(2**-24)
    return uniforms


def unit_float64(generator: Generator, count: int) -> np.ndarray:
    """`count` uniforms in [0, 1), float64 `(count,)`; two words each."""
    uniforms = integers_53_bits(generator, count).astype(np.float64)
    uniforms *= 2.0**-53
    return uniforms


def integers_53_bits(generator: Generator, count: int) -> np.ndarray:
    """`count` integers below 2**53, int64 `(count,)`; two words each, the high one first."""
    pairs = generator.words(2 * count).view("<i8")  # as memory has it, the first is the low half
    integers = (pairs & 0x1FFFFF) << 32
    integers |= (pairs >> 32) & 0xFFFFFFFF
    return integers


def one_unit(generator: Generator) -> float:
    """One uniform in [0, 1) with 53 bits; two words."""
    return (generator.random64() & (2**53 - 1)) * 2.0**-53


def round_to(x: np.ndarray, kind: dtype) -> np.ndarray:
    """`x` in dtype `kind`; float64 reaches the 16-bit dtypes through float32, as in C++."""
    if x.dtype == kind.numpy:
        return x
    if kind.is_floating_point and kind.itemsize == 2 and x.dtype == np.float64:
        x = round_to(x, float32)
    with np.errstate(over="ignore"):  # beyond the largest value lies infinity, silently
        return x.astype(kind.numpy)


def c_library(name: str, x: np.ndarray) -> np.ndarray:
    """The C library's function `name` ("log", "cos", …) of each element of float64 `x`; shape of
    `x`.

    NumPy's vector loops may differ from it in the last bit (log1p: one value in fourteen), and
    PyTorch calls the C library. The price is some 60 ns an element, so only float64 results and
    small sizes come here.
    """
    function = getattr(math, name)
    try:
        values = np.fromiter(map(function, x.ravel().tolist()), dtype=np.float64, count=x.size)
    except (ValueError, OverflowError):  # where Python raises, C gives an infinity
        with np.errstate(all="ignore"):
            values = getattr(np, name)(x.ravel())
    return values.reshape(x.shape)
