"""The format of `torch.save` before PyTorch 1.6 (and with `_use_new_zipfile_serialization=False`).

Five pickles one after the other (magic number, version, byte sizes, the object, the keys of its
storages), then for each key eight bytes of length and the storage itself. The object comes before
the bytes, so storages are made at their first mention and filled at the end; what the pickle
announces is compared with what the file holds before any memory is taken.
"""

from __future__ import annotations

import io
import os
import struct
import sys
from typing import IO, Any

from pellucid.io import _bridge as bridge
from pellucid.io.element_types import StorageType
from pellucid.io.errors import TruncatedFileError, UnpicklingError
from pellucid.io.grammar import AllowList, World
from pellucid.io.layout_check import brief
from pellucid.io.machine import Machine
from pellucid.io.worlds import Restore, TensorWorld
from pellucid.tensor.storage import Storage

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
LENGTH = struct.Struct("<q")


class LegacyWorld(TensorWorld):
    """Storages whose bytes follow later.

    Args:
        restore: moves a storage to its place.
        available: bytes of the file; storages may not announce more altogether.
    """

    def __init__(self, restore: Restore, available: int) -> None:
        super().__init__(restore)
        self.left = available
        self.types: dict[str, StorageType] = {}
        self.unfilled: dict[str, Storage] = {}

    def bytes_of(self, kind: StorageType, key: str, nbytes: int) -> Storage:
        """Room for the storage `key`."""
        self.left -= nbytes
        if self.left < 0:
            raise TruncatedFileError(
                f"storage {key!r} announces {nbytes} bytes, more than the file still holds"
            )
        self.types[key] = kind
        self.unfilled[key] = storage = Storage(nbytes)
        return storage


class Pickles:
    """The pickles of a file, one at a time; `protocol` and `opcodes` are the last one's."""

    def __init__(self, data: memoryview, encoding: str) -> None:
        self.data = data
        self.encoding = encoding
        self.position = 0
        self.protocol = 0
        self.opcodes = 0

    def next(self, grammar: AllowList) -> Any:
        """Read the pickle at `position`."""
        machine = Machine(
            self.data, grammar, start=self.position, encoding=self.encoding, where=grammar.where
        )
        value = machine.run()
        self.position = machine.position
        self.protocol, self.opcodes = machine.protocol, machine.opcodes
        return value


def read_bytes(file: IO[bytes]) -> memoryview:
    """All bytes from the current position on."""
    if isinstance(file, io.BytesIO):
        return file.getbuffer()[file.tell() :].toreadonly()
    start = file.tell()
    file.seek(0, os.SEEK_END)
    size = file.tell() - start
    file.seek(start)
    data = bytearray(size)
    readinto = getattr(file, "readinto", None)
    if readinto is None:
        return memoryview(file.read())
    view = memoryview(data)
    done = 0
    while done < size and (count := readinto(view[done:])):
        done += count
    return view[:done].toreadonly()


def read_object(
    data: memoryview, world: World, *, encoding: str, skip_refused: bool, program: bool = False
) -> tuple[Any, AllowList, Pickles]:
    """The object of an old file, with the grammar that read it and the place where it ends."""
    where = "the file"
    pickles = Pickles(data, encoding)
    plain = AllowList(world, len(data), where=where)
    if pickles.next(plain) != MAGIC_NUMBER:
        raise UnpicklingError(
            "Invalid magic number; corrupt file? It is a pickle, but not one of torch.save: "
            "pellucid.io.inspect_pickle shows what it holds"
        )
    version = pickles.next(plain)
    if version != PROTOCOL_VERSION:
        raise UnpicklingError(f"Invalid protocol version: {brief(version)}")
    if not isinstance(pickles.next(plain), dict):
        raise UnpicklingError("the description of the writing machine is no dictionary")
    grammar = AllowList(world, len(data), skip_refused=skip_refused, where=where, program=program)
    return pickles.next(grammar), grammar, pickles


def load_legacy(
    file: IO[bytes],
    restore: Restore,
    *,
    encoding: str,
    skip_refused: bool,
    program: bool = False,
) -> Any:
    """Read a file of the old format from the current position on; leaves it after the last byte."""
    start = file.tell()
    data = read_bytes(file)
    world = LegacyWorld(restore, len(data))
    result, grammar, pickles = read_object(
        data, world, encoding=encoding, skip_refused=skip_refused, program=program
    )
    keys = pickles.next(grammar)
    if not isinstance(keys, list):
        raise UnpicklingError("the list of storages is missing")
    end = _fill(data, pickles.position, [_text(key) for key in keys], world)
    file.seek(start + end)
    return result


def _text(key: Any) -> str:
    return str(key, "latin1") if isinstance(key, bytes) else str(key)


def _fill(data: memoryview, position: int, keys: list[str], world: LegacyWorld) -> int:
    """Copy the bytes of every storage to where the pickle wants them; returns where they end."""
    for key in keys:
        storage = world.unfilled.pop(key, None)
        if storage is None:
            raise UnpicklingError(f"storage {key[:40]!r} is listed, but no tensor uses it")
        if position + LENGTH.size > len(data):
            raise TruncatedFileError("unexpected EOF, expected more bytes. The file is cut short.")
        (numel,) = LENGTH.unpack_from(data, position)
        position += LENGTH.size
        target = bridge.storage_bytes(storage)
        kind = world.types[key]
        if numel * kind.dtype.itemsize != target.size:
            raise UnpicklingError(
                f"storage {key!r} has {numel} elements of {kind.name}, the pickle says "
                f"{target.size // kind.dtype.itemsize}"
            )
        if position + target.size > len(data):
            missing = position + target.size - len(data)
            raise TruncatedFileError(
                f"unexpected EOF, expected {missing} more bytes. The file might be corrupted."
            )
        target.data[:] = data[position : position + target.size]
        if sys.byteorder == "big":
            bridge.byteswapped(target, kind.dtype)
        position += target.size
    if world.unfilled:
        raise UnpicklingError(f"no bytes for storage {next(iter(world.unfilled))!r}")
    return position
