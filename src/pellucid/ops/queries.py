"""Questions about tensors, as functions and methods: `is_tensor`, `numel`, `result_type`,
`is_nonzero`, …

And the element-wise work of old programs, `apply_` and `map_`, which call a Python function for
each
element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.arguments import tensor as check_tensor
from pellucid.ops.dispatch import composite
from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import registry
from pellucid.tensor.dtype import dtype
from pellucid.tensor.layout_rules import memory_order
from pellucid.tensor.promotion import combine, number_dtype
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor
from pellucid.tensor.typed_storage import TypedStorage


@composite(where="torch")
def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, Tensor)


@composite(where="torch")
def is_storage(obj: Any) -> bool:
    """Whether `obj` is a storage, typed or not."""
    return isinstance(obj, (Storage, TypedStorage))


def _function(method: str) -> None:
    """Make the method of `Tensor` a function too."""

    def ask(input: Tensor) -> Any:
        return getattr(check_tensor(method, "input", 1, input), method)()

    ask.__name__ = ask.__qualname__ = method
    ask.__doc__ = getattr(Tensor, method).__doc__
    registry.put("torch", method, guarded_as(f"torch.{method}", ask))


@composite(where="Tensor")
def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not zero. RuntimeError for any other number of elements."""
    return bool(input)


@composite(where="Tensor")
def is_distributed(input: Tensor) -> bool:
    """Whether the tensor is spread over processes: no."""
    return False


for _method in (
    "get_device",
    "is_complex",
    "is_conj",
    "is_distributed",
    "is_floating_point",
    "is_inference",
    "is_neg",
    "is_nonzero",
    "is_signed",
    "numel",
):
    _function(_method)


@composite()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return input._layout.shape == check_tensor("is_same_size", "other", 2, other)._layout.shape


@composite(where="Tensor")
def is_set_to(input: Tensor, tensor: Tensor) -> bool:
    """Whether two tensors show the same elements of the same storage."""
    same = input._storage.buffer is tensor._storage.buffer
    return same and input._layout == tensor._layout and input.dtype is tensor.dtype


@composite(where="torch")
def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The dtype an operation on two tensors or numbers is computed in."""
    groups: tuple[list[dtype], list[dtype], list[dtype]] = ([], [], [])
    for value in (tensor1, tensor2):
        if isinstance(value, Tensor):
            groups[0 if value._layout.shape else 1].append(value.dtype)
        elif isinstance(value, (bool, int, float, complex)):
            groups[2].append(number_dtype(value))
        else:
            raise TypeError(
                "result_type() received an invalid combination of arguments - got "
                f"({type(tensor1).__name__}, {type(tensor2).__name__}), but expected one of:\n"
                " * (Tensor tensor, Tensor other)\n * (Number scalar, Tensor tensor)\n"
                " * (Tensor tensor, Number other)\n * (Number scalar1, Number scalar2)"
            )
    return combine(*groups)


def dim_order(self: Tensor, *, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost."""
    layout = self._layout
    return tuple(memory_order([layout.strides], layout.shape)[::-1])


registry.put("Tensor", "dim_order", dim_order)


# -- sparse tensors' questions to dense ones


@composite(where="Tensor")
def dense_dim(input: Tensor) -> int:
    """The number of dimensions that are stored densely: all."""
    return len(input._layout.shape)


@composite(where="Tensor")
def sparse_dim(input: Tensor) -> int:
    """The number of dimensions that are stored sparsely: none."""
    return 0


@composite(where="Tensor")
def to_dense(input: Tensor, dtype: dtype | None = None, *, masked_grad: bool = True) -> Tensor:
    """The tensor itself (in `dtype`): it is dense."""
    return input if dtype is None else input.to(dtype)


@composite(where="Tensor")
def pin_memory(input: Tensor, device: Any = None) -> Tensor:
    """Refused: memory is pinned to copy it to a device while the CPU computes, and there is
    none.
    """
    raise RuntimeError(
        "Cannot access accelerator device when none is available.\n"
        "  Leave pin_memory out, or ask torch.cuda.is_available() first."
    )


# -- one Python call per element


def _check_plain(name: str, *tensors: Tensor) -> None:
    if any(each._requires_grad for each in tensors):
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() "
            "instead."
        )


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace every element by `callable(element)`: slow, one Python call each."""
    _check_plain("apply_", self)
    element: Any
    with np.nditer(self._array, flags=["zerosize_ok"], op_flags=["readwrite"]) as elements:
        for element in elements:
            element[...] = callable(element.item())
    self._storage.version += 1
    return self


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace every element by `callable(element, its counterpart in tensor)`; `tensor`
    broadcasts.
    """
    _check_plain("map_", self, tensor)
    spread = np.broadcast_to(tensor._array, self._array.shape)
    with np.nditer(
        [self._array, spread],
        flags=["zerosize_ok"],
        op_flags=[["readwrite"], ["readonly"]],
    ) as pairs:
        for element, other in pairs:
            element[...] = callable(element.item(), other.item())
    self._storage.version += 1
    return self


registry.put("Tensor", "apply_", apply_)
registry.put("Tensor", "map_", guarded_as("Tensor.map_", map_))


def _contains(self: Tensor, element: Any) -> bool:
    if not isinstance(element, (Tensor, bool, int, float, complex)):
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )
    return bool((self == element).any())


def _reversed(self: Tensor) -> Tensor:
    return self if not self._layout.shape else self.flip(0)


# The stub of the methods declares both, so that a program knows them.
Tensor.__contains__ = _contains  # type: ignore[method-assign, assignment]
Tensor.__reversed__ = _reversed  # type: ignore[method-assign, assignment]
