"""Which dtypes an elementwise operator refuses, and in which words.

A refusal is a function from the operands' common dtype to the exception to raise, or None. PyTorch
refuses in two ways: a check with words of its own (`words`), and the missing specialisation of a
kernel (`kernel`).
"""

from __future__ import annotations

from collections.abc import Callable

from pellucid.ops.inplace import scalar_type
from pellucid.tensor.dtype import BOOL, COMPLEX, FLOATING, INTEGER, REDUCED, dtype, uint8

Refusal = Callable[[dtype], Exception | None]
WIDE = 4
"""The unsigned integers wider than a byte, which PyTorch only stores."""
HALF = 5
"""The reduced floating dtypes."""
EXACT = (BOOL, INTEGER)

_ADVICE = {
    BOOL: "convert it with .int() or .float() first",
    INTEGER: "convert it with .float() first",
    FLOATING: "convert it to an integer dtype first, such as .long()",
    COMPLEX: "take .real, .imag or .abs() of it first",
    WIDE: "convert it to a signed integer dtype first, such as .long()",
    HALF: "convert it with .float() first",
}


def kinds_of(d: dtype) -> tuple[int, ...]:
    """The groups a dtype belongs to: its category, and WIDE or HALF."""
    if d.category == INTEGER and not d.is_signed and d is not uint8:
        return INTEGER, WIDE
    return (FLOATING, HALF) if d in REDUCED else (d.category,)


def kernel(name: str, *kinds: int) -> Refusal:
    """The refusal of dtypes that PyTorch's kernel `name` does not cover."""

    def refuse(d: dtype) -> Exception | None:
        for kind in kinds_of(d):
            if kind in kinds:
                return NotImplementedError(
                    f"\"{name}\" not implemented for '{scalar_type(d)}'\n  The input is {d}: "
                    f"{_ADVICE[kind]}."
                )
        return None

    return refuse


def words(text: str, *kinds: int, error: type[Exception] = RuntimeError) -> Refusal:
    """The refusal of dtypes of these kinds in PyTorch's own words."""

    def refuse(d: dtype) -> Exception | None:
        for kind in kinds_of(d):
            if kind in kinds:
                return error(f"{text}\n  The input is {d}: {_ADVICE[kind]}.")
        return None

    return refuse


def either(*refusals: Refusal) -> Refusal:
    """The first refusal that applies."""

    def refuse(d: dtype) -> Exception | None:
        for one in refusals:
            error = one(d)
            if error is not None:
                return error
        return None

    return refuse
