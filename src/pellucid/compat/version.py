"""`torch.__version__` as programs under the alias see it.

The release is PyTorch's, so that "at least 2.6" means what it says; the local part names us.
"""

from __future__ import annotations

import re
from typing import Any

from pellucid.compat.aliases import TORCH_VERSION


class TorchVersion(str):
    """A version that is a string and compares as a version: `"2.9" < TorchVersion("2.13.0")`.

    May be compared with strings and with tuples of integers. A local part (`+pellucid`) counts
    after an equal release without one, as in PEP 440.
    """

    def _key(self, other: Any) -> tuple[tuple[int, ...], bool, str] | None:
        if isinstance(other, tuple):
            other = ".".join(str(part) for part in other)
        if not isinstance(other, str):
            return None
        found = re.match(r"\s*v?(\d+(?:\.\d+)*)((?:a|b|rc|\.?dev)\d*)?(?:\+(.*))?\s*$", other)
        if found is None:
            raise ValueError(f"{other!r} is not a version such as '2.13.0'")
        release = tuple(int(part) for part in found[1].split("."))
        while release and release[-1] == 0:  # 2.13 and 2.13.0 are one release
            release = release[:-1]
        return release, found[2] is None, found[3] or ""

    def _compare(self, other: Any) -> int | None:
        theirs = self._key(other)
        if theirs is None:
            return None
        ours = self._key(str(self))
        assert ours is not None
        return (ours > theirs) - (ours < theirs)

    def __lt__(self, other: Any) -> bool:
        order = self._compare(other)
        return NotImplemented if order is None else order < 0

    def __le__(self, other: Any) -> bool:
        order = self._compare(other)
        return NotImplemented if order is None else order <= 0

    def __gt__(self, other: Any) -> bool:
        order = self._compare(other)
        return NotImplemented if order is None else order > 0

    def __ge__(self, other: Any) -> bool:
        order = self._compare(other)
        return NotImplemented if order is None else order >= 0

    def __eq__(self, other: object) -> bool:
        try:
            order = self._compare(other)
        except ValueError:
            return False
        return NotImplemented if order is None else order == 0

    __hash__ = str.__hash__


__version__ = TorchVersion(TORCH_VERSION)
