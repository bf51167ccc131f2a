"""`save`: write what `torch.load(weights_only=True)` reads, byte for byte as `torch.save` does.

An object becomes a pickle in which every storage is a *persistent id*, `("storage", class, key,
location, length)`; the bytes of storage `key` go into the record `data/<key>`. Tensors that share
memory name the same key. Pellucid's functions and classes that stand for PyTorch's are written
under PyTorch's names: the table by which files are read (`pellucid.io.rules`), turned round.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import IO, Any

from pellucid.io import _bridge as bridge
from pellucid.io.archive_writer import ALIGNMENT, ArchiveWriter
from pellucid.io.atomic import atomic_writer
from pellucid.io.element_types import UNTYPED, StorageType, storage_type_of
from pellucid.io.legacy import LENGTH, MAGIC_NUMBER, PROTOCOL_VERSION
from pellucid.io.rules import (
    PARAMETER,
    TENSOR,
    VALUES,
    rebuild_from_type,
    rebuild_parameter,
    rebuild_parameter_with_state,
    rebuild_tensor_v2,
    rebuild_tensor_v3,
)
from pellucid.tensor.device import device
from pellucid.tensor.dtype import dtype
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor

DEFAULT_PROTOCOL = 2
_TORCH_NAMES = {
    value: name for name, value in VALUES.items() if name.startswith("torch.") and callable(value)
}
"""Classes and rebuild functions, by what stands for them here."""
Span = tuple[int, int]


def save(
    obj: object,
    f: str | os.PathLike[str] | IO[bytes],
    pickle_module: Any = pickle,
    pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True,
    *,
    compact: bool = False,
) -> None:
    """Write `obj` to a file that `torch.load` and `pellucid.io.load` read.

    Args:
        obj: tensors in any containers; anything else that Python can pickle.
        f: a path (the file appears when it is complete), or a file opened for writing bytes.
        pickle_module: Python's own `pickle`; no other is used.
        pickle_protocol: 2 to 5. PyTorch's `weights_only=True` reads 2.
        _use_new_zipfile_serialization: False writes the format from before PyTorch 1.6.
        compact: a view saves the whole storage it looks at, as in PyTorch. With `compact=True`
            only the elements from the first to the last that some saved tensor shows are written;
            sharing is kept.

    Raises:
        RuntimeError: the folder does not exist; one storage is saved under two dtypes.
        AttributeError: `f` is neither a path nor a file.
    """
    if pickle_module is not pickle and pickle_module is not None:
        raise RuntimeError(
            f"save: pickle_module {getattr(pickle_module, '__name__', pickle_module)!r} is not "
            "used: files are written by Pellucid's own pickler. Leave the argument out"
        )
    write = _write_zip if _use_new_zipfile_serialization else _write_legacy
    if isinstance(f, (str, os.PathLike)):
        stem = Path(f).name.rpartition(".")[0] or Path(f).name.lstrip(".") or "archive"
        with atomic_writer(f) as file:
            write(obj, file, stem, pickle_protocol, compact)
        return
    if not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )
    write(obj, f, "archive", pickle_protocol, compact)
    if hasattr(f, "flush"):
        f.flush()


def _write_zip(obj: object, file: IO[bytes], stem: str, protocol: int, compact: bool) -> None:
    data, storages = _pickled(obj, protocol, compact, Storages.zip_identity)
    archive = ArchiveWriter(file.write, stem)
    archive.record("data.pkl", data)
    archive.record(".format_version", b"1")
    archive.record(".storage_alignment", str(ALIGNMENT).encode())
    archive.record("byteorder", sys.byteorder.encode())
    for key, (storage, (begin, end), _) in storages.saved.items():
        archive.record(f"data/{key}", bridge.storage_bytes(storage)[begin:end].data)
    archive.finish()


def _write_legacy(obj: object, file: IO[bytes], stem: str, protocol: int, compact: bool) -> None:
    sizes = {"short": 2, "int": 4, "long": struct.calcsize("=l")}
    machine = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": sys.byteorder == "little",
        "type_sizes": sizes,
    }
    data, storages = _pickled(obj, protocol, compact, Storages.legacy_identity)
    for part in (MAGIC_NUMBER, PROTOCOL_VERSION, machine):
        file.write(pickle.dumps(part, protocol))
    file.write(data)
    keys = sorted(storages.saved)
    file.write(pickle.dumps(keys, protocol))
    for key in keys:
        storage, (begin, end), element = storages.saved[key]
        raw = bridge.storage_bytes(storage)[begin:end]
        if sys.byteorder == "big":
            raw = raw.copy()
            bridge.byteswapped(raw, element)
        file.write(LENGTH.pack(raw.size // element.itemsize))
        file.write(raw.data)


def _pickled(
    obj: object, protocol: int, compact: bool, identity: Callable[..., Any]
) -> tuple[bytes, Storages]:
    """The pickle, and the storages it names."""
    storages = Storages(identity)
    if compact:
        survey = Storages(identity)
        Pickler(io.BytesIO(), protocol, survey).dump(obj)
        storages.spans = survey.shown
    buffer = io.BytesIO()
    Pickler(buffer, protocol, storages).dump(obj)
    return buffer.getvalue(), storages


class _Mention:
    """A storage as one tensor (or the user) mentions it: the object that has a persistent id."""

    __slots__ = ("kind", "storage")

    def __init__(self, storage: Storage, kind: StorageType) -> None:
        self.storage = storage
        self.kind = kind


class Storages:
    """The storages of one file: their keys, and which bytes of them are written.

    Attributes:
        saved: key to (storage, bytes written, dtype).
        shown: bytes of each storage that tensors show so far.
        spans: bytes to write, by storage; all of those missing here.
    """

    def __init__(self, identity: Callable[[Storages, StorageType, str, int], Any]) -> None:
        self._identity = identity
        self.saved: dict[str, tuple[Storage, Span, dtype]] = {}
        self.shown: dict[tuple[int, int], Span] = {}
        self.spans: dict[tuple[int, int], Span] | None = None
        self._keys: dict[tuple[int, int], str] = {}
        self._types: dict[int, dtype] = {}

    def zip_identity(self, kind: StorageType, key: str, numel: int) -> tuple[Any, ...]:
        """The persistent id in the zip format."""
        return "storage", kind, key, "cpu", numel

    def legacy_identity(self, kind: StorageType, key: str, numel: int) -> tuple[Any, ...]:
        """The persistent id in the old format: the last place was for views of storages."""
        return "storage", kind, key, "cpu", numel, None

    def span(self, storage: Storage) -> Span:
        """The first and the end of the bytes of `storage` that are written."""
        whole = (0, storage.nbytes())
        return whole if self.spans is None else self.spans.get(_same(storage), whole)

    def show(self, tensor: Tensor) -> None:
        """Note which bytes of its storage a tensor shows."""
        layout, itemsize = tensor._layout, tensor.dtype.itemsize
        begin = end = layout.offset * itemsize
        if layout.numel:
            reach = zip(layout.shape, layout.strides, strict=True)
            end += (sum((size - 1) * stride for size, stride in reach) + 1) * itemsize
        same = _same(tensor._storage.base)
        if begin == end:
            self.shown.setdefault(same, (0, 0))
            return
        first, last = self.shown.get(same, (0, 0))
        self.shown[same] = (begin, end) if first == last else (min(first, begin), max(last, end))

    def identity(self, mention: _Mention) -> Any:
        """The persistent id of a storage.

        Raises:
            RuntimeError: the storage was mentioned with another dtype.
        """
        storage, kind = mention.storage, mention.kind
        same = _same(storage)
        if storage.nbytes() and self._types.setdefault(storage.address, kind.dtype) != kind.dtype:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different "
                f"types: {self._types[storage.address]} and {kind.dtype}. Save one of them, or a "
                "`.clone()`"
            )
        key = self._keys.setdefault(same, str(len(self._keys)))
        span = self.span(storage)
        self.saved[key] = storage, span, kind.dtype
        return self._identity(self, kind, key, (span[1] - span[0]) // kind.dtype.itemsize)


def _same(storage: Storage) -> tuple[int, int]:
    """Equal for storages over the same bytes (`tensor.data` has a `Storage` of its own)."""
    return (storage.address, storage.nbytes()) if storage.nbytes() else (id(storage), -1)


class Pickler(pickle._Pickler):
    """Python's pickler, which knows tensors and writes PyTorch's names."""

    def __init__(self, file: IO[bytes], protocol: int, storages: Storages) -> None:
        super().__init__(file, protocol)
        self._storages = storages

    def persistent_id(self, obj: Any) -> Any:
        """Storages go into records of their own."""
        if type(obj) is _Mention:
            return self._storages.identity(obj)
        if isinstance(obj, Storage):
            self._storages.shown[_same(obj)] = (0, obj.nbytes())
            return self._storages.identity(_Mention(obj, UNTYPED))
        return None

    def reducer_override(self, obj: Any) -> Any:
        """How tensors, dtypes and devices are written: as PyTorch's own."""
        name = _torch_name(obj)
        if name is not None:
            return name
        if isinstance(obj, device):
            return device, ((obj.type,) if obj.index is None else (obj.type, obj.index))
        if isinstance(obj, Tensor):
            return self._reduce_tensor(obj)
        return NotImplemented

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Write a name: PyTorch's, if `reducer_override` found one."""
        if not isinstance(name, TorchName):
            inner = str(name or getattr(obj, "__qualname__", ""))
            if "<locals>" in inner and sys.version_info < (3, 14):  # in the words of C's pickler
                raise AttributeError(f"Can't pickle local object {inner!r}")
            super().save_global(obj, name)  # type: ignore[misc]
            return
        module, _, last = name.rpartition(".")
        if self.proto >= 4:  # type: ignore[attr-defined]
            self.save(module)  # type: ignore[attr-defined]
            self.save(last)  # type: ignore[attr-defined]
            self.write(pickle.STACK_GLOBAL)  # type: ignore[attr-defined]
        else:
            self.write(pickle.GLOBAL + f"{module}\n{last}\n".encode())  # type: ignore[attr-defined]
        self.memoize(obj)  # type: ignore[attr-defined]

    def _reduce_tensor(self, tensor: Tensor) -> Any:
        kind: Any = type(tensor)
        if not _is_parameter(tensor) and kind.__reduce_ex__ is not Tensor.__reduce_ex__:
            return NotImplemented
        state = bridge.attributes_of(tensor)
        if _is_parameter(tensor):
            hooks: OrderedDict[int, Any] = OrderedDict()
            plain = bridge.plain_data(tensor)
            if state:
                return rebuild_parameter_with_state, (plain, tensor._requires_grad, hooks, state)
            return rebuild_parameter, (plain, tensor._requires_grad, hooks)
        function, args = self._rebuild(tensor)
        if state or kind is not Tensor:
            return rebuild_from_type, (function, kind, args, state)
        return function, args

    def _rebuild(self, tensor: Tensor) -> tuple[Any, tuple[Any, ...]]:
        """The rebuild function of PyTorch for a tensor, and its arguments."""
        storage, layout, element = tensor._storage.base, tensor._layout, tensor.dtype
        self._storages.show(tensor)
        kind = storage_type_of(element)
        begin, end = self._storages.span(storage)
        offset = layout.offset - begin // element.itemsize if end > begin else 0
        hooks: OrderedDict[int, Any] = OrderedDict()
        args: tuple[Any, ...] = (
            _Mention(storage, kind),
            offset,
            (*layout.shape,),  # fresh tuples, so that the pickle is PyTorch's to the byte
            (*layout.strides,),
            bool(tensor._requires_grad),
            hooks,
        )
        flags = bridge.lazy_flags(tensor)
        if kind is UNTYPED:
            return rebuild_tensor_v3, (*args, element, *flags)
        return rebuild_tensor_v2, (*args, *flags)


def _is_parameter(tensor: Tensor) -> bool:
    """Whether `tensor` is written as a `Parameter`: one, or of a subclass that writes itself so."""
    kind: Any = type(tensor)
    return any(
        (base.__module__, base.__name__) == bridge.PARAMETER
        and base.__reduce_ex__ is kind.__reduce_ex__
        for base in kind.__mro__
    )


class TorchName(str):
    """A dotted name to write instead of the object's own."""

    __slots__ = ()


def _torch_name(obj: Any) -> TorchName | None:
    """PyTorch's dotted name of what stands for something of PyTorch here, or None."""
    if type(obj) is StorageType:
        return TorchName(obj.name)
    if isinstance(obj, dtype):
        return TorchName(f"torch.{obj.name}")
    if obj is Tensor:
        return TorchName(TENSOR)
    if isinstance(obj, type) and (obj.__module__, obj.__name__) == bridge.PARAMETER:
        return TorchName(PARAMETER)
    name = _TORCH_NAMES.get(obj) if isinstance(obj, (type, FunctionType)) else None
    return None if name is None else TorchName(name)
