"""One recipe, two builds: the same tensors for PyTorch and for Pellucid.

A sample is first *frozen*: every tensor becomes a `TensorRecipe` that says its dtype, shape,
strides, offset and which storage it looks at. *Building* a frozen sample makes fresh tensors in
either library, so that no check ever sees what an earlier one wrote. Tensors that shared a storage
share one again; a tensor that occurs twice is one object again.

Neither side builds views in PyTorch's sense (`_is_view()`): a recipe becomes a base tensor with
these strides, as the same call makes it on both sides. Conjugate and negative bits are resolved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import torch

from tests.parity.translate import translate

NUMPY_DTYPES: dict[str, np.dtype] = {
    name: np.dtype(getattr(np, name))
    for name in ("float16", "float32", "float64", "complex64", "complex128")
    + ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
} | {"bool": np.dtype(np.bool_), "bfloat16": np.dtype(ml_dtypes.bfloat16)}


MOST_DIMENSIONS = 64  # of a NumPy array


class CannotFreeze(Exception):
    """The sample holds something that strided memory cannot say: a sparse or quantised tensor."""


@dataclasses.dataclass(eq=False)
class StorageRecipe:
    """Bytes that one or more tensors look at."""

    data: bytes
    users: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class TensorRecipe:
    """A tensor without a library. Strides and offset count elements."""

    storage: StorageRecipe
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    requires_grad: bool = False
    parameter: bool = False

    def __str__(self) -> str:
        text = f"{self.dtype}{list(self.shape)}"
        if self.strides != contiguous_strides(self.shape):
            text += f" strides {self.strides}"
        if self.offset:
            text += f" offset {self.offset}"
        return text + (" grad" if self.requires_grad else "")

    @property
    def numel(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclasses.dataclass(frozen=True, eq=False)
class GeneratorRecipe:
    """A random generator, rebuilt with the seed it was made with."""

    seed: int


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides in elements, as PyTorch counts them: a size of 0 counts as 1."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def dtype_name(dtype: Any) -> str:
    """`torch.float32` and `pellucid.float32` are both `"float32"`."""
    return str(dtype).rpartition(".")[2]


# --- freezing -------------------------------------------------------------------------------------


def freeze(tree: Any) -> Any:
    """The tree with every PyTorch tensor and generator replaced by its recipe.

    Lists, tuples, dicts and slices keep their form; other leaves stay and are translated when
    built.
    """
    storages: dict[int, tuple[StorageRecipe, Any]] = {}  # the storage too: an address lives on
    tensors: dict[int, TensorRecipe] = {}

    def leaf(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) not in tensors:
                tensors[id(value)] = _freeze_tensor(value, storages)
            return tensors[id(value)]
        if isinstance(value, torch.Generator):
            return GeneratorRecipe(value.initial_seed())
        return value

    return map_tree(leaf, tree)


def _freeze_tensor(tensor: torch.Tensor, storages: dict) -> TensorRecipe:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise CannotFreeze(f"a {tensor.layout} tensor of {tensor.dtype} on {tensor.device}")
    name = dtype_name(tensor.dtype)
    if name not in NUMPY_DTYPES:
        raise CannotFreeze(f"NumPy has no {name}")
    data = tensor.detach().resolve_conj().resolve_neg()
    storage = data.untyped_storage()
    if storage._cdata not in storages:
        raw = torch.empty(0, dtype=torch.uint8).set_(storage)  # type: ignore[call-overload]
        storages[storage._cdata] = StorageRecipe(raw.numpy().tobytes()), storage
    recipe, _ = storages[storage._cdata]
    recipe.users += 1
    return TensorRecipe(
        recipe,
        name,
        tuple(data.shape),
        data.stride(),
        data.storage_offset(),
        tensor.requires_grad,
        isinstance(tensor, torch.nn.Parameter),
    )


def from_array(array: np.ndarray, *, requires_grad: bool = False) -> TensorRecipe:
    """The recipe of a contiguous tensor with these values."""
    name = "bool" if array.dtype == np.bool_ else array.dtype.name
    data = np.ascontiguousarray(array)
    strides = contiguous_strides(array.shape)
    storage = StorageRecipe(data.tobytes(), 1)
    return TensorRecipe(storage, name, array.shape, strides, 0, requires_grad)


# --- building -------------------------------------------------------------------------------------


def build(tree: Any, library: ModuleType, *, requires_grad: bool = True) -> Any:
    """Fresh values of `library` for a frozen tree. `requires_grad=False` builds all without
    grad."""
    bases: dict[tuple[int, str], Any] = {}
    tensors: dict[int, Any] = {}

    def leaf(value: Any) -> Any:
        if isinstance(value, TensorRecipe):
            if id(value) not in tensors:
                tensor = _build_tensor(value, library, bases)
                if value.requires_grad and requires_grad:
                    tensor.requires_grad_()
                tensors[id(value)] = tensor
            return tensors[id(value)]
        if isinstance(value, GeneratorRecipe):
            return library.Generator().manual_seed(value.seed)
        return translate(value, library)

    return map_tree(leaf, tree)


def _build_tensor(recipe: TensorRecipe, library: ModuleType, bases: dict) -> Any:
    itemsize = NUMPY_DTYPES[recipe.dtype].itemsize
    whole = recipe.numel * itemsize == len(recipe.storage.data) and recipe.storage.users == 1
    whole = whole and len(recipe.shape) <= MOST_DIMENSIONS
    if whole and recipe.offset == 0 and recipe.strides == contiguous_strides(recipe.shape):
        return adopt(_elements(recipe).reshape(recipe.shape), library)
    key = (id(recipe.storage), recipe.dtype)
    if key not in bases:
        bases[key] = adopt(_elements(recipe), library)
    # `.data` lets go of the base: an input is a tensor of its own, whatever its strides are.
    return bases[key].as_strided(recipe.shape, recipe.strides, recipe.offset).data


def _elements(recipe: TensorRecipe) -> np.ndarray:
    dtype = NUMPY_DTYPES[recipe.dtype]
    data = recipe.storage.data
    return np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype).copy()


def adopt(array: np.ndarray, library: ModuleType) -> Any:
    """A contiguous tensor of its own with these values.

    It is a clone, because memory that belongs to NumPy cannot be resized. bfloat16 travels as its
    bits: NumPy itself has no such type.
    """
    if array.dtype == ml_dtypes.bfloat16:
        return library.from_numpy(array.view(np.int16)).clone().view(library.bfloat16).data
    return library.from_numpy(array).clone()


# --- reading --------------------------------------------------------------------------------------


def is_tensor(value: Any) -> bool:
    """Whether this is a tensor of either library."""
    return hasattr(value, "storage_offset") and hasattr(value, "requires_grad")


def values(tensor: Any) -> np.ndarray:
    """A NumPy copy of what the tensor shows; bfloat16 comes as the same numbers in float32."""
    if getattr(tensor, "_array", None) is not None and not isinstance(tensor, torch.Tensor):
        for bit, resolve in (("is_conj", "resolve_conj"), ("is_neg", "resolve_neg")):
            if hasattr(tensor, bit) and getattr(tensor, bit)():
                tensor = getattr(tensor, resolve)()
        array = np.array(tensor._array)
        return array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array
    plain = tensor.detach()
    if dtype_name(plain.dtype) == "bfloat16":
        plain = plain.float()
    return np.array(plain.numpy(force=True))


def storage_key(tensor: Any) -> int:
    """Equal for two living tensors exactly when they look at one storage."""
    own = getattr(tensor, "_storage", None)
    if own is not None and not callable(own):
        return id(own.base)
    return tensor.untyped_storage()._cdata


# --- trees ----------------------------------------------------------------------------------------


def map_tree(leaf: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with `leaf` applied where no list, tuple, dict or slice goes deeper."""
    if isinstance(tree, dict):
        return {key: map_tree(leaf, value) for key, value in tree.items()}
    if type(tree) is list:
        return [map_tree(leaf, value) for value in tree]
    if isinstance(tree, slice):
        return slice(*(map_tree(leaf, v) for v in (tree.start, tree.stop, tree.step)))
    if isinstance(tree, tuple) and not isinstance(tree, torch.Size):
        return tuple(map_tree(leaf, value) for value in tree)
    return leaf(tree)


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """`(path, leaf)` pairs in order; containers of both libraries count as tuples."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{path}[{key!r}]")
    elif isinstance(tree, list | tuple) and type(tree).__name__ != "Size":
        for index, value in enumerate(tree):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, tree
