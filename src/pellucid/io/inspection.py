"""`inspect_pickle`: what a file holds, told without making any of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from pellucid.io.archive import Archive
from pellucid.io.detect import LEGACY, ZIP, no_checkpoint
from pellucid.io.element_types import StorageType
from pellucid.io.errors import UnpicklingError
from pellucid.io.grammar import AllowList
from pellucid.io.layout_check import checked_layout
from pellucid.io.legacy import read_bytes, read_object
from pellucid.io.machine import Machine
from pellucid.io.opening import File, opened, pickle_of
from pellucid.io.refused import Refused
from pellucid.tensor.device import device
from pellucid.tensor.dtype import dtype

MAX_LINES = 200
MAX_DEPTH = 8


@dataclass(frozen=True, eq=False)
class StorageNote:
    """A storage a pickle mentions: key, element dtype, elements, the device it was saved from."""

    key: str
    element: dtype
    numel: int
    location: str

    def __repr__(self) -> str:
        return f"storage {self.key} of {self.numel} x {self.element.name} ({self.location})"


@dataclass(eq=False)
class TensorNote:
    """A tensor a pickle describes; `problem` says why `load` would not make it."""

    element: dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    storage: StorageNote
    requires_grad: bool
    problem: str = ""

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.shape))
        text = (
            f"{type(self).__name__.removesuffix('Note').lower()} {self.element.name}[{shape}] "
            f"strides {self.strides} offset {self.offset} in {self.storage}"
        )
        return text + (f"  !! {self.problem}" if self.problem else "")


class ParameterNote(TensorNote):
    """A parameter a pickle describes."""


class NotesWorld:
    """Writes down tensors and storages instead of making them."""

    tensor_class: type = TensorNote

    def __init__(self) -> None:
        self.storages: dict[str, StorageNote] = {}

    def parameter_class(self) -> type:
        """What stands for the class `Parameter`."""
        return ParameterNote

    def storage(
        self, kind: StorageType, key: str, location: str, numel: int, view: Any
    ) -> StorageNote:
        """A note of the storage `key`."""
        return self.storages.setdefault(key, StorageNote(key, kind.dtype, numel, location))

    def tensor(
        self,
        storage: Any,
        element: dtype | None,
        offset: Any,
        shape: Any,
        strides: Any,
        requires_grad: bool,
        metadata: dict[str, bool],
    ) -> TensorNote:
        """A note of the tensor, with what is wrong with it."""
        if not isinstance(storage, StorageNote):
            raise UnpicklingError(f"a tensor needs a storage, got {type(storage).__name__}")
        own = storage.element if element is None else element
        nbytes = storage.numel * storage.element.itemsize
        try:
            layout = checked_layout(shape, strides, offset, own.itemsize, nbytes)
        except UnpicklingError as error:
            return TensorNote(own, (), (), 0, storage, requires_grad, str(error))
        return TensorNote(own, *layout, storage, requires_grad)

    def parameter(self, data: TensorNote, requires_grad: bool) -> ParameterNote:
        """A note of the parameter."""
        return ParameterNote(
            data.element, data.shape, data.strides, data.offset, data.storage, requires_grad
        )


@dataclass
class Report:
    """What `inspect_pickle` found; its text is the table.

    Attributes:
        kind: what sort of file it is.
        protocol: of the pickle; opcodes: how many were read.
        records: name and size of the archive's records.
        names: offset, dotted name and verdict of every global.
        value: the object, with notes for tensors and `Refused` for what is not on the list.
        problem: why reading stopped, or "".
    """

    kind: str
    protocol: int = 0
    opcodes: int = 0
    records: list[tuple[str, int]] = field(default_factory=list)
    names: list[tuple[int, str, str]] = field(default_factory=list)
    value: Any = None
    problem: str = ""

    @property
    def refused(self) -> list[tuple[int, str]]:
        """Offset and name of the globals that `load` would refuse."""
        return [(at, name) for at, name, verdict in self.names if "allowed" not in verdict]

    def tensors(self) -> dict[str, TensorNote]:
        """Every tensor the object reaches, by its path."""
        return {
            path: value
            for path, _, value, _ in _walk(self.value, limit=1 << 20, depth=64)
            if isinstance(value, TensorNote)
        }

    def __repr__(self) -> str:
        lines = [self.kind, f"pickle protocol {self.protocol}, {self.opcodes} opcodes"]
        if self.records:
            lines.append("records (bytes)")
            lines += [f"  {size:>12}  {name}" for name, size in self.records[:MAX_LINES]]
        lines.append("names (offset, verdict)")
        lines += [
            f"  {at:>8}  {verdict:<8}  {name}" for at, name, verdict in self.names[:MAX_LINES]
        ]
        lines.append("structure")
        for _, name, value, depth in _walk(self.value, limit=MAX_LINES, depth=MAX_DEPTH):
            lines.append(f"  {'  ' * depth}{name}: {_label(value)}")
        if self.problem:
            lines.append(f"problem: {self.problem}")
        return "\n".join(lines)

    __str__ = __repr__


def inspect_pickle(f: File) -> Report:
    """Tell what a file of `torch.save` (or any pickle) holds; nothing of it is made or run.

    Args:
        f: a path or a seekable file.

    Returns:
        A `Report`: print it, or use its fields. Damage is reported in `problem`, not raised.
    """
    with opened(f) as file:
        problem = no_checkpoint(file)
        if problem is not None:
            return Report("not a checkpoint", problem=str(problem))
        start = file.tell()
        head = file.read(len(LEGACY))
        file.seek(start)
        try:
            if head.startswith(ZIP):
                return _inspect_zip(file)
            return _inspect_stream(file, legacy=head == LEGACY)
        except (UnpicklingError, ValueError) as error:
            return Report("damaged file", problem=str(error))


def get_unsafe_globals_in_checkpoint(f: File) -> list[str]:
    """The dotted names in a file that `load` would refuse, each once.

    Raises:
        UnpicklingError: the file cannot be read to its end, so there may be more.
    """
    report = inspect_pickle(f)
    if report.problem:
        raise UnpicklingError(report.problem)
    return sorted({name for _, name in report.refused})


def _inspect_zip(file: IO[bytes]) -> Report:
    archive = Archive(file)
    report = Report(f"zip archive of torch.save, {archive.length} bytes")
    report.records = [(record.name, record.size) for record in archive.records.values()]
    data = pickle_of(archive)
    world = NotesWorld()
    grammar = AllowList(world, len(data), skip_refused=True)
    machine = Machine(data, grammar, encoding="latin1")
    try:
        report.value = machine.run()
    except UnpicklingError as error:
        report.problem = str(error)
    report.protocol, report.opcodes, report.names = machine.protocol, machine.opcodes, grammar.named
    for note in world.storages.values():
        name, needed = f"data/{note.key}", note.numel * note.element.itemsize
        if name not in archive or archive.find(name).size < needed:
            report.problem = report.problem or f"record {name} does not hold {needed} bytes"
    return report


def _inspect_stream(file: IO[bytes], legacy: bool) -> Report:
    data = read_bytes(file)
    if legacy:
        value, grammar, pickles = read_object(
            data, NotesWorld(), encoding="latin1", skip_refused=True
        )
        kind = f"torch.save's format before PyTorch 1.6, {len(data)} bytes"
        return Report(kind, pickles.protocol, pickles.opcodes, [], grammar.named, value)
    grammar = AllowList(NotesWorld(), len(data), skip_refused=True, where="the file")
    machine = Machine(data, grammar, encoding="latin1", where="the file")
    report = Report(f"a plain pickle, not written by torch.save, {len(data)} bytes")
    try:
        report.value = machine.run()
    except UnpicklingError as error:
        report.problem = str(error)
    report.protocol, report.opcodes, report.names = machine.protocol, machine.opcodes, grammar.named
    return report


def _walk(root: Any, limit: int, depth: int) -> Iterator[tuple[str, str, Any, int]]:
    """Path, own name, value and depth of everything in nested containers, in reading order."""
    waiting: list[tuple[str, str, Any, int]] = [("", ".", root, 0)]
    inside: set[int] = set()
    while waiting and limit:
        path, name, value, level = waiting.pop()
        limit -= 1
        yield path, name, value, level
        if level >= depth or id(value) in inside:
            continue
        children = _children(value)
        if children:
            inside.add(id(value))
            begin = path + "." if path else ""
            waiting += [
                (
                    begin + (key if isinstance(key, str) else _short(key)),
                    _short(key),
                    item,
                    level + 1,
                )
                for key, item in reversed(children)
            ]


def _children(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Refused):
        parts = [("args", value.args), ("state", value.state), ("items", value.items)]
        return [(name, part) for name, part in parts if part]
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, argparse.Namespace):
        return list(vars(value).items())
    if isinstance(value, (list, tuple)) and not _is_plain(value):
        return list(enumerate(value))
    return []


def _is_plain(value: Any) -> bool:
    """Whether a list is short and of numbers or text, so that it is shown on one line."""
    return len(value) <= 8 and all(
        item is None or isinstance(item, (bool, int, float, str)) for item in value
    )


def _label(value: Any) -> str:
    if isinstance(value, dict):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, (list, tuple)) and not _is_plain(value):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(_short(item) for item in value)})"
    return _short(value)


def _short(value: Any) -> str:
    """One line, at most 100 characters, whatever the file put there."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (str, bytes, bytearray)):
        return repr(value[:60]) + (f"... ({len(value)})" if len(value) > 60 else "")
    if isinstance(value, (set, frozenset, tuple, list, dict)):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, (TensorNote, StorageNote, Refused)):
        return repr(value)
    if value is None or isinstance(value, (bool, int, float, complex, slice, range, dtype, device)):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"numpy.ndarray {value.dtype.name}{list(value.shape)}"
    return f"{type(value).__module__}.{type(value).__qualname__}"
