"""A file that appears when it is complete, or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def atomic_writer(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Write to a temporary file beside `path`, which takes its place when the block ends well.

    An interrupted save leaves the old file as it was. Permissions of an existing file are kept; a
    symbolic link stays a link. What is no ordinary file (a pipe, `/dev/null`) is written directly.

    Raises:
        RuntimeError: the folder does not exist.
        OSError: the folder cannot be written.
    """
    target = Path(os.path.realpath(os.fspath(path)))
    if not target.parent.is_dir():
        raise RuntimeError(f"Parent directory {Path(path).parent} does not exist.")
    mode = target.stat().st_mode if target.exists() else None
    if mode is not None and not stat.S_ISREG(mode):
        with target.open("wb") as file:
            yield file
        return
    temporary = target.with_name(f".{target.name[:100]}.{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            if mode is not None:
                temporary.chmod(stat.S_IMODE(mode))
            yield file
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
