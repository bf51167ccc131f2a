"""`torch.overrides`: other classes in the place of tensors. Pellucid calls no
`__torch_function__`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pellucid.tensor.tensor import Tensor

__all__ = [
    "handle_torch_function",
    "has_torch_function",
    "is_tensor_like",
    "is_tensor_method_or_property",
]


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether an argument would take over the call: none does."""
    return False


def has_torch_function_unary(tensor: Any) -> bool:
    """Whether the argument would take over the call: it does not."""
    return False


has_torch_function_variadic = has_torch_function


def is_tensor_like(inp: Any) -> bool:
    """Whether `inp` is a tensor, or of a class that says how to be called in the place of one."""
    return isinstance(inp, Tensor) or hasattr(inp, "__torch_function__")


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Whether `func` belongs to `Tensor`."""
    return getattr(Tensor, getattr(func, "__name__", ""), None) is func


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """Let the first argument with `__torch_function__` answer the call. TypeError if none has
    it.
    """
    for value in relevant_args:
        if hasattr(value, "__torch_function__"):
            types = tuple({type(each) for each in relevant_args})
            return type(value).__torch_function__(public_api, types, args, kwargs)
    name = f"{public_api.__module__}.{public_api.__name__}"
    raise TypeError(
        f"no implementation found for '{name}' on types that implement __torch_function__"
    )
