"""Copies that Python asks for: `copy.deepcopy(x)`, `pickle`; and memory that processes share.

Storages keep their identity: tensors that share one before a copy share one after it.
"""

from __future__ import annotations

import copy
import copyreg
import functools
import inspect
import mmap
from typing import Any

import numpy as np

from pellucid.tensor.dtype import dtype
from pellucid.tensor.layout import Layout
from pellucid.tensor.lazy_storage import LazyStorage, read_as
from pellucid.tensor.meta import MetaStorage
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, make


@functools.cache
def _fields() -> frozenset[str]:
    """The names that belong to every tensor itself; what a class derived from it adds is a
    program's.
    """
    names: set[str] = set()
    for base in Tensor.__mro__:
        names.update(base.__dict__, inspect.get_annotations(base))
    return frozenset(names)


def user_attributes(tensor: Tensor) -> dict[str, Any]:
    """What a program put on a tensor (`x.name = "weights"`), without the tensor's own fields."""
    own = _fields()
    return {name: value for name, value in vars(tensor).items() if name not in own}


# -- copy.deepcopy


def deepcopy_storage(storage: Storage, memo: dict[Any, Any]) -> Storage:
    """A copy of the bytes; the same one for every storage over the same bytes within one
    `deepcopy`.
    """
    copies = memo.setdefault("pellucid.storages", {})
    if storage.meta:
        return copies.setdefault(id(storage), storage.alias())
    key = id(storage.buffer)
    if key not in copies:
        fresh = Storage(storage.nbytes())
        fresh.buffer[: storage.nbytes()] = storage.buffer[: storage.nbytes()]
        copies[key] = fresh
    return copies[key]


def _deepcopy(self: Tensor, memo: dict[Any, Any]) -> Tensor:
    """A leaf with a copy of the whole storage, of `grad`, and of the attributes."""
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol "
            "at the moment.  If you were attempting to deepcopy a module, this may be because of a "
            "torch.nn.utils.weight_norm usage, see https://github.com/pytorch/pytorch/pull/103001\n"
            f"  This tensor was computed by {self.grad_fn.name()}: copy x.detach() instead."
        )
    if id(self) in memo:
        return memo[id(self)]
    resolved = self._storage.lazy and not self._storage.meta
    source = self.detach().clone() if resolved else self
    made = make(deepcopy_storage(source._storage, memo), source._layout, self.dtype)
    if type(self) is not Tensor:
        made.__class__ = type(self)
    made._requires_grad = self._requires_grad
    memo[id(self)] = made
    if self._grad is not None:
        made._grad = _deepcopy(self._grad, memo)
    for name, value in user_attributes(self).items():
        setattr(made, name, copy.deepcopy(value, memo))
    return made


Tensor.__deepcopy__ = _deepcopy  # type: ignore[attr-defined]


# -- pickle


def rebuild(
    cls: type[Tensor],
    storage: Storage,
    layout: tuple[tuple[int, ...], tuple[int, ...], int],
    kind: dtype,
    requires_grad: bool,
    attributes: dict[str, Any],
) -> Tensor:
    """The tensor that a pickle describes."""
    made = make(storage, Layout(*layout), kind)
    if cls is not Tensor:
        made.__class__ = cls
    made._requires_grad = requires_grad
    vars(made).update(attributes)
    return made


def _reduce(self: Tensor, protocol: Any) -> tuple[Any, ...]:
    args = (
        type(self),
        self._storage,
        tuple(self._layout),
        self.dtype,
        self._requires_grad,
        user_attributes(self),
    )
    return rebuild, args


def rebuild_storage(data: bytes) -> Storage:
    """The storage that a pickle describes."""
    storage = Storage(len(data))
    storage.buffer[: len(data)] = np.frombuffer(data, dtype=np.uint8)
    return storage


def _reduce_storage(storage: Storage) -> tuple[Any, ...]:
    return rebuild_storage, (storage.buffer[: storage.nbytes()].tobytes(),)


# Pickle alone calls this, with the protocol as an integer.
Tensor.__reduce_ex__ = _reduce  # type: ignore[method-assign, assignment]
copyreg.pickle(Storage, _reduce_storage)


copyreg.pickle(MetaStorage, lambda storage: (MetaStorage, (storage.nbytes(),)))


def rebuild_lazily(base: Storage, conjugated: bool, negated: bool) -> Storage:
    """The storage of a conjugate or negative view that a pickle describes."""
    return read_as(base, conjugated=conjugated, negated=negated)


def _reduce_lazily(storage: LazyStorage) -> tuple[Any, ...]:
    return rebuild_lazily, (storage.base, storage.conjugated, storage.negated)


copyreg.pickle(LazyStorage, _reduce_lazily)


# -- shared memory


def share_memory_(self: Tensor) -> Tensor:
    """Move the storage to memory that child processes made by `fork` share, and return this tensor.

    Call it before other views are made: tensors that look at the storage already keep its old
    bytes.
    """
    storage = self._storage
    if not isinstance(storage.owner, mmap.mmap) and storage.nbytes():
        shared = mmap.mmap(-1, storage.nbytes())
        buffer = np.frombuffer(shared, dtype=np.uint8)
        buffer[:] = storage.buffer[: storage.nbytes()]
        storage.move(shared, buffer)
        vars(self).pop("_array", None)
    return self


def is_shared(self: Tensor) -> bool:
    """Whether the memory is shared with child processes."""
    return self._storage.is_shared()


Tensor.share_memory_ = share_memory_  # type: ignore[attr-defined]
Tensor.is_shared = is_shared  # type: ignore[method-assign]
