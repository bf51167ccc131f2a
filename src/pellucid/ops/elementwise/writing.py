"""Elementwise operators that write: their `out=` and their in-place forms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from pellucid.autograd.modes import state
from pellucid.autograd.node import Anomaly, wants_grad
from pellucid.autograd.writers import sign
from pellucid.ops import native
from pellucid.ops.arguments import type_name
from pellucid.ops.dispatch import tracked
from pellucid.ops.elementwise.operands import WEAK
from pellucid.ops.elementwise.overlap import apart, refuse_partial_overlap
from pellucid.ops.elementwise.row import Row, arguments, fast_types, layout_of
from pellucid.ops.inplace import (
    after_write,
    before_write,
    check_castable,
    put,
    refuse_overlap,
    resize_output,
    tell_write,
)
from pellucid.ops.lazy import write_through
from pellucid.ops.overloads import guarded, reader
from pellucid.ops.quiet import quiet, restore
from pellucid.tensor.dtype import FLOATING
from pellucid.tensor.events import before_writes, listeners, tell_before_write
from pellucid.tensor.layout import elementwise_layout
from pellucid.tensor.levels import UNTOUCHED, interpreter, levels
from pellucid.tensor.tensor import Tensor, empty


def write_out(row: Row, out: Any, operands: Sequence[Any], settings: dict[str, Any]) -> Tensor:
    name = row.spec.name
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if state.grad and (tracked(operands) or tracked((out,))):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic "
            "differentiation, but one of the arguments "
            "requires grad."
        )
    types = row.types(operands)
    words = (
        row.exact(types[2], out.dtype)
        if row.exact is not None and types[2] is not out.dtype
        else None
    )
    if words is not None:
        raise RuntimeError(words)
    check_castable(types[2], out.dtype)
    layout = layout_of(operands)
    resize_output(out, layout)
    refuse_overlap(out)
    for value in operands:
        if isinstance(value, Tensor):
            refuse_partial_overlap(out, value)
    start = perf_counter() if listeners else 0.0
    if before_writes:
        tell_before_write(out)
    if types[2] is out.dtype and not out._storage.lazy:
        row.evaluate(apart(out, operands), settings, types, out._array)
    else:
        fresh = empty(layout, types[2])
        row.evaluate(operands, settings, types, fresh._array)
        put(out, fresh._array)
    out._storage.version += 1
    sign(out._storage, f"{row.name}(out=…)")
    if listeners:
        tell_write(name, out, operands, start, settings)
    return out


def make_write(row: Row, alias: str = "") -> Callable[..., Any]:
    """The in-place form, with a fast way for a dense tensor that no gradient flows to."""
    spec, compute = row.spec, row.compute
    name = (alias or spec.name) + "_"
    fast, learn = fast_types(row)

    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        d = self._dtype if isinstance(self, Tensor) else None
        if (
            d is not None
            and row.direct
            and not kwargs
            and not listeners
            and not Anomaly.enabled
            and len(args) == row.arity - 1
            and (fast.get(d) or learn(d)) is d
        ):
            values = _plain(self, args)
            if values is not None:
                target = self._array
                if target.size < native.LIGHT or not native.maps(
                    row.name, (target, *values), target, {}
                ):
                    token = quiet()
                    try:
                        compute(target, *values, target)
                    finally:
                        restore(token)
                storage = self._storage
                storage.version += 1
                storage.writer = name
                return self
        if d is None:
            raise TypeError(
                f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(self)}"
            )
        if self._storage.lazy:
            return write_through(write, self, args, kwargs)
        return general(self, *args, **kwargs)

    def written(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        start = perf_counter() if listeners else 0.0
        chosen, operands, settings = arguments(row, (self, *args), kwargs)
        if levels.stack and interpreter.write(spec, self, operands[1:], settings) is not UNTOUCHED:
            return self
        old = before_write(spec, self, operands[1:], settings)
        chosen.into(self, operands, settings)
        after_write(spec, self, old, operands[1:], settings)
        if listeners:
            tell_write(name, self, args, start, kwargs)
        return self

    general = guarded(written, reader(spec, f"Tensor.{name}"))
    write.__name__ = write.__qualname__ = name
    write.__doc__ = (
        f"In-place form of `{spec.name}`: writes the result into this tensor and returns it."
    )
    write.spec = spec  # type: ignore[attr-defined]
    return write


def _plain(self: Tensor, args: Sequence[Any]) -> list[Any] | None:
    """The operands of an in-place call as `compute` takes them, if nothing needs to be checked,
    converted or recorded.
    """
    layout = self._layout
    if (
        self._inference
        or self._storage.lazy
        or not layout.is_non_overlapping_and_dense
        or (state.grad and wants_grad(self))
    ):
        return None
    values: list[Any] = []
    for value in args:
        if isinstance(value, Tensor):
            if value._dtype is not self._dtype or (state.grad and wants_grad(value)):
                return None
            if value is not self and value._storage.buffer is self._storage.buffer:
                return None
            if (
                value._layout.shape != layout.shape
                and elementwise_layout(layout, value._layout).shape != layout.shape
            ):
                return None
            values.append(value._array)
        elif type(value) is float and self._dtype in WEAK and self._dtype.category == FLOATING:
            values.append(value)
        else:
            return None
    return values
