"""Bounds on what a hostile pickle can make a reader do.

A pickle of a few hundred bytes can describe data whose hash takes longer than the age of the
universe (a tuple of two equal tuples of two equal tuples …), or ask a thousand times for a copy of
the same megabyte. Neither occurs in honest files.
"""

from __future__ import annotations

from typing import Any

from pellucid.io.errors import UnpicklingError

MAX_KEY_PARTS = 1000
"""How many parts a tuple that is a dictionary key may have, counted through nested tuples."""

COPY_ALLOWANCE = 1 << 20
COPY_FACTOR = 16
"""Calls in a pickle of n bytes may copy `COPY_ALLOWANCE + COPY_FACTOR * n` bytes altogether."""


def checked_key(key: Any) -> Any:
    """`key`, if hashing and comparing it is cheap.

    Raises:
        UnpicklingError: an unhashable key, integers beyond 64 bits (whose hashes can be made to
            collide at will) or nested tuples of more than `MAX_KEY_PARTS` parts.
    """
    if type(key) is str:
        return key
    waiting = [key]
    parts = 0
    while waiting:
        part = waiting.pop()
        parts += 1
        if parts > MAX_KEY_PARTS:
            raise UnpicklingError(f"a key of more than {MAX_KEY_PARTS} parts")
        if type(part) is int and not -(1 << 63) <= part < 1 << 64:
            raise UnpicklingError("an integer key beyond 64 bits")
        if isinstance(part, (tuple, frozenset)):
            waiting.extend(part)
        elif type(part).__hash__ is None:
            raise UnpicklingError(f"unhashable key: {type(part).__name__}")
    return key


class Budget:
    """Counts the bytes that the calls of one pickle copy."""

    def __init__(self, pickle_size: int) -> None:
        self.left = COPY_ALLOWANCE + COPY_FACTOR * pickle_size

    def charge(self, nbytes: int, what: str) -> None:
        """Account for a copy of `nbytes`.

        Raises:
            UnpicklingError: the copies of this pickle exceed what its own size explains.
        """
        self.left -= nbytes
        if self.left < 0:
            raise UnpicklingError(
                f"{what}: the pickle asks for more copied bytes than its size explains "
                f"({COPY_FACTOR} times its length); it is damaged or made to exhaust memory"
            )
