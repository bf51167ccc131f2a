"""The safetensors format: eight bytes of length, a JSON header, then the tensors' bytes.

The format is small enough to be read here, for two reasons: its own library cannot give `bfloat16`
to NumPy, and it copies every tensor once more than needed. What must hold of a file (the format's
README): the header is at most 100 MB of JSON that begins with `{` and may end in spaces; keys occur
once; every tensor has a known dtype, and `end - begin` is what its shape needs; together the
tensors cover the bytes behind the header without holes or overlaps. Each is checked.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np

from pellucid.io import _bridge as bridge
from pellucid.io.atomic import atomic_writer
from pellucid.io.errors import ArchiveError, TruncatedFileError
from pellucid.io.layout_check import checked_layout
from pellucid.io.locations import restore_to_cpu
from pellucid.io.worlds import map_file
from pellucid.tensor.dtype import dtype, dtype_named
from pellucid.tensor.layout import contiguous_strides
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor

MAX_HEADER = 100_000_000
ALIGNMENT = 8
_NAMES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "C64": "complex64",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
}
"""In the order in which the library sorts them; wider ones are written first."""
_ELEMENTS = {name: dtype_named(own) for name, own in _NAMES.items()}
_CODES = {element: name for name, element in _ELEMENTS.items()}
_RANK = {name: rank for rank, name in enumerate(_NAMES)}


class Entry(NamedTuple):
    """One tensor of a file: dtype, shape, and where its bytes lie behind the header."""

    element: dtype
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """The tensors of a file, its metadata, and the offset of the first byte behind the header."""

    entries: dict[str, Entry]
    metadata: dict[str, str] | None
    data_start: int


def load_file(filename: str | os.PathLike[str], device: Any = "cpu") -> dict[str, Tensor]:
    """All tensors of a file, by name, in the order of their bytes.

    They lie in one private mapping of the file, as with the library: bytes are read when they are
    touched, and writing to a tensor does not change the file.

    Args:
        filename: the path.
        device: "cpu".

    Raises:
        ArchiveError: the file breaks a rule of the format.
        FileNotFoundError: there is no such file.
    """
    with safe_open(filename, device=device) as file:
        return {name: file.get_tensor(name) for name in file.offset_keys()}


def load(data: bytes) -> dict[str, Tensor]:
    """All tensors of a file that is in memory already."""
    view = memoryview(data)
    header = _parse(view[:8], len(view), view[8:])
    found = {}
    for name, entry in header.entries.items():
        storage = Storage(entry.end - entry.begin)
        begin = header.data_start + entry.begin
        bridge.storage_bytes(storage).data[:] = view[begin : header.data_start + entry.end]
        found[name] = _tensor(storage, entry)
    return found


def save_file(
    tensors: Mapping[str, Tensor],
    filename: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write tensors by name, byte for byte as the library does. The file appears when complete.

    Args:
        tensors: dense (contiguous) tensors that share no memory.
        filename: the path.
        metadata: text by name, kept in the header.

    Raises:
        ValueError: a value that is no tensor, or not contiguous.
        RuntimeError: two names for the same memory, which the format cannot say.
    """
    header, ordered = _described(tensors, metadata)
    with atomic_writer(filename) as file:
        file.write(header)
        for tensor in ordered:
            file.write(_raw(tensor))


def save(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """What `save_file` would write."""
    header, ordered = _described(tensors, metadata)
    return b"".join([header, *(bytes(_raw(tensor)) for tensor in ordered)])


class safe_open:
    """A file whose tensors are looked at one by one: mapped into memory, read when touched.

    Args:
        filename: the path.
        framework: "pt" (tensors) or "np" (NumPy arrays).
        device: "cpu".
    """

    def __init__(
        self, filename: str | os.PathLike[str], framework: str = "pt", device: Any = "cpu"
    ) -> None:
        if framework not in ("pt", "torch", "pytorch", "np", "numpy"):
            raise ValueError(f"framework {framework!r} is not known; use 'pt' or 'np'")
        restore_to_cpu(Storage(0), str(device))
        self._as_numpy = framework in ("np", "numpy")
        with Path(filename).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._header = read_header(file, size)
            self._memory: np.ndarray | None = map_file(file)

    def keys(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._header.entries)

    def offset_keys(self) -> list[str]:
        """The names in the order of their bytes."""
        return sorted(self._header.entries, key=lambda name: self._header.entries[name].begin)

    def metadata(self) -> dict[str, str] | None:
        """The text kept in the header, or None."""
        return self._header.metadata

    def get_tensor(self, name: str) -> Any:
        """The tensor `name`, over the mapped file: no bytes are copied before they are written.

        Raises:
            ArchiveError: there is no such tensor, or the file was closed.
        """
        entry = self._header.entries.get(name)
        if entry is None or self._memory is None:
            why = "the file is closed" if entry else f"there are {', '.join(self.keys()[:8])}"
            raise ArchiveError(f"File does not contain tensor {name}: {why}")
        begin = self._header.data_start
        raw = self._memory[begin + entry.begin : begin + entry.end]
        if raw.size and raw.__array_interface__["data"][0] % entry.element.itemsize:
            raw = raw.copy()
        made = _tensor(Storage.adopt(raw), entry)
        return made._array if self._as_numpy else made

    def get_slice(self, name: str) -> _Slice:
        """The tensor `name`, to be indexed: `get_slice("w")[:, :4]` reads those bytes only."""
        return _Slice(self, name)

    def __enter__(self) -> safe_open:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._memory = None


class _Slice:
    """A tensor of a file, before it is known which part is wanted."""

    def __init__(self, file: safe_open, name: str) -> None:
        self._file = file
        self._name = name
        self._entry = file._header.entries.get(name)
        if self._entry is None:
            raise ArchiveError(f"File does not contain tensor {name}")

    def get_shape(self) -> list[int]:
        """The whole tensor's shape."""
        assert self._entry is not None
        return list(self._entry.shape)

    def get_dtype(self) -> str:
        """The dtype in the format's words, "F32"."""
        assert self._entry is not None
        return _CODES[self._entry.element]

    def __getitem__(self, index: Any) -> Any:
        return self._file.get_tensor(self._name)[index]


# -- reading


def read_header(file: IO[bytes], size: int) -> Header:
    """Read and check the header of a file of `size` bytes, from its beginning."""
    length = file.read(8)
    count = min(int.from_bytes(length, "little"), MAX_HEADER, max(size - 8, 0))
    return _parse(length, size, file.read(count))


def _parse(length: Any, size: int, rest: Any) -> Header:
    if len(length) < 8:
        raise TruncatedFileError("Error while deserializing header: header too small")
    count = int.from_bytes(length, "little")
    if count > MAX_HEADER:
        raise ArchiveError(f"Error while deserializing header: header too large ({count} bytes)")
    if 8 + count > size:
        raise TruncatedFileError(
            f"Error while deserializing header: invalid header length: {count} bytes announced, "
            f"the file has {size}"
        )
    text = bytes(rest[:count])
    if text[:1] != b"{":
        raise ArchiveError("Error while deserializing header: invalid header start")
    try:
        parsed = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(
            f"Error while deserializing header: invalid JSON in header: {error}"
        ) from None
    metadata = parsed.pop("__metadata__", None)
    if metadata is not None and not _all_text(metadata):
        raise ArchiveError("Error while deserializing header: metadata must map text to text")
    entries = {name: _entry(name, value) for name, value in parsed.items()}
    _check_cover(entries, size - 8 - count)
    return Header(entries, metadata, 8 + count)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _all_text(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _entry(name: str, value: Any) -> Entry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise ArchiveError(f"{name}: a tensor needs dtype, shape and data_offsets")
    element = _ELEMENTS.get(value["dtype"]) if isinstance(value["dtype"], str) else None
    if element is None:
        raise ArchiveError(
            f"{name}: the dtype {str(value['dtype'])[:20]} is not in Pellucid; there are "
            f"{', '.join(_NAMES)}"
        )
    offsets = value["data_offsets"]
    plain = isinstance(offsets, list) and len(offsets) == 2
    if not plain or not all(type(number) is int and number >= 0 for number in offsets):
        raise ArchiveError(f"{name}: data_offsets must be two integers >= 0")
    begin, end = offsets
    shape = value["shape"]
    if not isinstance(shape, list) or len(shape) > 64:
        raise ArchiveError(f"{name}: the shape must be a list of at most 64 integers")
    zeros = [0] * len(shape)
    checked, _, _ = checked_layout(shape, zeros, 0, element.itemsize, element.itemsize)
    needed = math.prod(checked) * element.itemsize
    if end - begin != needed:
        raise ArchiveError(
            f"{name}: invalid offset: shape {list(checked)} of {value['dtype']} needs {needed} "
            f"bytes, data_offsets give {end - begin}"
        )
    return Entry(element, checked, begin, end)


def _check_cover(entries: dict[str, Entry], size: int) -> None:
    """The tensors lie one after the other from 0 to `size`."""
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.begin != position:
            raise ArchiveError(
                f"{name}: invalid offset: begins at byte {entry.begin}, the tensor before it ends "
                f"at {position}"
            )
        position = entry.end
    if position > size:
        raise TruncatedFileError(
            f"the tensors need {position} bytes, the file holds {size}: it is cut short"
        )
    if position < size:
        raise ArchiveError(f"{size - position} bytes behind the last tensor belong to none")


def _tensor(storage: Storage, entry: Entry) -> Tensor:
    strides = contiguous_strides(entry.shape)
    return bridge.make_tensor(storage, entry.element, entry.shape, tuple(strides), 0)


# -- writing


def _described(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None
) -> tuple[bytes, list[Tensor]]:
    """The header, and the tensors in the order of their bytes: wide dtypes first, then by name."""
    _check_savable(tensors)
    order = sorted(tensors, key=lambda name: (-_RANK[_CODES[tensors[name].dtype]], name))
    described: dict[str, Any] = {}
    if metadata is not None:
        if not _all_text(dict(metadata)):
            raise ValueError("metadata must map text to text")
        described["__metadata__"] = dict(metadata)
    position = 0
    for name in order:
        tensor = tensors[name]
        end = position + tensor.nbytes
        described[name] = {
            "dtype": _CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text, [tensors[name] for name in order]


def _check_savable(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f"Key `{name}` is invalid, expected torch.Tensor but received {type(tensor)}"
            )
        if tensor.dtype not in _CODES:
            raise ValueError(f"`{name}`: {tensor.dtype} is not a dtype of the format")
        if not tensor.is_contiguous():
            raise ValueError(
                f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. "
                "It either means you are trying to save tensors which are reference of each other "
                "in which case it's recommended to save only the full tensors, and reslice at "
                "load time, or simply call `.contiguous()` on your tensor to pack it before saving."
            )
    shared = _shared_names(tensors)
    if shared:
        raise RuntimeError(
            f"Some tensors share memory, this will lead to duplicate memory on disk and potential "
            f"differences when loading them again: {shared}. Save one of them, or `.clone()` them"
        )


def _shared_names(tensors: Mapping[str, Tensor]) -> list[set[str]]:
    groups: dict[int, set[str]] = {}
    for name, tensor in tensors.items():
        if tensor.nbytes:
            groups.setdefault(tensor._storage.address, set()).add(name)
    return [names for names in groups.values() if len(names) > 1]


def _raw(tensor: Tensor) -> Any:
    """The bytes of a contiguous tensor, over its memory."""
    if tensor._storage.lazy:
        return tensor._array.reshape(-1).view("uint8").data
    begin = tensor._layout.offset * tensor.dtype.itemsize
    return bridge.storage_bytes(tensor._storage)[begin : begin + tensor.nbytes].data
