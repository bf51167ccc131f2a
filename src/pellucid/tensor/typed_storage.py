"""`TypedStorage`: a storage read as elements of one dtype, and `FloatStorage`, `LongStorage`, ….

PyTorch keeps these for old programs; new ones use `x.untyped_storage()`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from pellucid.tensor.device import CPU, device
from pellucid.tensor.dtype import all_dtypes, default, dtype
from pellucid.tensor.dtype import dtype as ElementType
from pellucid.tensor.mapped_storage import map_file
from pellucid.tensor.storage import Storage


class TypedStorage:
    """The elements of a storage, in their order in memory.

    Args: a number of elements (uninitialised), a sequence of numbers, or nothing (no elements);
    or `wrap_storage=` an untyped storage to share; `dtype`: of the elements.
    """

    dtype: ElementType
    is_cuda = is_sparse = False

    def __init__(
        self,
        *args: Any,
        wrap_storage: Storage | None = None,
        dtype: ElementType | None = None,
        device: Any = None,
        _internal: bool = False,
    ) -> None:
        if not _internal:
            warn_typed_storage(stacklevel=2)
        self.dtype = dtype or getattr(type(self), "dtype", None) or default.floating
        if wrap_storage is not None:
            self._untyped_storage = wrap_storage
        elif args and isinstance(args[0], Sequence):
            self._untyped_storage = Storage(len(args[0]) * self.dtype.itemsize)
            self._elements[...] = args[0]
        else:
            self._untyped_storage = Storage((args[0] if args else 0) * self.dtype.itemsize)

    @property
    def _elements(self) -> np.ndarray:
        nbytes = self._untyped_storage.nbytes()
        return self._untyped_storage.buffer[:nbytes].view(self.dtype.numpy)

    def __sizeof__(self) -> int:
        """The object and its elements' bytes."""
        return super().__sizeof__() + self._untyped_storage.nbytes()

    def untyped(self) -> Storage:
        """The bytes."""
        return self._untyped_storage

    @property
    def device(self) -> device:
        """Always the CPU."""
        return CPU

    def __len__(self) -> int:
        return self._untyped_storage.nbytes() // self.dtype.itemsize

    size = __len__

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._untyped_storage.nbytes()

    def element_size(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._untyped_storage.data_ptr()

    def __getitem__(self, index: Any) -> Any:
        found = self._elements[index]
        return found if isinstance(index, slice) else _number(found)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._elements[index] = value
        self._untyped_storage.version += 1

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        return [_number(value) for value in self._elements]

    def fill_(self, value: Any) -> TypedStorage:
        """Set every element to `value`."""
        self[:] = value
        return self

    def copy_(self, source: TypedStorage, non_blocking: bool | None = None) -> TypedStorage:
        """Copy the elements of `source`, converted to this dtype."""
        self[:] = source._elements
        return self

    def clone(self) -> TypedStorage:
        """A copy of the elements."""
        fresh = TypedStorage(len(self), dtype=self.dtype, _internal=True)
        return fresh.copy_(self)

    def resize_(self, size: int) -> None:
        """Make room for `size` elements; those that fit are kept."""
        self._untyped_storage.resize_(size * self.dtype.itemsize)

    def cpu(self) -> TypedStorage:
        """The storage itself: it is on the CPU."""
        return self

    def type(self) -> str:
        """PyTorch's name of the storage's class, such as "torch.FloatStorage"."""
        return "torch." + storage_name(self.dtype)

    def pickle_storage_type(self) -> str:
        """The class a file names: "FloatStorage"."""
        return storage_name(self.dtype)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypedStorage) and self.data_ptr() == other.data_ptr()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        rows = "".join(f" {value}\n" for value in self.tolist())
        kind = f"[torch.storage.TypedStorage(dtype={self.dtype}, device=cpu) of size {len(self)}]"
        return rows + kind


def _number(value: Any) -> Any:
    found = value.item()
    return found if isinstance(found, (bool, int, float, complex)) else float(value)


def storage_name(kind: dtype) -> str:
    """`float32`: "FloatStorage"."""
    return kind.tensor_type.removesuffix("Tensor") + "Storage"


def warn_typed_storage(stacklevel: int) -> None:
    """PyTorch's warning that typed storages will go."""
    warnings.warn(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be "
        "the "
        "only storage class. This should only matter to you if you are using storages directly.  "
        "To "
        "access UntypedStorage directly, use tensor.untyped_storage() instead of tensor.storage()",
        UserWarning,
        stacklevel=stacklevel + 1,
    )


class _StorageType(type):
    """`isinstance(s, FloatStorage)` asks a typed storage for its dtype."""

    dtype: ClassVar[Any]

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, TypedStorage) and instance.dtype is cls.dtype

    def __call__(cls, *args: Any, **kwargs: Any) -> TypedStorage:
        return TypedStorage(*args, dtype=cls.dtype, **kwargs)

    def from_file(cls, filename: str, shared: bool = False, size: int = 0) -> TypedStorage:
        """The first `size` elements of a file; see `UntypedStorage.from_file`."""
        bytes_ = map_file(filename, shared, size * cls.dtype.itemsize)
        return TypedStorage(wrap_storage=bytes_, dtype=cls.dtype, _internal=True)


storage_types = {
    storage_name(kind): _StorageType(storage_name(kind), (), {"dtype": kind, "__module__": "torch"})
    for kind in all_dtypes()
}
"""`FloatStorage`, `LongStorage`, … by name."""
