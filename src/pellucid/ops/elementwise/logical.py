"""Logic of truth values, and of bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.elementwise.pointwise import elementwise, pointwise, truth
from pellucid.ops.elementwise.refusals import BOOL, COMPLEX, FLOATING, WIDE, kernel
from pellucid.ops.elementwise.rounding import only_bool
from pellucid.ops.spec import NoGradient

_TRUTH = NoGradient("answers in bool")
_BITS = NoGradient("bits have no derivative")
_INEXACT = (FLOATING, COMPLEX)

logical_and = pointwise(
    "logical_and",
    np.logical_and,
    "input other",
    rule=truth,
    tensors="input other",
    gradient=_TRUTH,
    refuse=kernel("logical_and_cpu", WIDE),
)
logical_or = pointwise(
    "logical_or",
    np.logical_or,
    "input other",
    rule=truth,
    tensors="input other",
    gradient=_TRUTH,
    refuse=kernel("logical_or_cpu", WIDE),
)
logical_xor = pointwise(
    "logical_xor",
    np.logical_xor,
    "input other",
    rule=truth,
    tensors="input other",
    gradient=_TRUTH,
    refuse=kernel("logical_xor_cpu", WIDE),
)
logical_not = pointwise(
    "logical_not",
    np.logical_not,
    rule=truth,
    gradient=_TRUTH,
    refuse=kernel("logical_not_cpu", WIDE),
)

bitwise_and = pointwise(
    "bitwise_and",
    np.bitwise_and,
    "input other",
    tensors="any",
    gradient=_BITS,
    refuse=kernel("bitwise_and_cpu", *_INEXACT),
)
bitwise_or = pointwise(
    "bitwise_or",
    np.bitwise_or,
    "input other",
    tensors="any",
    gradient=_BITS,
    refuse=kernel("bitwise_or_cpu", *_INEXACT),
)
bitwise_xor = pointwise(
    "bitwise_xor",
    np.bitwise_xor,
    "input other",
    tensors="any",
    gradient=_BITS,
    refuse=kernel("bitwise_xor_cpu", *_INEXACT),
)
bitwise_not = pointwise(
    "bitwise_not",
    np.invert,
    exact=only_bool,
    gradient=_BITS,
    refuse=kernel("bitwise_not_cpu", *_INEXACT, WIDE),
)


@elementwise(
    "input other", tensors="any", gradient=_BITS, refuse=kernel("lshift_cpu", BOOL, WIDE, *_INEXACT)
)
def bitwise_left_shift(input: Any, other: Any) -> Any:
    """input · 2**other; 0 where `other` is negative or not less than the number of bits."""
    input, other = np.asarray(input), np.asarray(other)
    bits = input.dtype.itemsize * 8
    inside = (other >= 0) & (other < bits)
    return np.where(inside, np.left_shift(input, np.where(inside, other, 0)), 0).astype(input.dtype)


@elementwise(
    "input other", tensors="any", gradient=_BITS, refuse=kernel("rshift_cpu", BOOL, WIDE, *_INEXACT)
)
def bitwise_right_shift(input: Any, other: Any) -> Any:
    """input / 2**other rounded down.

    Where `other` is negative or too large, what remains is the sign.
    """
    input, other = np.asarray(input), np.asarray(other)
    most = input.dtype.itemsize * 8 - (1 if input.dtype.kind == "i" else 0)
    inside = (other >= 0) & (other < most)
    shifted = np.right_shift(
        input, np.where(inside, other, most - (input.dtype.kind == "u")).astype(input.dtype)
    )
    return np.where(inside | (input.dtype.kind == "i"), shifted, 0).astype(input.dtype)
