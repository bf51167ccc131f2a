"""`LazyStorage`: the bytes of another storage, read conjugated or negated.

`x.conj()` costs nothing and shares memory with `x`: it is a tensor over a `LazyStorage` of x's
bytes. Because the storage itself says how it is read, every view of the conjugate, and everything
that copies a tensor's storage, layout and dtype, is conjugated too. `Tensor._array` resolves it in
one place (`read`), into memory of its own that cannot be written; operators that write go through
`ops/lazy.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.tensor.storage import Storage


class LazyStorage(Storage):
    """`base`'s bytes; `conjugated` and `negated` say how they are read. Never both False."""

    __slots__ = ("_base", "conjugated", "negated")
    lazy = True

    def __init__(self, base: Storage, conjugated: bool, negated: bool) -> None:
        self._base, self.conjugated, self.negated = base, conjugated, negated
        self._class = 0

    @property
    def base(self) -> Storage:
        """The storage that owns the bytes."""
        return self._base

    @property
    def meta(self) -> bool:  # type: ignore[override]
        """Whether the bytes are only counted."""
        return self._base.meta

    def read(self, array: np.ndarray) -> np.ndarray:
        """What the elements `array`, as they lie in memory, are read as: fresh and read-only."""
        if self.conjugated:
            array = np.asarray(np.conjugate(array))
        if self.negated:
            array = np.asarray(np.negative(array))
        array.flags.writeable = False
        return array

    def write(self, target: np.ndarray, values: np.ndarray) -> None:
        """Store `values` in `target`, elements of this memory, to be read as `values` again."""
        np.copyto(target, self.read(values))

    def alias(self) -> Storage:
        """The same bytes, read alike, with a version counter of their own."""
        return LazyStorage(self._base.alias(), self.conjugated, self.negated)

    def resize_(self, nbytes: int) -> None:
        """Make room for `nbytes` in the base."""
        self._base.resize_(nbytes)

    def move(self, owner: Any, buffer: np.ndarray) -> None:
        """Let the base look at other bytes."""
        self._base.move(owner, buffer)

    @property
    def address(self) -> int:
        """Where the first byte of the base lies."""
        return self._base.address


def _of_base(name: str) -> Any:
    def get(self: LazyStorage) -> Any:
        return getattr(self._base, name)

    def put(self: LazyStorage, value: Any) -> None:
        setattr(self._base, name, value)

    return property(get, put, doc=f"`{name}` of the base.")


for _name in ("buffer", "owner", "version", "writer", "_nbytes"):
    setattr(LazyStorage, _name, _of_base(_name))


def read_as(storage: Storage, *, conjugated: bool = False, negated: bool = False) -> Storage:
    """The bytes of `storage` read once more conjugated, or negated: twice is as they lie there."""
    conjugated = storage.conjugated != conjugated
    negated = storage.negated != negated
    base = storage.base
    return LazyStorage(base, conjugated, negated) if conjugated or negated else base
