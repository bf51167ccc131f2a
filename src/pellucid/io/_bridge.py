"""The few things file formats ask of the tensor core, in one place.

`Parameter` lives above this room; its class is fetched by name when a file holds one.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from typing import Any

import numpy as np

from pellucid.tensor.dtype import dtype
from pellucid.tensor.layout import Layout
from pellucid.tensor.lazy_storage import read_as
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, make

PARAMETER = ("pellucid.nn.parameter", "Parameter")

HOOKS = "_backward_hooks"
"""An attribute that is never saved."""


def parameter_class() -> Any:
    """The class `pellucid.nn.Parameter`."""
    return getattr(importlib.import_module(PARAMETER[0]), PARAMETER[1])


def make_tensor(
    storage: Storage,
    element: dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    requires_grad: bool = False,
) -> Tensor:
    """The tensor that shows a layout (in elements, already checked) of `storage`: a leaf."""
    made = make(storage, Layout(shape, strides, offset), element)
    if requires_grad:
        made._requires_grad = True
    return made


def storage_bytes(storage: Storage) -> np.ndarray:
    """All bytes of a storage, as a flat `uint8` array over its memory."""
    return storage.buffer[: storage.nbytes()]


def byteswapped(array: np.ndarray, element: dtype) -> None:
    """Swap the bytes of each number in `array` (flat `uint8`), in place."""
    width = element.itemsize // 2 if element.is_complex else element.itemsize
    if width > 1:
        array[: array.size // width * width].view(f"u{width}").byteswap(inplace=True)


def read_lazily(tensor: Tensor, metadata: dict[str, bool]) -> Tensor:
    """The tensor read conjugated or negated, which PyTorch saves as flags."""
    conjugated, negated = bool(metadata.get("conj")), bool(metadata.get("neg"))
    tensor._storage = read_as(tensor._storage, conjugated=conjugated, negated=negated)
    return tensor


@functools.cache
def own_names(kind: Any) -> frozenset[str]:
    """Attributes that the instances of a class have or may get from the class itself."""
    names: set[str] = set()
    for base in kind.__mro__:
        names.update(base.__dict__, inspect.get_annotations(base))
    return frozenset(names)


def attributes_of(tensor: Tensor) -> dict[str, Any]:
    """The Python attributes a program put on a tensor (`t.name = "x"`), not its own fields."""
    kind: Any = type(tensor)
    fields = own_names(kind)
    return {
        name: value for name, value in vars(tensor).items() if name not in fields and name != HOOKS
    }


def as_subclass(tensor: Tensor, kind: Any) -> Tensor:
    """The same tensor as an instance of `kind`, a subclass of `Tensor`."""
    made = object.__new__(kind)
    vars(made).update(vars(tensor))
    return made


def plain_data(parameter: Tensor) -> Tensor:
    """The tensor inside a parameter: the same storage and layout, no gradient wanted."""
    layout = parameter._layout
    return make_tensor(
        parameter._storage, parameter.dtype, layout.shape, layout.strides, layout.offset
    )


def lazy_flags(tensor: Tensor) -> tuple[dict[str, bool], ...]:
    """What PyTorch saves behind a tensor that is read conjugated or negated; nothing for others."""
    flags = {"conj": tensor._storage.conjugated, "neg": tensor._storage.negated}
    found: dict[str, bool] = {name: value for name, value in flags.items() if value}
    return (found,) if found else ()
