"""`Row`: one elementwise operator, computed on operands of any dtypes and layouts.

A row knows a NumPy ufunc or a function of arrays, and a rule for dtypes. `Row.fresh` computes into
fresh memory and `Row.into` into given memory; both promote, broadcast and choose strides as
PyTorch's TensorIterator does. Nothing is recorded here: that is `ops/elementwise/pointwise.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.ops.arguments import type_name
from pellucid.ops.elementwise.operands import as_array, check_alpha, real_number, rounded
from pellucid.ops.elementwise.overlap import apart, refuse_partial_overlap
from pellucid.ops.elementwise.refusals import Refusal
from pellucid.ops.inplace import copy_array, store
from pellucid.ops.quiet import quiet, restore
from pellucid.ops.spec import OpSpec
from pellucid.tensor.dtype import FLOATING, REDUCED, bool_, default, dtype, float32
from pellucid.tensor.layout import Layout, contiguous, elementwise_layout
from pellucid.tensor.meta import counted, without_data
from pellucid.tensor.promotion import combine, number_dtype
from pellucid.tensor.tensor import Tensor, adopt, empty

SCALAR = contiguous(())
KEPT = frozenset({"add", "sub", "mul", "div", "lerp"})
"""The operators that take a Python number as it is, even where the tensor has half precision.

Others round it first.
"""
NUMBERS = (bool, int, float, complex, np.generic)


Rule = Callable[[dtype], tuple[dtype, dtype]]
"""From the operands' common dtype to the dtype computed in and the dtype of the result."""
Verify = Callable[[Sequence[Any]], None]
"""Raises if the operands do not fit together beyond what promotion settles."""


def common(d: dtype) -> tuple[dtype, dtype]:
    """Compute and answer in the common dtype."""
    return d, d


def floating(d: dtype) -> tuple[dtype, dtype]:
    """Integers and bools become the default floating dtype first (`exp`, `div`)."""
    if d.category < FLOATING:
        return default.floating, default.floating
    return d, d


def truth(d: dtype) -> tuple[dtype, dtype]:
    """Compute in the common dtype, answer in bool (`eq`)."""
    return d, bool_


def magnitude(d: dtype) -> tuple[dtype, dtype]:
    """Compute in the common dtype, answer in its real dtype (`abs`)."""
    return d, d.to_real()


@dataclass(slots=True, eq=False)
class Row:
    """One elementwise operator: how to compute it and which dtypes it goes through.

    `compute` is a ufunc, a function that writes into its parameter `out` (both are *direct*: they
    need no temporary result), or a function that returns a new array. It gets the operands as
    arrays of the dtype computed in, then the settings by keyword. `optional` operands may be None;
    those in `tensors` may not be numbers, and with "any" in it one of them must be a tensor.
    `exact` holds the words that refuse an `out=` of another dtype than the result's. `native` rows
    take half precision as it is. `variants` are other rows, chosen by the value of the setting
    `choice` (`rounding_mode` of `div`). `layout` gives the result's layout from the operands'.
    """

    compute: Callable[..., Any]
    direct: bool
    rule: Rule = common
    refuse: Refusal | None = None
    verify: Verify | None = None
    arity: int = 1
    scaled: bool = False
    native: bool = False
    optional: Sequence[str] = ()
    tensors: Sequence[str] = ()
    exact: Callable[[dtype, dtype], str | None] | None = None
    layout: Callable[..., Layout] = elementwise_layout
    choice: str = ""
    variants: dict[Any, Row] = field(default_factory=dict)
    name: str = ""
    plans: dict[Any, tuple[dtype, dtype, dtype]] = field(default_factory=dict)
    spec: OpSpec = field(init=False)
    """Set by `pointwise`, which describes the row."""

    def types(self, operands: Sequence[Any]) -> tuple[dtype, dtype, dtype]:
        """(common dtype, dtype computed in, dtype of the result) for these operands.

        Raises: TypeError for operands that are neither tensors nor numbers, RuntimeError for dtypes
        that the operator refuses.
        """
        key: Any = [
            (v.dtype, not v._layout.shape) if isinstance(v, Tensor) else type(v) for v in operands
        ]
        key = (default.floating, *key)
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plans[key] = self._plan(operands)
        if self.verify is not None:
            self.verify(operands)
        return plan

    def _plan(self, operands: Sequence[Any]) -> tuple[dtype, dtype, dtype]:
        dimensioned: list[dtype] = []
        zero_dim: list[dtype] = []
        numbers: list[dtype] = []
        for position, value in enumerate(operands):
            if value is None and self.spec.parameters[position] in self.optional:
                continue
            if isinstance(value, Tensor):
                (dimensioned if value._layout.shape else zero_dim).append(value.dtype)
            elif (
                isinstance(value, NUMBERS)
                and self.arity > 1
                and self.spec.parameters[position] not in self.tensors
            ):
                numbers.append(
                    number_dtype(value.item() if isinstance(value, np.generic) else value)
                )
            else:
                name = self.spec.parameters[position]
                raise TypeError(
                    f"{self.name}(): argument '{name}' (position {position + 1}) must be Tensor, "
                    f"not {type_name(value)}"
                )
        if "any" in self.tensors and not dimensioned and not zero_dim:
            raise TypeError(
                f"{self.name}() received an invalid combination of arguments - got only "
                "numbers\n  One operand must be a tensor."
            )
        d = combine(dimensioned, zero_dim, numbers)
        error = self.refuse(d) if self.refuse is not None else None
        if error is not None:
            raise error
        return (d, *self.rule(d))

    def inner(self, work: dtype) -> dtype:
        """What a dtype is computed in: half precision in float32."""
        return float32 if work in REDUCED and not self.native else work

    def settings(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings that `compute` itself is given.

        Not those that were about choosing it or scaling an operand.
        """
        return {} if self.scaled or self.choice or not settings else settings

    def fresh(self, operands: Sequence[Any], settings: Mapping[str, Any]) -> Tensor:
        """The result in fresh memory, not recorded."""
        d, work, answer = self.types(operands)
        layout = layout_of(operands, self.layout)
        if counted.living and any(isinstance(v, Tensor) and v._storage.meta for v in operands):
            return without_data(layout, answer)
        if self.direct or self.inner(work) is not work or not layout.is_row_major:
            out = empty(layout, answer)
            self.evaluate(operands, settings, (d, work, answer), out._array)
            return out
        found = self.run(self.arrays(operands, settings, d, work), settings)
        if (
            found.shape == layout.shape
            and found.dtype == answer.numpy
            and found.flags.owndata
            and found.flags.c_contiguous
        ):
            return adopt(found, answer)
        out = empty(layout, answer)
        copy_array(out._array, found.reshape(layout.shape) if not layout.shape else found)
        return out

    def into(self, target: Tensor, operands: Sequence[Any], settings: Mapping[str, Any]) -> None:
        """Compute straight into `target`, which has the result's shape or is refused."""
        types = self.types(operands)
        layout = layout_of(operands)
        for value in operands:
            if isinstance(value, Tensor):
                refuse_partial_overlap(target, value)
        if layout.shape != target._layout.shape or types[2] is not target.dtype:
            store(target, self.fresh(operands, settings))
        else:
            self.evaluate(apart(target, operands), settings, types, target._array)

    def arrays(
        self, operands: Sequence[Any], settings: Mapping[str, Any], d: dtype, work: dtype
    ) -> list[Any]:
        """The operands as `compute` gets them.

        Float32 for half precision, the second one scaled by `alpha`.
        """
        inner = self.inner(work)
        if inner is work or self.name in KEPT:
            found = [as_array(value, inner) for value in operands]
        else:
            found = [
                as_array(v, inner) if isinstance(v, Tensor) else rounded(v, work, inner)
                for v in operands
            ]
        alpha = settings["alpha"] if self.scaled else 1
        if alpha != 1 or type(alpha) is not int:
            check_alpha(d, alpha)
            factor = rounded(alpha, work, inner)
            found[1] = np.multiply(found[1], factor, dtype=inner.numpy)
        return found

    def run(self, arrays: list[Any], settings: Mapping[str, Any]) -> np.ndarray:
        """What a `compute` that returns an array returns; it never sees 0-dim arrays."""
        arrays = [a.reshape(1) if isinstance(a, np.ndarray) and not a.shape else a for a in arrays]
        token = quiet()
        try:
            return np.asarray(self.compute(*arrays, **self.settings(settings)))
        finally:
            restore(token)

    def evaluate(
        self,
        operands: Sequence[Any],
        settings: Mapping[str, Any],
        types: tuple[dtype, dtype, dtype],
        target: np.ndarray,
    ) -> None:
        """Compute into `target`, whose shape and dtype are those of the result."""
        d, work, answer = types
        arrays = self.arrays(operands, settings, d, work)
        if not self.direct:
            found = self.run(arrays, settings)
            copy_array(
                target, found if found.shape == target.shape or target.shape else found.reshape(())
            )
            return
        halved = self.inner(work) is not work and answer is not bool_
        inner = np.empty_like(target, np.float32) if halved else target
        token = quiet()
        try:
            self.compute(*arrays, inner, **self.settings(settings))
        finally:
            restore(token)
        if halved:
            copy_array(target, inner)


def layout_of(operands: Sequence[Any], rule: Callable[..., Layout] = elementwise_layout) -> Layout:
    """Broadcast shape and strides of the result."""
    return rule(
        *[v._layout if isinstance(v, Tensor) else SCALAR for v in operands if v is not None]
    )


_NUMBERS = frozenset(
    ["alpha", "beta", "lambd", "lower", "max_val", "min_val", "negative_slope"]
    + ["threshold", "upper", "value"]
)
"""Settings that are numbers to PyTorch's argument parser."""
_PLAIN = (float, bool)


def arguments(
    row: Row, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Row, Sequence[Any], dict[str, Any]]:
    """The row that answers, its operands, and its settings with their defaults.

    Raises: TypeError for too few, too many or unknown arguments, RuntimeError for a `choice` that
    there is no variant for.
    """
    spec, arity = row.spec, row.arity
    if not kwargs and len(args) == arity and not row.optional:
        return row, args, spec.defaults
    settings = dict(spec.defaults)
    names = spec.parameters
    if len(args) > len(names):
        raise TypeError(
            f"{row.name}() takes {len(names)} positional arguments but {len(args)} were given"
        )
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in names or name in given:
            raise TypeError(f"{row.name}() got an unexpected keyword argument '{name}'")
        given[name] = value
    for name in names[:arity]:
        if name not in given:
            if name not in row.optional:
                raise TypeError(f'{row.name}() missing 1 required positional arguments: "{name}"')
            given[name] = settings[name]
    operands = tuple([given.pop(name) for name in names[:arity]])
    for name in row.optional:
        del settings[name]
    for name, value in given.items():
        if type(value) not in _PLAIN and name in _NUMBERS and not row.scaled:
            at = names.index(name) + 1
            given[name] = real_number(row.name, name, at, value, operands[0])
    settings.update(given)
    chosen = settings.get(row.choice) if row.choice else None
    if chosen is None:
        return row, operands, settings
    if chosen not in row.variants:
        listed = ", ".join(f"'{variant}'" for variant in row.variants)
        raise RuntimeError(
            f"{row.name} expected {row.choice} to be one of None, {listed} but found '{chosen}'"
        )
    return row.variants[chosen], operands, settings


def fast_types(row: Row) -> tuple[dict[dtype, dtype], Callable[[dtype], dtype | None]]:
    """The dtypes that `compute` takes as they are, with the result's.

    And a function that adds one or returns None.
    """
    fast: dict[dtype, dtype] = {}

    def learn(d: dtype) -> dtype | None:
        if (
            d in REDUCED
            or (d.category < FLOATING and row.verify is not None)
            or (row.refuse is not None and row.refuse(d) is not None)
        ):
            return None
        work, answer = row.rule(d)
        if work is not d:
            return None
        fast[d] = answer
        return answer

    return fast, learn
