"""Compiled kernels on disk, so that a kernel is compiled once per machine.

One file an object: `objects/<key>.o`. The key is a digest of the kernel's name and settings, the
sources of this room, the target and the versions of LLVM and Pellucid; the file starts with a
digest of the object, so a damaged one is noticed and made again. Files are written to a temporary
name and renamed. When the folder grows over its limit, what was not used for longest goes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pellucid.config import kernel_cache
from pellucid.version import __version__

_LIMIT = 256 << 20
_SUFFIX = ".o"


@cache
def sources() -> str:
    """A digest of the sources of this room: another kernel language makes other objects."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def key(*parts: object) -> str:
    """The name under which a kernel with these settings is kept."""
    text = "\x00".join([__version__, sources(), *map(str, parts)])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def folder() -> Path | None:
    """Where objects are kept, or None."""
    base = kernel_cache()
    return None if base is None else Path(base) / "objects"


def read(name: str) -> bytes | None:
    """The object kept under a key; None if there is none or it is damaged."""
    place = folder()
    if place is None:
        return None
    path = place / (name + _SUFFIX)
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return data[32:]


def write(name: str, data: bytes) -> None:
    """Keep an object. A folder that cannot be written to is no error: the kernel runs anyway."""
    place = folder()
    if place is None:
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=place, prefix=".writing-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.sha256(data).digest() + data)
            os.replace(temporary, place / (name + _SUFFIX))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError:
        return
    _shrink(place)


class Entry(NamedTuple):
    """One kept object."""

    path: Path
    nbytes: int
    used: float


def entries() -> list[Entry]:
    """What is kept, the longest unused first; leftovers of interrupted writes count too."""
    place = folder()
    if place is None or not place.is_dir():
        return []
    return sorted(_entries(place), key=lambda entry: entry.used)


def _entries(place: Path) -> Iterator[Entry]:
    for path in place.iterdir():
        with contextlib.suppress(OSError):
            status = path.stat()
            yield Entry(path, status.st_size, status.st_mtime)


def clear() -> int:
    """Remove all that is kept; the number of bytes freed."""
    freed = 0
    for entry in entries():
        with contextlib.suppress(OSError):
            entry.path.unlink()
            freed += entry.nbytes
    return freed


def _shrink(place: Path) -> None:
    kept = sorted(_entries(place), key=lambda entry: entry.used)
    total = sum(entry.nbytes for entry in kept)
    for entry in kept:
        if total <= _LIMIT:
            break
        with contextlib.suppress(OSError):
            entry.path.unlink()
            total -= entry.nbytes
