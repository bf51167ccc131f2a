"""`Size`: the shape of a tensor, a tuple with a product."""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import index as to_index
from typing import Any

_INT = frozenset({int})


def _size(place: int, value: Any) -> int:
    try:
        return to_index(value)
    except TypeError:
        raise TypeError(
            f"torch.Size() takes an iterable of 'int' (item {place} is '{type(value).__name__}')"
        ) from None


class Size(tuple[int, ...]):
    """The sizes of a tensor's dimensions.

    Slices and sums of a `Size` are `Size`s, as in PyTorch.
    """

    __slots__ = ()

    def __new__(cls, sizes: Iterable[Any] = ()) -> Size:
        """Sizes given as ints or as integer tensors of one element; TypeError for others."""
        given = tuple(sizes)
        if not _INT.issuperset(map(type, given)):
            given = tuple(_size(place, value) for place, value in enumerate(given))
        return tuple.__new__(cls, given)

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    __str__ = __repr__

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, tuple):
            raise TypeError(
                f"can only concatenate tuple (not {type(other).__name__}) to torch.Size"
            )
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: Any) -> Any:
        return Size(tuple.__add__(other, self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, count: Any) -> Any:
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __getitem__(self, index: Any) -> Any:
        item = tuple.__getitem__(self, index)
        return Size(item) if isinstance(index, slice) else item

    def __reduce__(self) -> tuple[Any, tuple[tuple[int, ...]]]:
        return Size, (tuple(self),)
