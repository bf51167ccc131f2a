"""Nested Python data as arrays: the shape it has, the dtype it stands for, its values.

`shape_of` reads lengths along the first elements, `infer` promotes the types of all numbers, `fill`
checks every length and converts every number. Lists of plain numbers go through NumPy at once;
where
that fails or a list holds something else, the elements are read one by one, which also finds the
words for what is wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from operator import index as to_index
from typing import Any

import numpy as np

from pellucid.tensor.dtype import (
    BOOL,
    FLOATING,
    INTEGER,
    bool_,
    complex128,
    default,
    default_complex,
    dtype,
    from_numpy_dtype,
    int64,
    uint64,
)
from pellucid.tensor.promotion import promote_types
from pellucid.tensor.tensor import Tensor

MOST_DIMENSIONS = 128
_PLAIN = frozenset({bool, int, float, complex})


def is_sequence(data: Any) -> bool:
    """Whether `data` is read element by element: it has places, like a list. Tensors are numbers
    here.
    """
    if type(data) in (list, tuple):
        return True
    cls = type(data)
    return hasattr(cls, "__getitem__") and not isinstance(data, (dict, Tensor, np.generic))


def shape_of(data: Any) -> tuple[int, ...]:
    """The shape of nested sequences, read along their first elements. ValueError for endless
    nesting.
    """
    shape: list[int] = []
    while is_sequence(data):
        length = len(data)
        shape.append(length)
        if len(shape) > MOST_DIMENSIONS:
            raise ValueError(f"too many dimensions '{type(data).__name__}'")
        if not length:
            break
        try:
            data = data[0]
        except Exception:
            raise ValueError(
                f"could not determine the shape of object type '{type(data).__name__}'"
            ) from None
    return tuple(shape)


def infer(data: Any) -> dtype:
    """The dtype that data stands for: the promotion of its numbers; the default one if there are
    none.

    Raises: TypeError for text, RuntimeError for what is neither a number nor a sequence.
    """
    kind = type(data)
    if kind is list or kind is tuple:
        kinds = set(map(type, data))
        if kinds <= _PLAIN:
            return _plain_dtype(kinds)
        return _promoted(data)
    if isinstance(data, (np.ndarray, np.generic)):
        return from_numpy_dtype(data.dtype)
    if isinstance(data, (bool, int, float, complex)):
        return _plain_dtype({next(t for t in (bool, int, float, complex) if isinstance(data, t))})
    if isinstance(data, Tensor):
        return data.dtype
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{kind.__name__}'")
    if is_sequence(data):
        return _promoted(data)
    raise RuntimeError(f"Could not infer dtype of {kind.__name__}")


def _plain_dtype(kinds: set[type]) -> dtype:
    if complex in kinds:
        return default_complex()
    if float in kinds or not kinds:
        return default.floating
    return int64 if int in kinds else bool_


def _promoted(data: Any) -> dtype:
    found: dtype | None = None
    for place in range(len(data)):
        item = data[place]
        if item is data:
            raise TypeError("new(): self-referential lists are incompatible")
        kind = infer(item)
        found = kind if found is None else promote_types(found, kind)
        if found is complex128:
            break
    return default.floating if found is None else found


# -- values


def fill(target: np.ndarray, data: Any, kind: dtype) -> None:
    """Write nested `data` into `target`, whose shape is `shape_of(data)` and whose dtype is `kind`.

    Raises: ValueError for sequences of differing length, TypeError for what is no number of the
    kind,
    RuntimeError for numbers beyond it.
    """
    if not target.size:
        return
    values = _through_numpy(data, kind, target.shape) if target.ndim else None
    if values is None:
        numbers: list[Any] = []
        _collect(data, target.shape, 0, CONVERTERS[kind.category](kind), numbers)
        values = np.array(numbers, dtype=_wide(kind)).reshape(target.shape)
    with np.errstate(all="ignore"):
        np.copyto(target, values, casting="unsafe")


def _wide(kind: dtype) -> Any:
    """The NumPy dtype in which Python numbers are held before they become `kind`."""
    if kind is uint64:
        return np.uint64
    return (np.bool_, np.int64, np.float64, np.complex128)[kind.category]


def _through_numpy(data: Any, kind: dtype, shape: tuple[int, ...]) -> np.ndarray | None:
    """The values read by NumPy at once; None where only the slow way knows what PyTorch would
    do.
    """
    if kind is uint64 or not _is_plain(data, len(shape), kind.category):
        return None
    try:
        values = np.array(data, dtype=_wide(kind))
    except (ValueError, TypeError, OverflowError):
        return None
    if values.shape != shape:
        return None
    if kind.category == INTEGER and kind is not int64:
        info = np.iinfo(kind.numpy)
        if not (info.min <= values.min() and values.max() <= info.max):
            return None
    return values


def _is_plain(data: Any, depth: int, category: int) -> bool:
    """Whether nested lists hold nothing but Python numbers that NumPy converts as PyTorch does."""
    if depth > 1:
        return type(data) in (list, tuple) and all(_is_plain(d, depth - 1, category) for d in data)
    if type(data) not in (list, tuple):
        return False
    allowed = {bool, int} if category == INTEGER else {bool, int, float}
    return set(map(type, data)) <= (_PLAIN if category not in (INTEGER, FLOATING) else allowed)


def _collect(
    data: Any, shape: tuple[int, ...], dim: int, convert: Callable[[Any], Any], numbers: list[Any]
) -> None:
    """Append every number to `numbers`, row by row, after checking that each length is as in
    `shape`.
    """
    if dim == len(shape):
        numbers.append(convert(data))
        return
    if not is_sequence(data):
        raise TypeError(
            "not a sequence\n  "
            f"The first element at dimension {dim} is a sequence of length {shape[dim]}, a later "
            "one is "
            f"of type {type(data).__name__}."
        )
    if len(data) != shape[dim]:
        raise ValueError(f"expected sequence of length {shape[dim]} at dim {dim} (got {len(data)})")
    items = list(data)
    if any(isinstance(item, np.ndarray) for item in items):
        warnings.warn(
            "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please consider "
            "converting the list to a single numpy.ndarray with numpy.array() before converting to "
            "a "
            "tensor.",
            UserWarning,
            stacklevel=5,
        )
    for item in items:
        _collect(item, shape, dim + 1, convert, numbers)


def _integer_of(kind: dtype) -> Callable[[Any], int]:
    info = np.iinfo(kind.numpy)
    least = info.min if kind.is_signed else -info.max  # negative numbers wrap around

    def convert(value: Any) -> int:
        if isinstance(value, float):
            if not least <= value <= info.max:
                raise _beyond(kind)
            number = int(value)
        else:
            number = _long(value)
        if not least <= number <= info.max:
            raise _beyond(kind)
        return number if kind is not uint64 else number % 2**64

    return convert if kind is not uint64 else _unsigned_long


def _beyond(kind: dtype) -> RuntimeError:
    return RuntimeError(f"value cannot be converted to type {kind.name} without overflow")


def _long(value: Any) -> int:
    number = to_index(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError("Overflow when unpacking long long")
    return number


def _unsigned_long(value: Any) -> int:
    number = int(value) if isinstance(value, float) else to_index(value)
    if number < 0:
        raise OverflowError("can't convert negative int to unsigned")
    if number >= 2**64:
        raise OverflowError("int too big to convert")
    return number


def _real(value: Any) -> float:
    if isinstance(value, (str, bytes, bytearray)) or not (
        hasattr(value, "__float__") or hasattr(value, "__index__")
    ):
        raise TypeError(f"must be real number, not {type(value).__name__}")
    return float(value)


def _truth(value: Any) -> bool:
    plain = isinstance(value, (float, complex, np.bool_))
    return bool(value) if plain else bool(to_index(value))


def _complex(value: Any) -> complex:
    return complex(value) if hasattr(value, "__complex__") else complex(_real(value))


CONVERTERS: dict[int, Callable[[dtype], Callable[[Any], Any]]] = {
    BOOL: lambda kind: _truth,
    INTEGER: _integer_of,
    FLOATING: lambda kind: _real,
    FLOATING + 1: lambda kind: _complex,
}
"""Category: what makes the function that turns one object into a number of a dtype."""
