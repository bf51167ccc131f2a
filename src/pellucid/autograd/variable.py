"""`Variable`: what programs wrapped tensors in before tensors could require gradients."""

from __future__ import annotations

import warnings
from typing import Any

from pellucid.tensor.tensor import Tensor


class _VariableMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)

    def __call__(
        cls, data: Tensor, requires_grad: bool = False, volatile: bool | None = None
    ) -> Tensor:
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if volatile is not None:
            warnings.warn(
                "volatile was removed (Variable.volatile is always False). Use `with "
                "torch.no_grad():` instead.",
                UserWarning,
                stacklevel=2,
            )
        return data.detach().requires_grad_(requires_grad)


class Variable(metaclass=_VariableMeta):
    """`Variable(tensor)` is a tensor over the same memory, cut off the tape; every tensor is an
    instance of it.
    """
