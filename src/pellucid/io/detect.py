"""What a file is, judged by its first bytes, when it is not what `load` was made for."""

from __future__ import annotations

import os
from typing import IO

from pellucid.io.errors import TruncatedFileError, UnpicklingError

ZIP = b"PK\x03\x04"
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""PyTorch's old format begins with its magic number 0x1950a86a20f9469cfc6c, pickled."""

_HEADS: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer: it stands for the file, which was not fetched. Run `git lfs pull` in "
        "the repository it comes from",
    ),
    (b"\x1f\x8b", "compressed with gzip. Pass `gzip.open(path)`, or unpack it first"),
    (b"BZh", "compressed with bzip2. Pass `bz2.open(path)`, or unpack it first"),
    (b"\xfd7zXZ", "compressed with xz. Pass `lzma.open(path)`, or unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstandard. Unpack it first"),
    (b"\x93NUMPY", "a NumPy array. Use numpy.load"),
    (b"\x89HDF\r\n", "an HDF5 file (Keras weights?). Use h5py"),
    (b"GGUF", "a GGUF file (llama.cpp)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PK", "a damaged or split zip archive"),
)
_HTML = (b"<!doctype html", b"<html", b"<?xml", b"<head")


def no_checkpoint(file: IO[bytes]) -> UnpicklingError | None:
    """The error for a file that is recognisably something else, or None. The position is kept."""
    start = file.tell()
    head = file.read(512)
    file.seek(0, os.SEEK_END)
    size = file.tell() - start
    file.seek(start)
    if not head:
        return TruncatedFileError("Ran out of input: the file is empty")
    if head.startswith(ZIP) or head[:1] == b"\x80":
        return None
    return UnpicklingError(f"This is no file of torch.save: it is {_describe(head, size)}")


def _describe(head: bytes, size: int) -> str:
    for begin, what in _HEADS:
        if head.startswith(begin):
            return what
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_HTML):
        return (
            "a web page: the download gave an error or log-in page in place of the file. Open it "
            "in a text editor to see what it says"
        )
    header = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 0 < header < size:
        return "a safetensors file. Use pellucid.io.safetensors.load_file, or name it .safetensors"
    if text[:1] in (b"{", b"[") and size < 1 << 20:
        return "JSON text, probably an error message in place of the file"
    if head[257:262] == b"ustar" or (head[:7] == b"storage" and size > 512):
        return (
            "a tar archive, PyTorch's format of 2016 and before. Load it with a PyTorch of its "
            "time and save it again"
        )
    return f"no pickle (those begin with the byte 0x80), it begins with {head[:12]!r}"
