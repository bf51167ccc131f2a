"""Does a layout that a file claims stay inside its storage?

The check decides about memory safety: shape, strides and offset come from the file, and nothing
behind this line compares them with the storage again.
"""

from __future__ import annotations

from typing import Any

from pellucid.io.errors import UnpicklingError

MAX_DIMS = 64
_MAX = (1 << 63) - 1


def checked_layout(
    shape: Any, strides: Any, offset: Any, itemsize: int, nbytes: int
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """`(shape, strides, offset)` as tuples of ints, in elements.

    Args:
        shape: claimed sizes.
        strides: claimed strides.
        offset: claimed offset of the first element.
        itemsize: bytes of an element.
        nbytes: bytes of the storage.

    Raises:
        UnpicklingError: not a layout (wrong types, negative, more than 64 dimensions, overflow),
            or one that reaches outside the storage.
    """
    shape = _sizes("shape", shape)
    strides = _sizes("strides", strides)
    if len(shape) != len(strides):
        raise UnpicklingError(
            f"a tensor of {len(shape)} dimensions with {len(strides)} strides: {shape} {strides}"
        )
    if type(offset) is not int or not 0 <= offset <= _MAX // itemsize:
        raise UnpicklingError(f"a storage offset must be an integer >= 0, got {brief(offset)}")
    if any(stride > _MAX // itemsize for stride in strides):
        raise UnpicklingError(f"strides beyond 63 bits of bytes: {strides}")
    elements = 1
    last = offset
    for size, stride in zip(shape, strides, strict=True):
        elements *= size or 1
        last += (size - 1) * stride
    if elements > _MAX // itemsize:
        raise UnpicklingError(f"a shape of more than 2**63 bytes: {shape}")
    if 0 in shape:
        return shape, strides, offset
    needed = (last + 1) * itemsize
    if needed > nbytes:
        raise UnpicklingError(
            f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {offset}, "
            f"and itemsize {itemsize} requiring a storage size of {needed} are out of bounds for "
            f"storage of size {nbytes}"
        )
    return shape, strides, offset


def _sizes(what: str, values: Any) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or len(values) > MAX_DIMS:
        raise UnpicklingError(
            f"{what} must be a tuple of at most {MAX_DIMS} integers, got {brief(values)}"
        )
    if not all(type(value) is int and 0 <= value <= _MAX for value in values):
        raise UnpicklingError(f"{what} must be integers from 0 to 2**63 - 1, got {brief(values)}")
    return tuple(values)


def brief(value: Any) -> str:
    """What to call a value of the file in a message, without printing all of a hostile one."""
    if type(value) is int:
        return (
            str(value) if value.bit_length() < 128 else f"an integer of {value.bit_length()} bits"
        )
    if isinstance(value, (tuple, list)):
        shown = ", ".join(brief(item) for item in value[:8] if type(item) is int)
        return (
            f"{type(value).__name__} of {len(value)} ({shown}{', ...' if len(value) > 8 else ''})"
        )
    return type(value).__name__
