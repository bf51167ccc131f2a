"""How modules, tensors and their types are called in messages."""

from __future__ import annotations

from typing import Any

from pellucid.tensor.tensor import Tensor


def typename(value: Any) -> str:
    """The name a message gives to `value`: `torch.FloatTensor` for tensors, else its class or name.

    Classes and functions are called by their own names.
    """
    if isinstance(value, Tensor):
        return str(value.type())
    named = value if hasattr(value, "__qualname__") else type(value)
    module = getattr(named, "__module__", "") or ""
    name = str(named.__qualname__)
    return name if module in ("", "builtins") else f"{module}.{name}"


def indent(text: str, spaces: int) -> str:
    """Indent every line of `text` but the first; blank lines stay empty."""
    first, *rest = text.split("\n")
    padded = [" " * spaces + line if line.strip() else "" for line in rest]
    return "\n".join([first, *padded])


def check_member_name(kind: str, name: Any) -> None:
    """Refuse names that could not be told apart in `state_dict()` keys such as `layer.weight`."""
    if not isinstance(name, str):
        raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
    if "." in name:
        raise KeyError(f'{kind} name can\'t contain "."')
    if name == "":
        raise KeyError(f'{kind} name can\'t be empty string ""')
