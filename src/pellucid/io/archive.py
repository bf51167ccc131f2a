"""Reading a zip archive that may be damaged or hostile.

The directory is read and checked as a whole before any record is: names occur once, records lie
inside the file and do not overlap, and a compressed record does not announce more than deflate can
hold. Only then is `Record.size` a number to allocate by.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import IO, Any, NamedTuple

from pellucid.io.errors import ArchiveError, TruncatedFileError
from pellucid.io.zip_format import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    DEFLATED,
    ENCRYPTED,
    END,
    END64,
    END64_SIGNATURE,
    END_SEARCH,
    END_SIGNATURE,
    LOCAL,
    LOCAL_SIGNATURE,
    LOCATOR64,
    LOCATOR64_SIGNATURE,
    MAX16,
    MAX32,
    STORED,
    ZIP64_FIELD,
)

DEFLATE_LIMIT = 1032
"""Deflate makes at most 1032 bytes of one (RFC 1951: 258 bytes from two bits)."""
MAX_RECORDS = 1 << 20
_CHUNK = 1 << 20
_PREFIX = "PytorchStreamReader failed reading zip archive: "


class Record(NamedTuple):
    """One file of an archive.

    Attributes:
        name: with the folder every record of PyTorch's files is in.
        size: bytes, uncompressed.
        packed: bytes in the archive.
        method: `STORED` or `DEFLATED`.
        crc: CRC-32 of the bytes; 0 if the writer did not compute it.
        header: where the local header starts.
        start: where the bytes start.
    """

    name: str
    size: int
    packed: int
    method: int
    crc: int
    header: int
    start: int


class Archive:
    """The records of a zip file.

    Args:
        file: seekable, opened for reading bytes. Offsets count from its current position.

    Raises:
        ArchiveError: no zip archive, or one that contradicts itself.
        TruncatedFileError: the end is missing.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.base = file.tell()
        file.seek(0, os.SEEK_END)
        self.length = file.tell() - self.base
        entries, size, offset = self._end_record()
        self.records = {record.name: record for record in self._directory(entries, size, offset)}
        self._check_overlap(offset)
        self.folder = self._common_folder()

    def __contains__(self, name: str) -> bool:
        return self.folder + name in self.records

    def find(self, name: str) -> Record:
        """The record `name`, without the folder."""
        record = self.records.get(self.folder + name)
        if record is None:
            raise ArchiveError(f"{_PREFIX}file not found: {self.folder}{name}")
        return record

    def read(self, name: str) -> bytes:
        """The bytes of a record."""
        record = self.find(name)
        buffer = bytearray(record.size)
        self.read_into(record, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, record: Record, target: Any) -> None:
        """Fill `target` (a writable buffer) with the first bytes of a record and check them all.

        Raises:
            ArchiveError: the bytes do not have the recorded CRC-32, or do not decompress.
        """
        view = memoryview(target)
        if record.method == STORED and len(view) == record.size:
            self._seek(record.start)
            self._fill(view, record)
            crc = zlib.crc32(view)
        else:
            crc = self._unpack(record, view)
        if record.crc and crc != record.crc:
            raise ArchiveError(
                f"{record.name}: the CRC-32 of the record is {crc:08x}, the archive says "
                f"{record.crc:08x}; the file is damaged, fetch or save it again"
            )

    # -- the directory

    def _seek(self, offset: int) -> None:
        self.file.seek(self.base + offset)

    def _bytes(self, offset: int, count: int, what: str) -> bytes:
        if not 0 <= offset <= self.length - count:
            raise ArchiveError(f"{_PREFIX}{what} lies outside the file (offset {offset})")
        self._seek(offset)
        data = self.file.read(count)
        if len(data) != count:
            raise TruncatedFileError(f"{_PREFIX}{what} is cut short")
        return data

    def _end_record(self) -> tuple[int, int, int]:
        """Entries, bytes and offset of the central directory."""
        reach = min(self.length, END_SEARCH)
        tail = self._bytes(self.length - reach, reach, "the end of the archive")
        found = tail.rfind(struct.pack("<I", END_SIGNATURE))
        if found < 0 or found + END.size > len(tail):
            raise TruncatedFileError(
                f"{_PREFIX}failed finding central directory. The end of the archive is missing: "
                f"the file has {self.length} bytes and was probably cut short while it was saved "
                "or fetched"
            )
        _, disk, other, _, entries, size, offset, _ = END.unpack_from(tail, found)
        at = self.length - reach + found
        entries, size, offset = self._end_record64(at, entries, size, offset)
        if disk or other:
            raise ArchiveError(f"{_PREFIX}the archive is split over several files")
        if entries > MAX_RECORDS or entries * CENTRAL.size > size or size > self.length:
            raise ArchiveError(f"{_PREFIX}{entries} records in a directory of {size} bytes")
        if offset + size > at:
            raise ArchiveError(f"{_PREFIX}the central directory lies outside the file")
        return entries, size, offset

    def _end_record64(self, at: int, entries: int, size: int, offset: int) -> tuple[int, int, int]:
        if at < LOCATOR64.size:
            return entries, size, offset
        locator = LOCATOR64.unpack(
            self._bytes(at - LOCATOR64.size, LOCATOR64.size, "zip64 locator")
        )
        if locator[0] != LOCATOR64_SIGNATURE:
            return entries, size, offset
        end = END64.unpack(self._bytes(locator[2], END64.size, "zip64 end record"))
        if end[0] != END64_SIGNATURE:
            raise ArchiveError(f"{_PREFIX}the zip64 end record is missing")
        return (
            end[7] if entries == MAX16 else entries,
            end[8] if size == MAX32 else size,
            end[9] if offset == MAX32 else offset,
        )

    def _directory(self, entries: int, size: int, offset: int) -> list[Record]:
        data = self._bytes(offset, size, "the central directory")
        found: list[Record] = []
        names: set[str] = set()
        position = 0
        for _ in range(entries):
            if position + CENTRAL.size > size:
                raise ArchiveError(f"{_PREFIX}the central directory ends early")
            fields = CENTRAL.unpack_from(data, position)
            lengths = fields[10:13]
            end = position + CENTRAL.size + sum(lengths)
            if fields[0] != CENTRAL_SIGNATURE or end > size:
                raise ArchiveError(f"{_PREFIX}the central directory is damaged at byte {position}")
            start = position + CENTRAL.size
            raw_name = data[start : start + lengths[0]]
            extra = data[start + lengths[0] : start + lengths[0] + lengths[1]]
            record = self._record(fields, raw_name, extra)
            if record.name in names:
                raise ArchiveError(
                    f"{_PREFIX}the record {record.name!r} occurs twice; readers would disagree on "
                    "what the file holds"
                )
            names.add(record.name)
            found.append(record)
            position = end
        return found

    def _record(self, fields: tuple[int, ...], raw_name: bytes, extra: bytes) -> Record:
        flags, method, crc = fields[3], fields[4], fields[7]
        packed, size, header = fields[8], fields[9], fields[16]
        name = raw_name.decode("utf-8", "backslashreplace")
        size, packed, header = _wide_numbers(name, extra, size, packed, header)
        if flags & ENCRYPTED or method not in (STORED, DEFLATED):
            raise ArchiveError(
                f"{_PREFIX}the record {name!r} is {'encrypted' if flags & ENCRYPTED else 'packed'} "
                f"in a way PyTorch does not write (method {method})"
            )
        local = LOCAL.unpack(self._bytes(header, LOCAL.size, f"the header of {name!r}"))
        if local[0] != LOCAL_SIGNATURE:
            raise ArchiveError(f"{_PREFIX}there is no header for {name!r} at byte {header}")
        if self._bytes(header + LOCAL.size, local[9], "a name") != raw_name:
            raise ArchiveError(f"{_PREFIX}directory and header disagree on the name of {name!r}")
        start = header + LOCAL.size + local[9] + local[10]
        if start + packed > self.length:
            raise TruncatedFileError(
                f"{_PREFIX}{name!r} announces {packed} bytes from byte {start}, the file has "
                f"{self.length}"
            )
        if (method == STORED and size != packed) or size > packed * DEFLATE_LIMIT:
            raise ArchiveError(
                f"{_PREFIX}{name!r} announces {size} bytes in {packed}, which cannot be"
            )
        return Record(name, size, packed, method, crc, header, start)

    def _check_overlap(self, directory: int) -> None:
        """Records lie one after the other: no byte is two records' (a zip bomb's trick)."""
        end = 0
        for record in sorted(self.records.values(), key=lambda record: record.header):
            if record.header < end:
                raise ArchiveError(f"{_PREFIX}{record.name!r} overlaps the record before it")
            end = record.start + record.packed
        if end > directory:
            raise ArchiveError(f"{_PREFIX}the last record overlaps the central directory")

    def _common_folder(self) -> str:
        """The folder all records are in, with a slash."""
        first = next(iter(self.records), "")
        folder, slash, _ = first.partition("/")
        if not slash:
            raise ArchiveError(
                f"file in archive is not in a subdirectory: {first or '(the archive is empty)'}. "
                "This zip archive was not written by torch.save"
            )
        strays = [name for name in self.records if not name.startswith(folder + slash)]
        if strays:
            raise ArchiveError(
                f"file in archive is not in a subdirectory {folder}/: {strays[0]}. "
                "This zip archive was not written by torch.save"
            )
        return folder + slash

    # -- bytes of a record

    def _fill(self, view: memoryview, record: Record) -> None:
        readinto = getattr(self.file, "readinto", None)
        done = 0
        while done < len(view):
            if readinto is not None:
                count = readinto(view[done:])
            else:
                piece = self.file.read(min(_CHUNK, len(view) - done))
                count = len(piece)
                view[done : done + count] = piece
            if not count:
                raise TruncatedFileError(f"{record.name}: the file ends inside the record")
            done += count

    def _unpack(self, record: Record, view: memoryview) -> int:
        """Copy a record piece by piece, decompressing it; returns the CRC-32 of all its bytes."""
        unpacker = zlib.decompressobj(-15) if record.method == DEFLATED else None
        crc = done = 0
        left = record.packed
        self._seek(record.start)
        while left:
            raw = self.file.read(min(_CHUNK, left))
            if not raw:
                raise TruncatedFileError(f"{record.name}: the file ends inside the record")
            left -= len(raw)
            while raw:
                piece = raw
                raw = b""
                if unpacker is not None:
                    try:
                        piece = unpacker.decompress(piece, _CHUNK)
                    except zlib.error as error:
                        raise ArchiveError(f"{record.name}: damaged: {error}") from None
                    raw = unpacker.unconsumed_tail
                crc = zlib.crc32(piece, crc)
                kept = piece[: max(0, len(view) - done)]
                view[done : done + len(kept)] = kept
                done += len(piece)
                if done > record.size:
                    raise ArchiveError(f"{record.name}: holds more than the announced bytes")
        if done != record.size:
            raise ArchiveError(f"{record.name}: holds {done} bytes, announced are {record.size}")
        return crc


def _wide_numbers(
    name: str, extra: bytes, size: int, packed: int, header: int
) -> tuple[int, int, int]:
    """Replace numbers of 0xFFFFFFFF by those of the zip64 field, in its fixed order."""
    if MAX32 not in (size, packed, header):
        return size, packed, header
    position = 0
    while position + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, position)
        if tag == ZIP64_FIELD:
            body = extra[position + 4 : position + 4 + length]
            wide = list(struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8]))
            numbers = [size, packed, header]
            for index, number in enumerate(numbers):
                if number == MAX32 and wide:
                    numbers[index] = wide.pop(0)
            return numbers[0], numbers[1], numbers[2]
        position += 4 + length
    return size, packed, header
