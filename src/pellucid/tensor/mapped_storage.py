"""Storages over files: `torch.UntypedStorage.from_file`."""

from __future__ import annotations

import errno
import mmap
import os
from typing import Any

import numpy as np

from pellucid.tensor.storage import Storage


class SharedFile(mmap.mmap):
    """Pages of a file that other processes see too."""

    filename: str


def map_file(filename: str | os.PathLike[str], shared: bool = False, nbytes: int = 0) -> Storage:
    """The first `nbytes` bytes of a file as a storage, read when they are looked at.

    `shared`: writes go to the file, which is made, or made longer, where it is too short. Else
    writes stay in this process.

    Raises: RuntimeError for files that cannot be opened, are too short, or cannot be mapped.
    """
    name = os.fspath(filename)
    storage = Storage(0)
    if nbytes:
        mapping = _mapping(name, shared, nbytes)
        if isinstance(mapping, SharedFile):
            mapping.filename = name
        owner = mapping if shared else (mapping,)  # a mapping as the owner: `is_shared`
        storage.move(owner, np.frombuffer(mapping, dtype=np.uint8))
        storage._nbytes = nbytes
    return storage


def _mapping(name: str, shared: bool, nbytes: int) -> mmap.mmap:
    if nbytes < 0:
        raise RuntimeError(
            f"unable to mmap {nbytes} bytes from file <{name}>: "
            f"{os.strerror(errno.ENOMEM)} ({errno.ENOMEM})"
        )
    mode = "read-write" if shared else "read-only"
    try:
        handle = os.open(name, os.O_RDWR | os.O_CREAT if shared else os.O_RDONLY, 0o600)
    except OSError as error:
        raise RuntimeError(
            f"unable to open file <{name}> in {mode} mode: {error.strerror} ({error.errno})"
        ) from None
    try:
        there = os.fstat(handle).st_size
        if there < nbytes and shared:
            os.ftruncate(handle, nbytes)
        elif there < nbytes:
            raise RuntimeError(
                f"file <{name}> size <{there}> is smaller than the required mapping size <{nbytes}>"
            )
        if shared:
            return SharedFile(handle, nbytes, access=mmap.ACCESS_WRITE)
        return mmap.mmap(handle, nbytes, access=mmap.ACCESS_COPY)
    except (OSError, ValueError, OverflowError) as error:
        number = getattr(error, "errno", None) or errno.ENODEV
        raise RuntimeError(
            f"unable to mmap {nbytes} bytes from file <{name}>: {os.strerror(number)} ({number})"
        ) from None
    finally:
        os.close(handle)


def _from_file(
    cls: Any, filename: str | os.PathLike[str], shared: bool = False, nbytes: int = 0
) -> Storage:
    """`map_file` as PyTorch names it."""
    return map_file(filename, shared, nbytes)


Storage.from_file = classmethod(_from_file)  # type: ignore[attr-defined]
