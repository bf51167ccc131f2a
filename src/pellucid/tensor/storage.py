"""Memory: `Storage`, shared by all views of it, and the caching allocator it comes from.

Fresh memory from the operating system costs a page fault for every 4 KiB when it is first touched:
a 33 MB result takes 12 ms instead of 3. The allocator therefore keeps what is freed, by size class,
and hands it out again. Blocks start at a multiple of 64 bytes, a cache line and the widest vector.

A block may still be in use when its `Storage` ends, by a NumPy array that the user got from
`tensor.numpy()`. NumPy arrays hold a reference to the block's owner, so the owner's reference count
tells: a kept block is handed out only if nobody else refers to it.
"""

from __future__ import annotations

import mmap
import sys
from operator import index as to_index
from typing import Any

import numpy as np

from pellucid.config import cache_bytes, debug_windows
from pellucid.tensor.device import CPU, device

ALIGNMENT = 64
_SMALL = 4096
_BYTE = np.dtype(np.uint8)


class Statistics:
    """What the allocator did so far: bytes requested from the system, bytes reused, bytes lying in
    the cache.
    """

    __slots__ = ("cached_bytes", "fresh_blocks", "fresh_bytes", "reused_blocks")

    def __init__(self) -> None:
        self.cached_bytes = 0
        self.fresh_blocks = 0
        self.fresh_bytes = 0
        self.reused_blocks = 0


statistics = Statistics()
_free: dict[int, list[tuple[np.ndarray, np.ndarray, int]]] = {}
_limit = cache_bytes()
_verbose = "alloc" in debug_windows()


def size_class(nbytes: int) -> int:
    """`nbytes` rounded up: to 64 bytes while small, then to one of eight steps per power of two
    (12.5 % slack at most).
    """
    if nbytes <= _SMALL:
        return (nbytes + 63) & ~63 or 64
    step = 1 << (nbytes.bit_length() - 4)
    return (nbytes + step - 1) & -step


def _fresh_block(size: int) -> tuple[np.ndarray, np.ndarray, int]:
    owner = np.empty(size + ALIGNMENT, _BYTE)
    address = owner.__array_interface__["data"][0]
    skip = -address % ALIGNMENT
    statistics.fresh_blocks += 1
    statistics.fresh_bytes += size
    if _verbose:
        print(f"pellucid alloc: {size} fresh bytes", file=sys.stderr)
    return owner, owner[skip : skip + size], address + skip


def _reused_block(
    size: int, getrefcount: Any = sys.getrefcount
) -> tuple[np.ndarray, np.ndarray, int] | None:
    """A kept block of this size class that nobody looks at any more, or None."""
    blocks = _free.get(size)
    while blocks:
        try:
            block = blocks.pop()
        except IndexError:  # another thread took the last one
            return None
        statistics.cached_bytes -= size
        if getrefcount(block[0]) == 3:  # this tuple's reference, the buffer's and getrefcount's own
            statistics.reused_blocks += 1
            return block
    return None


def empty_cache() -> None:
    """Give the memory that is kept for reuse back to the system."""
    _free.clear()
    statistics.cached_bytes = 0


class _Unnoticed:
    total = 0

    def __init__(self) -> None:
        self.by_storage: dict[int, int] = {}


unnoticed = _Unnoticed()
"""Writes through `.data`, which no version counter of the tensor itself notices: how many in all,
and by the `id` of the storage that owns the bytes. Plans look at them.
"""


class Storage:
    """A run of bytes that tensors look at.

    `buffer` is a flat `uint8` array over the bytes, `address` where they start, `version` the
    number of in-place writes so far (what autograd compares), `owner` the object that keeps the
    memory alive. `writer`, once set, is the name of the operator that wrote last.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_class",
        "_nbytes",
        "buffer",
        "owner",
        "version",
        "writer",
    )
    owner: Any
    buffer: np.ndarray
    version: int
    writer: str

    lazy: bool = False
    """Whether the bytes are read conjugated or negated (`lazy_storage.LazyStorage`)."""
    meta: bool = False
    """Whether the bytes are only counted (`meta.MetaStorage`)."""
    conjugated: bool = False
    negated: bool = False

    def __init__(self, nbytes: int) -> None:
        if type(nbytes) is not int:  # a tensor would go on computing with tensors
            nbytes = to_index(nbytes)
        self._nbytes = nbytes
        size = (nbytes + 63) & -64 if 0 < nbytes <= _SMALL else size_class(nbytes)
        self.version = 0
        self.owner, self.buffer, self._address = _reused_block(size) or _fresh_block(size)
        self._class = size  # last: from here on there is something to give back

    @classmethod
    def adopt(cls, array: np.ndarray) -> Storage:
        """A storage over the memory of a contiguous NumPy array, without copying it."""
        self = cls.__new__(cls)
        flat = array.reshape(-1) if array.flags.c_contiguous else array.ravel(order="K")
        self.buffer = flat.view(_BYTE) if array.size else np.empty(0, _BYTE)
        self.owner = array
        self._nbytes = array.nbytes
        self._class = 0
        self.version = 0
        self._address = -1
        return self

    @property
    def address(self) -> int:
        """Where the first byte lies.

        Asking NumPy costs a microsecond, so adopted memory is asked only when needed.
        """
        if self._address < 0:
            self._address = self.buffer.__array_interface__["data"][0] if self._nbytes else 0
        return self._address

    @property
    def base(self) -> Storage:
        """The storage that owns the bytes: this one, unless it is lazy."""
        return self

    @property
    def is_own(self) -> bool:
        """Whether the bytes are a block of the allocator's that no other storage looks at."""
        return self._class > 0

    def alias(self) -> Storage:
        """The same bytes with a version counter of their own: what `tensor.data` looks at."""
        other = _Alias.__new__(_Alias)
        other.owner, other.buffer, other._address = self, self.buffer, self._address
        other._nbytes, other._class, other._count = self._nbytes, 0, 0
        return other

    def __del__(self) -> None:
        try:
            size = self._class
        except AttributeError:  # interrupted, or out of memory, while it was made
            return
        if size and statistics.cached_bytes + size <= _limit:
            statistics.cached_bytes += size
            block = (self.owner, self.buffer, self._address)
            try:
                _free[size].append(block)
            except KeyError:
                _free[size] = [block]

    def resize_(self, nbytes: int) -> None:
        """Make room for `nbytes`; the bytes that fit are kept.

        Tensors made before keep looking at the old bytes.
        """
        if not isinstance(nbytes, (int, np.integer)):
            raise RuntimeError(f"resize_ expects an int, but got {type(nbytes).__name__}")
        larger = Storage(nbytes)
        nbytes = larger._nbytes
        kept = min(nbytes, self._nbytes)
        larger.buffer[:kept] = self.buffer[:kept]
        self.owner, self.buffer, self._address = larger.owner, larger.buffer, larger._address
        self._class, larger._class = larger._class, 0
        self._nbytes = nbytes

    def move(self, owner: Any, buffer: np.ndarray) -> None:
        """Look at `buffer`, bytes that `owner` keeps alive, from now on.

        Tensors made before keep looking at the old bytes.
        """
        self.owner, self.buffer, self._address = owner, buffer, -1
        self._class = 0

    # -- the part of torch.UntypedStorage that programs use

    def data_ptr(self) -> int:
        """The address of the first byte (0 when empty)."""
        return self.address if self._nbytes else 0

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._nbytes

    size = nbytes

    def __sizeof__(self) -> int:
        """The object and its bytes: `sys.getsizeof(x.untyped_storage())`."""
        return super().__sizeof__() + self._nbytes

    def __len__(self) -> int:
        return self._nbytes

    def __getitem__(self, index: Any) -> Any:
        taken = self.buffer[: self._nbytes][index]
        return int(taken) if np.ndim(taken) == 0 else Storage.adopt(taken)

    def tolist(self) -> list[int]:
        """The bytes as a list of ints."""
        return self.buffer[: self._nbytes].tolist()

    @property
    def _cdata(self) -> int:
        return self.address

    def __setitem__(self, index: Any, value: Any) -> None:
        self.buffer[: self._nbytes][index] = value
        self.version += 1

    def fill_(self, value: int) -> Storage:
        """Set every byte to `value`."""
        self[:] = value
        return self

    def copy_(self, source: Storage, non_blocking: bool | None = None) -> Storage:
        """Copy the bytes of `source`, which has as many."""
        self[:] = source.buffer[: source._nbytes]
        return self

    def clone(self) -> Storage:
        """A copy of the bytes."""
        return Storage(self._nbytes).copy_(self)

    def cpu(self) -> Storage:
        """The storage itself: it is on the CPU."""
        return self

    def untyped(self) -> Storage:
        """The storage itself: it is of bytes."""
        return self

    def is_shared(self) -> bool:
        """Whether child processes see what is written."""
        return isinstance(self.owner, mmap.mmap)

    def is_pinned(self, device: Any = "cuda") -> bool:
        """False: there is no accelerator to pin memory for."""
        return False

    def element_size(self) -> int:
        """Bytes per element: 1."""
        return 1

    @property
    def filename(self) -> str | None:
        """The file that writes go to (`mapped_storage`); None for memory."""
        name: str | None = getattr(self.owner, "filename", None)
        return name

    @property
    def device(self) -> device:
        """Always the CPU."""
        return CPU

    def __repr__(self) -> str:
        rows = "".join(f" {value}\n" for value in self.tolist())
        return rows + f"[torch.storage.UntypedStorage(device=cpu) of size {self._nbytes}]"


class _Alias(Storage):
    """The bytes of another storage with a version counter of its own, whose writes are counted."""

    __slots__ = ("_count",)

    @property
    def version(self) -> int:
        """In-place writes through this storage."""
        return self._count

    @version.setter
    def version(self, value: int) -> None:
        self._count = value
        root = id(_root(self))
        unnoticed.total += 1
        unnoticed.by_storage[root] = unnoticed.by_storage.get(root, 0) + 1


def _root(storage: Storage) -> Storage:
    while isinstance(storage.owner, Storage):
        storage = storage.owner
    return storage


def raw_writes(storage: Storage) -> int:
    """How often the bytes of a storage were written to through `.data`."""
    return unnoticed.by_storage.get(id(_root(storage)), 0) if unnoticed.total else 0
