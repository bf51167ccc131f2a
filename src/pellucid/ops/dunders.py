"""Python's operators on tensors: `x + y`, `x[i]`, `x @ y`, … are the operators of these names."""

from __future__ import annotations

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
    "__iadd__": "add_",
    "__isub__": "sub_",
    "__imul__": "mul_",
    "__itruediv__": "div_",
}
"""Special method: the Tensor method it is."""


def attach() -> None:
    """Give `Tensor` the special methods."""
    for special, name in METHODS.items():
        setattr(Tensor, special, registry.places["Tensor"][name])
