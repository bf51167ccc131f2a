"""What a tensor tells of itself is not changed by assigning to it."""

from __future__ import annotations

from typing import Any


class ReadOnly(property):
    """A property that refuses to be set or deleted in PyTorch's words, and says what to do."""

    name = ""

    def __set__(self, instance: Any, value: Any) -> None:
        advice = ADVICE.get(self.name, "")
        raise AttributeError(f"{self._refusal()}{advice and chr(10)}{advice}")

    def __delete__(self, instance: Any) -> None:
        raise AttributeError(self._refusal())

    def _refusal(self) -> str:
        return f"attribute '{self.name}' of 'torch._C.TensorBase' objects is not writable"


ADVICE = {
    "dtype": "  x.to(dtype) gives a tensor with converted elements; x.view(dtype) reads the bytes.",
    "shape": "  x.reshape(...) gives a tensor of another shape; x.resize_(...) changes this one.",
    "device": "  x.to(device) gives a tensor on another device.",
    "is_leaf": "  x.detach() is a leaf.",
    "grad_fn": "  x.detach() is not on the tape; x.detach_() takes this tensor off it.",
}


def seal(kind: type) -> None:
    """Make every property of a class that cannot be set refuse it as PyTorch does."""
    for name, value in list(vars(kind).items()):
        if type(value) is property and value.fset is None:
            sealed = ReadOnly(value.fget, doc=value.__doc__)
            sealed.name = name
            setattr(kind, name, sealed)
