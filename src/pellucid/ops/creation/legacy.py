"""The constructors from before `torch.tensor`: `Tensor(2, 3)`, `FloatTensor([1, 2])`, `x.new(…)`,
and the classes they are.

`FloatTensor` and its kin are no classes of tensors: every tensor is a `Tensor`. They make tensors
of
one dtype, and `isinstance(x, FloatTensor)` asks for it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pellucid.autograd.node import wants_grad
from pellucid.ops.arguments import integers
from pellucid.ops.creation.data import build
from pellucid.ops.creation.factory import check_shape
from pellucid.ops.creation.nested import is_sequence
from pellucid.ops.spec import registry
from pellucid.tensor import tensor as core
from pellucid.tensor.device import require_cpu, strided
from pellucid.tensor.dtype import all_dtypes, default, dtype, set_default_dtype
from pellucid.tensor.layout import contiguous
from pellucid.tensor.size import Size
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, empty, make
from pellucid.tensor.typed_storage import (
    TypedStorage,
    storage_name,
    storage_types,
    warn_typed_storage,
)


def construct(kind: dtype | None, *args: Any, **kwargs: Any) -> Tensor:
    """`new()`, `new(2, 3)`, `new(Size)`, `new(sequence)`, `new(tensor)`, `new(storage)` in `kind`.

    Without arguments an empty tensor; sizes give uninitialised memory; a tuple or list is data; a
    tensor or storage is shared. `kind` None means the default dtype, and any for a tensor.
    Raises: TypeError for what is none of these, and for a tensor of another dtype.
    """
    require_cpu(kwargs.pop("device", None))
    for key in ("size", "data", "other", "storage"):
        if not args and key in kwargs:
            args = (Size(kwargs.pop(key)) if key == "size" else kwargs.pop(key),)
    found = kind or default.floating
    if kwargs:
        raise _no_match(args, kwargs)
    if not args:
        return empty(contiguous((0,)), found)
    first = args[0]
    if isinstance(first, Size) and len(args) == 1:
        return empty(contiguous(check_shape(tuple(first))), found)
    sized = isinstance(first, Tensor) and len(args) > 1
    if sized or (isinstance(first, (int, np.integer)) and not isinstance(first, bool)):
        return empty(contiguous(check_shape(integers("new", "size", 1, args))), found)
    if len(args) > 1:
        raise _no_match(args, kwargs)
    if isinstance(first, Tensor):
        return _share(first, kind)
    if isinstance(first, Storage):
        return make(first, contiguous((first.nbytes() // found.itemsize,)), found)
    if isinstance(first, str):
        raise TypeError("new(): invalid data type 'str'")
    if not is_sequence(first):
        raise TypeError(
            f"new(): data must be a sequence (got {type(first).__name__})\n"
            "  torch.tensor(...) makes a tensor of a number."
        )
    return build(first, found)


def _share(other: Tensor, kind: dtype | None) -> Tensor:
    if kind is not None and kind is not other.dtype:
        raise TypeError(
            f"expected a tensor of dtype {kind} (got {other.dtype})\n"
            "  The old constructors share a tensor's memory; x.to(dtype) converts."
        )
    if wants_grad(other):
        return other.view_as(other)
    return make(other._storage, other._layout, other.dtype)


def _no_match(args: tuple[Any, ...], kwargs: dict[str, Any]) -> TypeError:
    given = ", ".join(
        [*(type(a).__name__ for a in args), *(f"{k}={type(v).__name__}" for k, v in kwargs.items())]
    )
    return TypeError(
        f"new() received an invalid combination of arguments - got ({given}), but expected one "
        "of:\n"
        " * (*, torch.device device = None)\n * (torch.Storage storage)\n * (Tensor other)\n"
        " * (tuple of ints size)\n * (object data)\n"
        "  torch.tensor(data, dtype=..., requires_grad=...) takes what these old constructors do "
        "not."
    )


def _construct(cls: type[Tensor], *args: Any, **kwargs: Any) -> Any:
    """What `Tensor(...)` and the constructor of a subclass of it give."""
    made = construct(None, *args, **kwargs)
    return made if cls is Tensor else as_subclass(made, cls)


def as_subclass(self: Tensor, cls: type[Tensor]) -> Any:
    """The same memory and history as an instance of `cls`, a subclass of `Tensor`."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError("cls must be a type (got " + type(cls).__name__ + ")")
    shown = self.view_as(self) if wants_grad(self) else self._twin()
    shown.__class__ = cls
    return shown


def _make_subclass(cls: Any, data: Tensor, require_grad: bool = False) -> Any:
    """A leaf of class `cls` over the memory of `data` (what `nn.Parameter` is made with)."""
    made = make(data._storage, data._layout, data.dtype)
    made.__class__ = cls
    return made.requires_grad_(require_grad)


core._legacy_constructor = _construct
Tensor.as_subclass = as_subclass  # type: ignore[attr-defined]
Tensor._make_subclass = staticmethod(_make_subclass)  # type: ignore[attr-defined]


def _new(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`Tensor(...)` in this tensor's dtype: an old form of `new_empty` and `new_tensor`."""
    return construct(self.dtype, *args, **kwargs)


registry.put("Tensor", "new", _new)


def _typed_storage(self: Tensor) -> TypedStorage:
    return TypedStorage(wrap_storage=self._storage, dtype=self.dtype, _internal=True)


def storage(self: Tensor) -> TypedStorage:
    """The storage as elements of this tensor's dtype. Deprecated: `untyped_storage()`."""
    warn_typed_storage(stacklevel=2)
    return _typed_storage(self)


def storage_type(self: Tensor) -> Any:
    """`torch.FloatStorage` for float32, …"""
    warn_typed_storage(stacklevel=2)
    return storage_types[storage_name(self.dtype)]


registry.put("Tensor", "storage", storage)
registry.put("Tensor", "storage_type", storage_type)
registry.put("Tensor", "_typed_storage", _typed_storage)


# -- FloatTensor and its kin


class tensortype(type):
    """The class of `FloatTensor`, `LongTensor`, …: `isinstance` asks for the dtype."""

    dtype: dtype
    is_cuda = is_sparse = False
    layout = strided

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype

    def __call__(cls, *args: Any, **kwargs: Any) -> Tensor:
        return construct(cls.dtype, *args, **kwargs)


tensortype.__module__ = "torch"


def _tensor_type(kind: dtype) -> tensortype:
    notes = (
        f"Makes tensors of dtype {kind}: `{kind.tensor_type}(2, 3)`, `{kind.tensor_type}([1, 2])`."
    )
    return tensortype(
        kind.tensor_type, (), {"dtype": kind, "__module__": "torch", "__doc__": notes}
    )


tensor_types = {kind.tensor_type: _tensor_type(kind) for kind in all_dtypes()}
"""`FloatTensor`, `LongTensor`, … by name."""


def set_default_tensor_type(t: Any) -> None:
    """Set the default floating dtype by a tensor type: `torch.DoubleTensor` or its name.

    Deprecated: `set_default_dtype`. Raises TypeError for types that are not floating.
    """
    warnings.warn(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use "
        "torch.set_default_dtype() and torch.set_default_device() as alternatives.",
        UserWarning,
        stacklevel=2,
    )
    name = t if isinstance(t, str) else getattr(t, "__name__", "")
    found = tensor_types.get(name.removeprefix("torch."))
    if found is None:
        raise TypeError(
            "invalid type object: only floating-point types are supported as the default type"
        )
    set_default_dtype(found.dtype)
