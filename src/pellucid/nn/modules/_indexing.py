"""Indices and pairs as containers take them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any


def checked_index(index: Any, length: int) -> int:
    """`index` counted from the front, or an IndexError."""
    index = operator.index(index)
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range")
    return index % length


def key_value_pairs(owner: str, pairs: Iterable[Any]) -> Iterator[Any]:
    """The pairs of an iterable given to `update`, each checked to be one."""
    for position, pair in enumerate(pairs):
        if not isinstance(pair, Iterable):
            raise TypeError(
                f"{owner} update sequence element #{position} should be Iterable; "
                f"is{type(pair).__name__}"
            )
        pair = tuple(pair)
        if len(pair) != 2:
            raise ValueError(
                f"{owner} update sequence element #{position} has length {len(pair)}; 2 is required"
            )
        yield pair
