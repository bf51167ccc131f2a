"""Writing the zip archive that `torch.save` writes, record for record.

Records are stored uncompressed and begin at a multiple of 64 bytes, so that a reader may map the
file into memory and look at tensors where they lie. The room comes from a padding field in each
header. CRC and sizes follow the record ("data descriptor"): readers that compute offsets without
reading headers (`torch.utils.serialization.config.load.calculate_storage_offsets`) rely on it.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from typing import Any

from pellucid.io.zip_format import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    DESCRIPTOR_SIGNATURE,
    END,
    END64,
    END64_SIGNATURE,
    END_SIGNATURE,
    LOCAL,
    LOCAL_SIGNATURE,
    LOCATOR64,
    LOCATOR64_SIGNATURE,
    MAX16,
    MAX32,
    SIZES_FOLLOW,
    STORED,
    UTF8_NAMES,
    ZIP64_FIELD,
)

ALIGNMENT = 64
_PADDING_FIELD = b"FB"
_END64_VERSION = 0x031E, 0x2D


class ArchiveWriter:
    """Writes records one after the other, then the directory.

    Args:
        write: takes bytes, like a file's `write`.
        folder: what the records' names begin with, without the slash.
    """

    def __init__(self, write: Callable[[Any], Any], folder: str) -> None:
        self._write = write
        self._folder = folder
        self._position = 0
        self._directory: list[bytes] = []
        self._names: list[str] = []
        self._digest = hashlib.blake2b(digest_size=16)

    def record(self, name: str, data: Any) -> None:
        """Write the record `name` with the bytes of the buffer `data`."""
        view = memoryview(data)
        view = view.cast("B") if view.nbytes else memoryview(b"")
        crc = zlib.crc32(view)
        self._digest.update(struct.pack("<I", crc) + name.encode())
        full = f"{self._folder}/{name}".encode()
        header = self._position
        wide = header >= MAX32 or len(view) >= MAX32
        flags = UTF8_NAMES | (SIZES_FOLLOW if len(view) else 0)
        extra = local_extra(header, len(full), len(view))
        self._emit(
            LOCAL.pack(LOCAL_SIGNATURE, 0, flags, STORED, 0, 0, 0, 0, 0, len(full), len(extra))
        )
        self._emit(full)
        self._emit(extra)
        if len(view):
            self._emit(view)
            sizes = "<IIQQ" if wide else "<IIII"
            self._emit(struct.pack(sizes, DESCRIPTOR_SIGNATURE, crc, len(view), len(view)))
        self._directory.append(central_entry(full, len(view), crc, flags, header))

    def finish(self) -> None:
        """Write `version`, the serialization id and the directory."""
        self.record("version", b"3\n")
        number = int.from_bytes(self._digest.digest(), "little") % 10**40
        self.record(".data/serialization_id", f"{number:040d}".encode())
        start = self._position
        for entry in self._directory:
            self._emit(entry)
        size = self._position - start
        end64 = self._position
        count = len(self._directory)
        self._emit(
            END64.pack(
                END64_SIGNATURE, END64.size - 12, *_END64_VERSION, 0, 0, count, count, size, start
            )
        )
        self._emit(LOCATOR64.pack(LOCATOR64_SIGNATURE, 0, end64, 1))
        short = min(count, MAX16)
        self._emit(
            END.pack(END_SIGNATURE, 0, 0, short, short, min(size, MAX32), min(start, MAX32), 0)
        )

    def _emit(self, data: Any) -> None:
        self._write(data)
        self._position += len(data)


def local_extra(header: int, name_length: int, size: int) -> bytes:
    """The extra fields of a local header at byte `header` that make its record start at a multiple
    of 64: first the numbers that need 8 bytes (zip64), then `Z`s in a field readers skip."""
    wide = [size, size] * (size >= MAX32) + [header] * (header >= MAX32)
    numbers = struct.pack(f"<HH{len(wide)}Q", ZIP64_FIELD, 8 * len(wide), *wide) if wide else b""
    begin = header + LOCAL.size + name_length + len(numbers) + 4
    room = -begin % ALIGNMENT
    return numbers + _PADDING_FIELD + struct.pack("<H", room) + b"Z" * room


def central_entry(name: bytes, size: int, crc: int, flags: int, header: int) -> bytes:
    """One entry of the central directory."""
    wide = [number for number in (size, size, header) if number >= MAX32]
    extra = b""
    if wide:
        extra = struct.pack(f"<HH{len(wide)}Q", ZIP64_FIELD, 8 * len(wide), *wide)
    short = min(size, MAX32)
    fields = (0, 0, flags, STORED, 0, 0, crc, short, short, len(name), len(extra), 0, 0, 0, 0)
    return CENTRAL.pack(CENTRAL_SIGNATURE, *fields, min(header, MAX32)) + name + extra
