"""Where the storages of a file come from: `TensorWorld` makes tensors over them.

A pickle mentions a storage whenever a tensor uses it; the first mention reads it, later ones find
it, so tensors that shared memory when they were saved share it again.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from pellucid.io import _bridge as bridge
from pellucid.io.archive import Archive
from pellucid.io.element_types import UNTYPED, StorageType
from pellucid.io.errors import ArchiveError, UnpicklingError
from pellucid.io.layout_check import checked_layout
from pellucid.io.zip_format import STORED
from pellucid.tensor.dtype import dtype
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor

Restore = Callable[[Storage, str], Storage]


class TensorWorld:
    """Makes real tensors. Subclasses say where the bytes of a storage are.

    Args:
        restore: moves a storage to its place (`pellucid.io.locations.restorer`).
    """

    tensor_class: type = Tensor

    def __init__(self, restore: Restore) -> None:
        self.restore = restore
        self.storages: dict[str, Storage] = {}
        self.elements: dict[int, dtype] = {}

    def parameter_class(self) -> type:
        """The class `Parameter`."""
        return bridge.parameter_class()

    def bytes_of(self, kind: StorageType, key: str, nbytes: int) -> Storage:
        """A storage with the `nbytes` bytes of `key`."""
        raise NotImplementedError

    def storage(self, kind: StorageType, key: str, location: str, numel: int, view: Any) -> Storage:
        """The storage `key`, read at its first mention."""
        nbytes = numel * kind.dtype.itemsize
        found = self.storages.get(key)
        if found is None:
            found = self.restore(self.bytes_of(kind, key, nbytes), location)
            if not isinstance(found, Storage):
                raise TypeError(
                    "map_location must return None or a storage, it returned "
                    f"{type(found).__name__}"
                )
            self._enter(key, found, kind)
        elif found.nbytes() < nbytes:
            raise UnpicklingError(
                f"storage {key!r} has {found.nbytes()} bytes and is mentioned again with {nbytes}"
            )
        return found if view is None else self._part(found, kind, view)

    def _enter(self, key: str, storage: Storage, kind: StorageType) -> None:
        self.storages[key] = storage
        if kind is not UNTYPED:
            self.elements[id(storage)] = kind.dtype

    def _part(self, root: Storage, kind: StorageType, view: Any) -> Storage:
        """Old files: a storage that is part of another, `(key, offset, numel)` in elements."""
        plain = isinstance(view, tuple) and len(view) == 3 and isinstance(view[0], (str, bytes))
        if not plain or not all(type(part) is int and 0 <= part < 1 << 60 for part in view[1:]):
            raise UnpicklingError("a storage view needs a key, an offset and a length")
        key = view[0].decode("latin1") if isinstance(view[0], bytes) else view[0]
        found = self.storages.get(key)
        if found is None:
            begin = view[1] * kind.dtype.itemsize
            end = begin + view[2] * kind.dtype.itemsize
            if end > root.nbytes():
                raise UnpicklingError(
                    f"a storage view up to byte {end} of a storage of {root.nbytes()} bytes"
                )
            found = Storage.adopt(bridge.storage_bytes(root)[begin:end])
            self._enter(key, found, kind)
        return found

    def tensor(
        self,
        storage: Any,
        element: dtype | None,
        offset: Any,
        shape: Any,
        strides: Any,
        requires_grad: bool,
        metadata: dict[str, bool],
    ) -> Tensor:
        """The tensor that shows a layout of `storage`, in elements.

        Raises:
            UnpicklingError: the layout does not fit the storage.
        """
        if not isinstance(storage, Storage):
            raise UnpicklingError(f"a tensor needs a storage, got {type(storage).__name__}")
        if element is None:
            element = self.elements.get(id(storage), UNTYPED.dtype)
        layout = checked_layout(shape, strides, offset, element.itemsize, storage.nbytes())
        if requires_grad and not (element.is_floating_point or element.is_complex):
            raise UnpicklingError(
                "only Tensors of floating point dtype can require gradients, the file says so of "
                f"a tensor of {element}"
            )
        if metadata.get("conj") and not element.is_complex:
            raise UnpicklingError(f"a tensor of {element} cannot be conjugated, as the file says")
        if metadata.get("neg") and element.name == "bool":
            raise UnpicklingError("a tensor of booleans cannot be negated, as the file says")
        made = bridge.make_tensor(storage, element, *layout, requires_grad)
        return bridge.read_lazily(made, metadata) if metadata else made

    def parameter(self, data: Tensor, requires_grad: bool) -> Tensor:
        """`data` as a parameter, sharing its memory."""
        return self.parameter_class()(data, requires_grad)


class ZipWorld(TensorWorld):
    """Storages from the records `data/<key>` of an archive.

    Args:
        archive: the open file.
        restore: moves a storage to its place.
        memory: the whole file mapped into memory (`map_file`), or None to read records.
    """

    def __init__(self, archive: Archive, restore: Restore, memory: np.ndarray | None) -> None:
        super().__init__(restore)
        self.archive = archive
        self.memory = memory
        self.swapped = byte_order(archive) != sys.byteorder

    def bytes_of(self, kind: StorageType, key: str, nbytes: int) -> Storage:
        """Read or map the record, which must hold at least what the pickle says."""
        record = self.archive.find(f"data/{key}")
        if not nbytes <= record.size < nbytes + kind.dtype.itemsize:
            raise ArchiveError(
                f"{record.name} holds {record.size} bytes, the pickle says {nbytes} "
                f"({kind.name}); the file is damaged"
            )
        if self.memory is not None and record.method == STORED:
            begin = self.archive.base + record.start
            storage = Storage.adopt(self.memory[begin : begin + nbytes])
        else:
            storage = Storage(nbytes)
            self.archive.read_into(record, bridge.storage_bytes(storage).data)
        if self.swapped:
            bridge.byteswapped(bridge.storage_bytes(storage), kind.dtype)
        return storage


def byte_order(archive: Archive) -> str:
    """`"little"` or `"big"`: the record `byteorder`; little where it is missing.

    Raises:
        ValueError: the record says something else.
    """
    if "byteorder" not in archive:
        return "little"
    order = archive.read("byteorder") if archive.find("byteorder").size < 16 else b"?"
    if order not in (b"little", b"big"):
        raise ValueError(f"Unknown endianness type: {order.decode('latin1')}")
    return order.decode()


def map_file(file: IO[bytes]) -> np.ndarray:
    """The file as a flat `uint8` array, private: writes to it stay in memory."""
    size = os.fstat(file.fileno()).st_size
    mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
    return np.frombuffer(mapped, np.uint8)
