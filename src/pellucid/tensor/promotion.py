"""Type promotion: which dtype an operation on several operands is computed in.

PyTorch's rule (its documentation page "Type Promotion"): dtypes fall in categories bool < integer <
floating < complex. Operands with dimensions decide; a 0-dim tensor only counts if its category is
higher than theirs, and a Python number only if its category is higher than that of every tensor.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from pellucid.tensor.dtype import (
    BOOL,
    COMPLEX,
    FLOATING,
    INTEGER,
    NAMED_ONLY,
    bfloat16,
    bool_,
    complex64,
    complex128,
    default,
    default_complex,
    dtype,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)

_SIGNED = (int8, int16, int32, int64)
_FLOATS = (float16, float32, float64)


@cache
def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that both can be promoted to: `promote_types(uint8, int8)` is int16."""
    if type1 is type2:
        return type1
    _check_dtypes("promote_types", type1=type1, type2=type2)
    if type1.name in NAMED_ONLY or type2.name in NAMED_ONLY:
        names = " and ".join(d.tensor_type.removesuffix("Tensor") for d in (type1, type2))
        raise RuntimeError(
            f"Promotion for Float8 Types is not supported, attempted to promote {names}"
        )
    if _is_wide_unsigned(type1) or _is_wide_unsigned(type2):
        return _beside_wide_unsigned(type1, type2)
    low, high = sorted((type1, type2), key=lambda d: d.category)
    if low.category == BOOL:
        return high
    if low.category < high.category:
        if high.category < COMPLEX or low.category < FLOATING:
            return high
        return complex128 if low is float64 or high is complex128 else complex64
    if low.category == INTEGER:
        return _promote_integers(low, high)
    if low.category == COMPLEX:
        return complex128
    if bfloat16 in (low, high):
        other = high if low is bfloat16 else low
        return float32 if other is float16 else other
    return _FLOATS[max(_FLOATS.index(low), _FLOATS.index(high))]


def _check_dtypes(name: str, **given: Any) -> None:
    for position, (parameter, value) in enumerate(given.items(), 1):
        if not isinstance(value, dtype):
            raise TypeError(
                f"{name}(): argument '{parameter}' (position {position}) must be torch.dtype, "
                f"not {type(value).__name__}"
            )


def _is_wide_unsigned(d: dtype) -> bool:
    return d.category == INTEGER and not d.is_signed and d is not uint8


def _beside_wide_unsigned(a: dtype, b: dtype) -> dtype:
    """The other one if it is floating: nothing else is promoted with uint16, uint32 and uint64."""
    for d in (a, b):
        if d.category == FLOATING:
            return d
    names = " and ".join(d.tensor_type.removesuffix("Tensor") for d in (a, b))
    raise RuntimeError(
        "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
        f"{names}\n  Convert one of them first: x.to(torch.int64) holds every value of uint32."
    )


def _promote_integers(a: dtype, b: dtype) -> dtype:
    if a.is_signed and b.is_signed:
        return _SIGNED[max(_SIGNED.index(a), _SIGNED.index(b))]
    signed = a if a.is_signed else b
    return int16 if signed is int8 else signed


def number_dtype(value: Any) -> dtype:
    """The dtype a Python number stands for."""
    if isinstance(value, bool):
        return bool_
    if isinstance(value, int):
        return int64
    if isinstance(value, float):
        return default.floating
    if isinstance(value, complex):
        return default_complex()
    raise TypeError(f"expected a Tensor or a number, got {type(value).__name__}")


def combine(
    dimensioned: Iterable[dtype], zero_dim: Iterable[dtype], numbers: Iterable[dtype]
) -> dtype:
    """The common dtype of operands sorted by how much they count.

    At least one operand must be given.
    """
    result = _join(dimensioned)
    for weaker in (_join(zero_dim), _join(numbers)):
        if weaker is not None:
            result = weaker if result is None else _raise_category(result, weaker)
    if result is None:
        raise RuntimeError("result_type needs at least one operand")
    return result


def _join(dtypes: Iterable[dtype]) -> dtype | None:
    result: dtype | None = None
    for d in dtypes:
        result = d if result is None else promote_types(result, d)
    return result


@cache
def _raise_category(strong: dtype, weak: dtype) -> dtype:
    """`strong`, unless `weak` belongs to a higher category: then that category, as narrow as
    `strong` allows.
    """
    if strong.category >= weak.category:
        return strong
    if strong is bool_:
        return promote_types(strong, weak)
    if weak.category == COMPLEX and strong.category == FLOATING:
        return promote_types(strong, complex64) if strong is not float64 else complex128
    return weak


@cache
def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether PyTorch lets a result of dtype `from_` be stored in a tensor of dtype `to`."""
    _check_dtypes("can_cast", from_=from_, to=to)
    if from_.category == INTEGER and to.category == INTEGER:
        return True
    return from_.category <= to.category
