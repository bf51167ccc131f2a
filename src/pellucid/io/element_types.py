"""The names under which PyTorch's files speak of dtypes and storages."""

from __future__ import annotations

from typing import NamedTuple

from pellucid.tensor.dtype import all_dtypes, dtype, dtype_named

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
}
"""PyTorch's closed list: younger dtypes (`uint16`, …) are saved as untyped bytes and a dtype."""


class StorageType(NamedTuple):
    """A storage class of PyTorch, as a file names it: `torch.FloatStorage`.

    Attributes:
        name: dotted, with module.
        dtype: what one element of `numel` is; `uint8` for untyped storages.
    """

    name: str
    dtype: dtype


STORAGE_TYPES: dict[str, StorageType] = {
    f"torch.{name}": StorageType(f"torch.{name}", dtype_named(element))
    for name, element in _STORAGES.items()
}
UNTYPED = StorageType("torch.storage.UntypedStorage", dtype_named("uint8"))
STORAGE_TYPES[UNTYPED.name] = UNTYPED
STORAGE_TYPES["torch.UntypedStorage"] = UNTYPED

DTYPES: dict[str, dtype] = {f"torch.{element.name}": element for element in all_dtypes()}

_TYPED = {
    element: STORAGE_TYPES[f"torch.{name}"]
    for name, element in ((name, dtype_named(element)) for name, element in _STORAGES.items())
}


def storage_type_of(element: dtype) -> StorageType:
    """The storage class that PyTorch names when it saves a tensor of dtype `element`."""
    return _TYPED.get(element, UNTYPED)
