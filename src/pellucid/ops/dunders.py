"""Python's operators on tensors: `x + y`, `2 ** x`, `x &= mask`, … are the operators of these
names.

An operand of a type that an operator does not know makes it answer `NotImplemented`, as Python
asks: then the other operand is tried, and `x == None` is False.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.spec import registry
from pellucid.tensor.dtype import BOOL, INTEGER
from pellucid.tensor.tensor import Tensor, from_numpy

BINARY = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "div",
    "truediv": "div",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
    "eq": "eq",
    "ne": "ne",
    "lt": "lt",
    "le": "le",
    "gt": "gt",
    "ge": "ge",
}
"""`__name__`: the Tensor method it is.

`__iname__` is the method's in-place form where there is one.
"""
REFLECTED = {
    "radd": "add",
    "rmul": "mul",
    "rmod": "remainder",
    "rpow": "pow",
    "rfloordiv": "floor_divide",
    "rmatmul": "matmul",
    "rand": "bitwise_and",
    "ror": "bitwise_or",
    "rxor": "bitwise_xor",
    "rlshift": "bitwise_left_shift",
    "rrshift": "bitwise_right_shift",
}
"""`__name__`: the operator it is with its operands exchanged."""
UNARY = {"neg": "neg", "pos": "positive", "abs": "abs"}
COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
SYMMETRIC = frozenset({"add", "mul", "bitwise_and", "bitwise_or", "bitwise_xor"})


def _polite(operator: Callable[..., Any]) -> Callable[..., Any]:
    """The operator, answering `NotImplemented` to operands of unknown types."""

    def special(self: Tensor, other: Any) -> Any:
        try:
            return operator(self, other)
        except TypeError:
            return NotImplemented

    return special


def _equal(operator: Callable[..., Any]) -> Callable[..., Any]:
    """`==`, which compares with the elements of a NumPy array of numbers as well."""

    def special(self: Tensor, other: Any) -> Any:
        try:
            if isinstance(other, np.ndarray):
                other = from_numpy(other)
            return operator(self, other)
        except TypeError:
            return NotImplemented

    return special


def _symmetric(operator: Callable[..., Any]) -> Callable[..., Any]:
    def special(self: Tensor, other: Any) -> Any:
        if not isinstance(self, Tensor):
            raise TypeError(
                f"descriptor '{special.__name__}' doesn't apply to a '{type(self).__name__}' object"
            )
        try:
            return operator(self, other)
        except TypeError:
            return NotImplemented

    return special


def _exchanged(operator: Callable[..., Any]) -> Callable[..., Any]:
    def special(self: Tensor, other: Any) -> Any:
        try:
            return operator(other, self)
        except TypeError:
            return NotImplemented

    return special


def _over(self: Tensor, other: Any) -> Any:
    """`other / self`, as PyTorch computes it: the reciprocal, then a product."""
    return self.reciprocal() * other


def _invert(self: Tensor) -> Tensor:
    if self.dtype.category not in (BOOL, INTEGER):
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return registry.ready("torch")["bitwise_not"](self)


def attach() -> None:
    """Give `Tensor` the special methods."""
    methods = registry.ready("Tensor")

    def give(name: str, function: Callable[..., Any]) -> None:
        function.__name__ = f"__{name}__"
        function.__qualname__ = f"Tensor.__{name}__"
        setattr(Tensor, f"__{name}__", function)

    for name, method in BINARY.items():
        give(name, (_equal if name == "eq" else _polite)(methods[method]))
        if name not in COMPARISONS and method + "_" in methods:
            give("i" + name, _polite(methods[method + "_"]))
    for name, method in REFLECTED.items():
        give(name, (_symmetric if method in SYMMETRIC else _exchanged)(methods[method]))
    for name, method in UNARY.items():
        setattr(Tensor, f"__{name}__", methods[method])
    give("rsub", _polite(registry.ready("torch")["rsub"]))
    give("rdiv", _polite(_over))
    give("rtruediv", _polite(_over))
    give("invert", _invert)
