"""What batching rules are made of: the call they see, their table, and the loop that stands in
where there is no rule.

A rule gets a `Call` of which at least one tensor is batched and returns the results for all
elements, the first dimension counting them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.ops.api import F
from pellucid.ops.spec import OpSpec, registry
from pellucid.tensor.levels import UNTOUCHED, Batched, Level, NeedsDataError
from pellucid.tensor.tensor import Tensor

_SEQUENCES = (list, tuple)


class Call:
    """One call on a level: `given` are its arguments by name, as the caller wrote them."""

    def __init__(
        self, spec: OpSpec, level: Level, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> None:
        self.spec = spec
        self.level = level
        self.size = level.size
        names = spec.parameters
        if spec.variadic:
            count = names.index(spec.variadic)
            self.given: dict[str, Any] = dict(zip(names, args[:count], strict=False))
            self.given[spec.variadic] = tuple(args[count:])
        else:
            self.given = dict(zip(names, args, strict=False))
        self.given.update(kwargs)
        self.key = self.key_of(spec)
        self.batched = any(self.is_batched(value) for value in self.given.values())

    @staticmethod
    def key_of(spec: OpSpec) -> str:
        """The operator's name in the registry."""
        first = spec.where[0] if spec.where else ""
        return spec.name if first in ("torch", "Tensor") else f"{first}.{spec.name}"

    def __getitem__(self, name: str) -> Any:
        """An argument, or its default."""
        return self.given[name] if name in self.given else self.spec.defaults.get(name)

    def is_batched(self, value: Any) -> bool:
        """Whether a value differs between the elements."""
        if isinstance(value, Batched):
            return value._level is self.level and value._batched
        return type(value) in _SEQUENCES and any(self.is_batched(each) for each in value)

    def value(self, tensor: Tensor) -> Tensor:
        """The tensor outside the level: of all elements if it is batched, else as it is."""
        if isinstance(tensor, Batched) and tensor._level is self.level:
            return tensor._value
        return tensor

    def all(self, tensor: Tensor) -> Tensor:
        """The tensor of all elements, expanded if they share one."""
        value = self.value(tensor)
        if self.is_batched(tensor):
            return value
        return value.expand(self.size, *value.shape)

    def aligned(self, tensor: Tensor, rank: int) -> Tensor:
        """The value so that it broadcasts with others of `rank` dimensions an element."""
        value = self.value(tensor)
        if not self.is_batched(tensor):
            return value
        missing = rank - (value.dim() - 1)
        for _ in range(missing):
            value = value.unsqueeze(1)
        return value

    def plain(self) -> dict[str, Any]:
        """The arguments outside the level, where none is batched."""
        return {name: self._outside(value) for name, value in self.given.items()}

    def _outside(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.value(value)
        if type(value) in _SEQUENCES:
            return type(value)(self._outside(each) for each in value)
        return value

    def run(self, **arguments: Any) -> Any:
        """The operator itself on other arguments."""
        return run(self.spec, arguments)

    def rerun(self, **changed: Any) -> Any:
        """The operator on the arguments outside the level, some of them changed."""
        return self.run(**(self.plain() | changed))


def run(spec: OpSpec, arguments: dict[str, Any]) -> Any:
    """Call an operator with its arguments by name."""
    call = registry.calls[spec]
    if spec.variadic:
        count = spec.parameters.index(spec.variadic)
        first = [arguments.pop(name) for name in spec.parameters[:count]]
        return call(*first, *arguments.pop(spec.variadic), **arguments)
    if isinstance(arguments.get("dim"), bool):  # var(x, True): by position it is `unbiased`
        return call(arguments.pop("input"), arguments.pop("dim"))
    return call(**arguments)


Rule = Callable[[Call], Any]
RULES: dict[str, Rule] = {}
BY_KIND: dict[str, Rule] = {}


def rule(*keys: str) -> Callable[[Rule], Rule]:
    """Enter a batching rule for operators by their names in the registry."""

    def enter(function: Rule) -> Rule:
        for key in keys:
            if not registry.has(key):
                raise TypeError(f"a batching rule for {key}, which is no operator")
            if key in RULES:
                raise TypeError(f"{key} has two batching rules")
            RULES[key] = function
        return function

    return enter


def rule_of(spec: OpSpec, key: str) -> Rule | None:
    """The rule of an operator, or of its kind; None: it is run element by element."""
    return RULES.get(key) or BY_KIND.get(spec.kind)


REFUSED = frozenset(["bincount", "internal.nonzero", "masked_select"])
"""The size of their results depends on the data."""


def loop(call: Call) -> Any:
    """Run an operator once for each element and stack the results, with PyTorch's warning."""
    name = call.key.rpartition(".")[2]
    if call.key in REFUSED:
        raise NeedsDataError(
            f"vmap: It looks like you're calling {name}, whose result has another shape for "
            "each element: we do not support batching it.\n"
            "  torch.where and masks keep the shape; or call it outside vmap."
        )
    warnings.warn(
        "There is a performance drop because we have not yet implemented the batching rule for "
        f"aten::{name}. Please file us an issue on GitHub so that we can prioritize its "
        "implementation.",
        UserWarning,
        stacklevel=2,
    )
    if not call.size:
        raise RuntimeError(
            f"vmap: {name} is run once for each element, and there is none: its result has no "
            "shape.\n  Call it on a batch of at least one element."
        )
    names, values = list(call.given), list(call.given.values())
    rows = [
        call.run(**dict(zip(names, element(values, call.level, number), strict=True)))
        for number in range(call.size)
    ]
    first = rows[0]
    if isinstance(first, Tensor):
        return F.stack(rows)
    return tuple(
        F.stack([row[i] for row in rows]) if isinstance(part, Tensor) else part
        for i, part in enumerate(first)
    )


def element(values: Sequence[Any], level: Level, number: int) -> list[Any]:
    """Arguments as one element of a level sees them."""

    def of(value: Any) -> Any:
        if isinstance(value, Batched) and value._level is level:
            return value._value.select(0, number) if value._batched else value._value
        if type(value) in _SEQUENCES:
            return type(value)(of(each) for each in value)
        return value

    return [of(value) for value in values]


def shifted(dim: int, rank: int, extra: int = 0) -> int:
    """Dimension `dim` of an element of `rank` dimensions, as one of the values.

    Raises: IndexError outside the range.
    """
    count = max(rank, 1) + extra
    if not -count <= dim < count:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-count}, {count - 1}], but got "
            f"{dim})"
        )
    return dim % count + 1


__all__ = ["BY_KIND", "RULES", "UNTOUCHED", "Call", "loop", "rule", "rule_of", "run", "shifted"]
