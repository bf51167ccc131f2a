"""Python's operators on tensors: `x + y`, `x[i]`, `x @ y`, … are the operators of these names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.ops.spec import registry
from pellucid.tensor.tensor import Tensor

METHODS = {
    "__add__": "add",
    "__radd__": "add",
    "__sub__": "sub",
    "__mul__": "mul",
    "__rmul__": "mul",
    "__truediv__": "div",
    "__neg__": "neg",
    "__matmul__": "matmul",
    "__eq__": "eq",
    "__ne__": "ne",
    "__lt__": "lt",
    "__le__": "le",
    "__gt__": "gt",
    "__ge__": "ge",
    "__iadd__": "add_",
    "__isub__": "sub_",
    "__imul__": "mul_",
    "__itruediv__": "div_",
}
"""Special method: the Tensor method it is."""

REFLECTED = {"__rsub__": "sub", "__rtruediv__": "div"}
"""Special method: the operator it is with its operands exchanged."""


def _exchanged(operator: Callable[..., Any]) -> Callable[..., Any]:
    def reflected(self: Tensor, other: Any) -> Any:
        return operator(other, self)

    return reflected


def attach() -> None:
    """Give `Tensor` the special methods."""
    for special, name in METHODS.items():
        setattr(Tensor, special, registry.places["Tensor"][name])
    for special, name in REFLECTED.items():
        setattr(Tensor, special, _exchanged(registry.places["Tensor"][name]))
