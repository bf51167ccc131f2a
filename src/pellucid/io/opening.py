"""Opening what `load` and `inspect_pickle` are given, and finding the pickle in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pellucid.io.archive import Archive
from pellucid.io.errors import UnpicklingError

File = str | os.PathLike[str] | IO[bytes]

MAX_PICKLE = 1 << 31
"""A `data.pkl` beyond 2 GiB is taken for an attack: it holds names and shapes, not numbers."""


def pickle_of(archive: Archive) -> bytes:
    """The record `data.pkl`, after refusing archives of other programs.

    Raises:
        UnpicklingError: a TorchScript archive, or one without a pickle.
    """
    if "constants.pkl" in archive:
        raise UnpicklingError(
            "Cannot use ``weights_only=True`` with TorchScript archives passed to ``torch.load``. "
            "The file is a TorchScript program (torch.jit.save): code, which is not run here. "
            "Save model.state_dict() from the program that has the model"
        )
    if "data.pkl" not in archive:
        some = ", ".join(sorted(archive.records)[:4])
        raise UnpicklingError(
            f"This zip archive has no {archive.folder}data.pkl: torch.save did not write it. "
            f"It holds {some}, ..."
        )
    if archive.find("data.pkl").size > MAX_PICKLE:
        raise UnpicklingError(f"data.pkl announces more than {MAX_PICKLE} bytes")
    return archive.read("data.pkl")


@contextlib.contextmanager
def opened(f: Any) -> Iterator[IO[bytes]]:
    """The file at a path, or the file itself if it can be read and positioned."""
    if isinstance(f, (str, os.PathLike)):
        with Path(f).open("rb") as file:
            yield file
        return
    yield seekable(f)


def seekable(f: Any) -> IO[bytes]:
    """`f`, if it can be read and positioned.

    Raises:
        AttributeError: it has no `seek` or `tell`.
    """
    for name in ("seek", "tell", "read"):
        if not hasattr(f, name):
            raise AttributeError(
                f"'{type(f).__name__}' object has no attribute '{name}'. You can only torch.load "
                "from a file that is seekable. Please pre-load the data into a buffer like "
                "io.BytesIO and try to load from it instead."
            )
    f.seek(f.tell())
    return f
