"""Random integers and permutations, as PyTorch's CPU kernels draw them.

A word `w` becomes `low + w % range`: ranges below 2**28 take one 32-bit word, others two (the
remainder of a 32-bit word would favour small values by up to 5 % there). Sources:
uniform_int_from_to_distribution in ATen/core/DistributionsHelper.h, random_from_to_impl in
ATen/native/DistributionTemplates.h, randperm_cpu in ATen/native/TensorFactories.cpp.
"""

from __future__ import annotations

import warnings

import numpy as np

from pellucid.tensor.dtype import (
    bfloat16,
    bool_,
    dtype,
    float16,
    float32,
    float64,
    int64,
    uint64,
)
from pellucid.tensor.random.checks import cpp_name, largest, refuse_dtype, refuse_wide_unsigned
from pellucid.tensor.random.generator import Generator

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_DIGITS = {float16: 11, bfloat16: 8, float32: 24, float64: 53}
"""Bits of the significand: all integers up to 2**digits are values of the dtype."""

_WIDE_RANGE = 2**28
"""From this range on, two words are drawn for an integer."""

_WIDE_PERMUTATION = (2**32 - 1) // 20
"""From this length on, two words are drawn for a place of a permutation."""

_PERMUTATION_LIMITS = {float16: "2049", float32: "2^24+1", float64: "2^53+1"}


def integers(
    generator: Generator,
    count: int,
    kind: dtype,
    low: int | None = None,
    high: int | None = None,
) -> np.ndarray:
    """`count` integers as values of `kind`, `(count,)` in drawing order.

    * neither bound, `x.random_()`: 0 to the largest value; floating: 0 to 2**digits, the last
      integer of a gapless run;
    * `low`, `x.random_(low, None)`: the same, from `low`; -2**63 means all 64-bit patterns;
    * both, `x.random_(low, high)` and `randint`: low to high - 1.

    RuntimeError for an empty range or one beyond `kind`; UserWarning where a floating `kind` skips
    integers.
    """
    if low is None:
        return _below_largest(generator, count, kind)
    if high is None and low == INT64_MIN:
        return _all_patterns(generator, count, kind)
    if high is not None:
        low, last = _closed_range(low, high, kind)
    else:
        low, last = _open_range(low, kind)
    _check_bounds(low, last, kind)
    span = last - low + 1
    words: np.ndarray
    if span >= _WIDE_RANGE:
        words = generator.words64(count) % np.uint64(span)
    else:
        words = (generator.words(count) % np.uint32(span)).astype(np.uint64)
    return _from_int64((words + np.uint64(low % 2**64)).view(np.int64), kind)


def _below_largest(generator: Generator, count: int, kind: dtype) -> np.ndarray:
    if not count:
        return np.empty(0, dtype=kind.numpy)
    refuse_wide_unsigned("random_kernel_cpu", kind)
    if kind is bool_:
        return (generator.words(count) & 1).astype(np.bool_)
    if kind is int64:
        return (generator.words64(count) & np.uint64(INT64_MAX)).view(np.int64)
    if kind is float64:
        return (generator.words64(count) % np.uint64(2**53 + 1)).astype(np.float64)
    span = 2 ** _DIGITS[kind] + 1 if kind in _DIGITS else int(np.iinfo(kind.numpy).max) + 1
    return _from_int64((generator.words(count) % np.uint32(span)).astype(np.int64), kind)


def _all_patterns(generator: Generator, count: int, kind: dtype) -> np.ndarray:
    kernel = "random_full_64_bits_range_kernel_cpu"
    if count and kind not in (int64, float64, float32, bfloat16):
        refuse_wide_unsigned(kernel, kind)
        if kind in (bool_, float16):
            refuse_dtype(kernel, kind)
        raise RuntimeError(f"{kernel} handles only int64, double, float and bfloat16")
    return _from_int64(generator.words64(count).view(np.int64), kind)


def _from_int64(values: np.ndarray, kind: dtype) -> np.ndarray:
    """C++'s conversion: the 16-bit floats are reached through float32."""
    if kind is float16 or kind is bfloat16:
        values = values.astype(np.float32)
    return values.astype(kind.numpy)


# -- ranges


def _closed_range(low: int, high: int, kind: dtype) -> tuple[int, int]:
    """First and last integer of [low, high) for `kind`."""
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    if kind.is_floating_point:
        low, high = _raise_to_value(low, kind), _lower_to_value(high, kind)
        if low >= high:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, "
                f"but got from={low} >= to={high}"
            )
    elif kind.is_complex:
        raise RuntimeError(
            "check_random_bounds handles only integral, floating-point and boolean types"
        )
    return low, high - 1


def _open_range(low: int, kind: dtype) -> tuple[int, int]:
    """First and last integer from `low` on for `kind`."""
    if kind.is_complex:
        raise RuntimeError(
            "random_from_to_impl handles only integral, floating-point and boolean types"
        )
    if kind is bool_:
        return low, 1
    if not kind.is_floating_point:
        # The bound of uint64 is kept in an int64, where it reads -1, and is refused below.
        return low, -1 if kind is uint64 else int(np.iinfo(kind.numpy).max)
    last = 2 ** _DIGITS[kind]
    low = _raise_to_value(low, kind)
    if low >= last:
        raise RuntimeError(
            "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' "
            f"casted to dtype, but got from={low} > to_inc={last}"
        )
    return low, last


def _as_value(integer: int, kind: dtype) -> int:
    """`integer` rounded to a value of floating `kind`; beyond all of them, what an x86 conversion
    gives.
    """
    through = np.float64 if kind is float64 else np.float32
    with np.errstate(over="ignore"):
        value = float(np.asarray(through(integer)).astype(kind.numpy))
    return int(value) if abs(value) < 2.0**63 else INT64_MIN


def _raise_to_value(low: int, kind: dtype) -> int:
    """The next value of `kind` above `low`, where `low + 1` would be rounded below `low`."""
    rounded = _as_value(low + 1, kind)
    if rounded < low:
        low = rounded + 2 ** (abs(low + 1).bit_length() - _DIGITS[kind])
    return low


def _lower_to_value(high: int, kind: dtype) -> int:
    """The next value of `kind` below `high`, where `high - 1` would not be rounded below it."""
    rounded = _as_value(high - 1, kind)
    if rounded >= high:
        high = rounded - 2 ** (abs(high - 1).bit_length() - _DIGITS[kind])
    return high


def _check_bounds(low: int, last: int, kind: dtype) -> None:
    least, most = _value_range(kind)
    for name, bound in (("from", low), ("to - 1", last)):
        if not least <= bound <= most:
            raise RuntimeError(f"{name} is out of bounds for {cpp_name(kind)}")
    if not kind.is_floating_point:
        return
    digits = _DIGITS[kind]
    for name, bound in (("from", low), ("to - 1", last)):
        if abs(bound) > 2**digits:
            warnings.warn(
                f"{name} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision "
                f"limitations {cpp_name(kind)} can support discrete uniform distribution only "
                "within this range. This warning will become an error in version 1.7 release, "
                "please fix the code in advance",
                UserWarning,
                stacklevel=4,
            )


def _value_range(kind: dtype) -> tuple[float, float]:
    if kind.is_floating_point:
        return -largest(kind), largest(kind)
    if kind is bool_:
        return 0, 1
    if kind is uint64:
        return 0, INT64_MAX
    limits = np.iinfo(kind.numpy)
    return int(limits.min), int(limits.max)


# -- permutations


def randperm(generator: Generator, n: int, kind: dtype = int64) -> np.ndarray:
    """A permutation of 0 … n - 1 as values of `kind`: `(n,)`.

    Each place is swapped with one that is not before it (Fisher & Yates; Durstenfeld 1964).
    RuntimeError for n < 0, and for n to which `kind` cannot count.
    """
    _check_permutation(n, kind)
    with generator.lock:
        if n >= _WIDE_PERMUTATION:
            return _grown_permutation(generator, n, kind)
        choices = np.arange(n, 1, -1, dtype=np.uint32)
        offsets = generator.words(choices.size) % choices
    return _from_int64(_swapped(n, offsets.astype(np.int64)), kind)


def _swapped(n: int, offsets: np.ndarray) -> np.ndarray:
    """0 … n - 1 after the swaps of the places 0, 1, …, n - 2 with those `offsets` (n - 1,) further,
    one after the other: computed for all places at once.

    A swap of place i with j = i + offset writes to j what stood at i, and nothing else is ever
    written to a place that is still to come. What stands at s when its turn comes is therefore what
    stood at the last u < s that chose s, at its turn, and so on back to one that nobody chose
    (`standing`). Place i finally holds what stood at the last place before i that made the same
    choice j, or j itself if none did.
    """
    places = np.arange(n)
    chosen = places.copy()
    chosen[: offsets.size] += offsets
    standing = places.copy()
    moving = np.flatnonzero(offsets)
    standing[chosen[moving]] = moving  # of several that chose one place the last counts
    while True:
        further = standing[standing]
        if np.array_equal(further, standing):
            break
        standing = further
    bits = n.bit_length()
    pairs = np.sort(chosen << bits | places)  # by choice, then by place
    choice, place = pairs >> bits, pairs & ((1 << bits) - 1)
    result = np.empty(n, np.int64)
    result[place] = choice
    again = np.flatnonzero(choice[1:] == choice[:-1])
    result[place[again + 1]] = standing[place[again]]
    return result


def _grown_permutation(generator: Generator, n: int, kind: dtype, chunk: int = 2**20) -> np.ndarray:
    """A permutation grown from empty ("inside-out"): place i takes what stands at a place up to i,
    which takes i.
    """
    order = np.empty(n, dtype=np.int64)
    for start in range(0, n, chunk):
        choices = np.arange(start, min(start + chunk, n), dtype=np.uint64) + np.uint64(1)
        for place, other in enumerate((generator.words64(choices.size) % choices).tolist(), start):
            order[place] = place
            order[place] = order[other]
            order[other] = place
    return _from_int64(order, kind)


def _check_permutation(n: int, kind: dtype) -> None:
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    refuse_wide_unsigned("randperm", kind)
    if kind is bool_:
        refuse_dtype("randperm", kind)
    if kind in _PERMUTATION_LIMITS:
        if n > 2 ** _DIGITS[kind] + 1:
            name = kind.tensor_type.removesuffix("Tensor")
            raise RuntimeError(
                f"n cannot be greater than {_PERMUTATION_LIMITS[kind]} for {name} type."
            )
    elif kind is not bfloat16 and n > int(np.iinfo(kind.numpy).max) + 1:
        raise RuntimeError(f"value cannot be converted to type {kind.name}_t without overflow")
