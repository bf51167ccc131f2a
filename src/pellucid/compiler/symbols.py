"""The rules of optimisers as expressions: a rule is run once on symbols instead of arrays.

A rule (`optim/elementwise.py`) is a function of NumPy arrays that changes some of them in place. A
`Symbol` answers to the same operators and universal functions and remembers what was computed, so
that one description serves eager steps and plans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.compiler.expressions import Expression

_UFUNCS = {
    "add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div",
    "sqrt": "sqrt", "square": "square", "negative": "neg", "absolute": "abs",
    "maximum": "maximum", "minimum": "minimum", "exp": "exp", "reciprocal": "reciprocal",
}  # fmt: skip


class NotElementwise(TypeError):
    """A rule uses something that symbols do not know."""


class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """An array or a number of a rule. `known` is the value of a number in the traced step: rules
    choose their way by it (`weight < 0.5`).
    """

    ndim = 1

    def __init__(self, expression: Expression, known: Any = None) -> None:
        self.expression = expression
        self.known = known

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        if method != "__call__" or kwargs:
            raise NotElementwise(f"{ufunc.__name__}.{method}")
        values = [x.known if isinstance(x, Symbol) else x for x in inputs]
        name = _UFUNCS.get(ufunc.__name__)
        if name is None:
            if any(value is None for value in values):
                raise NotElementwise(ufunc.__name__)
            return ufunc(*values)
        known = None if any(value is None for value in values) else ufunc(*values)
        found = (name, *[_term(each) for each in inputs])
        if out is None:
            return Symbol(found, known)
        (target,) = out
        target.expression, target.known = found, known
        return target

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotElementwise("array of a symbol")

    def __getitem__(self, key: Any) -> Any:
        raise NotElementwise("indexing")

    def __setitem__(self, key: Any, value: Any) -> None:
        if key is not Ellipsis:
            raise NotElementwise("indexing")
        self.expression = _term(value)

    def __bool__(self) -> bool:
        raise NotElementwise("a choice by elements")


def _term(item: Any) -> Expression:
    if isinstance(item, Symbol):
        return item.expression
    if isinstance(item, (int, float, np.generic)):
        return ("number", float(item))
    if isinstance(item, np.ndarray) and not item.ndim:
        return ("number", float(item))
    raise NotElementwise(type(item).__name__)


def rule_expressions(
    rule: Callable[..., None], arrays: int, numbers: Sequence[Any]
) -> tuple[tuple[Expression, ...], list[int]] | None:
    """What a rule makes of each of its `arrays` (the gradient, number 1, left out), and which of
    its numbers are inputs, after the arrays; None for a rule that is not one expression.
    """
    symbols = [Symbol(("in", i)) for i in range(arrays)]
    given: list[Any] = []
    slots: list[int] = []
    for position, number in enumerate(numbers):
        if number is None or type(number) is bool:
            given.append(number)
            continue
        given.append(Symbol(("in", arrays + len(slots)), np.float32(number)))
        slots.append(position)
    try:
        rule(*symbols, *given)
    except NotElementwise:
        return None
    return tuple(s.expression for i, s in enumerate(symbols) if i != 1), slots
