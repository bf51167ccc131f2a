"""`writer`: operators that write into some places of their first argument.

`index_put`, `scatter`, `masked_fill`, … are described by one body that writes into a tensor it is
given. The out-of-place form runs it on a copy, the in-place form on the tensor itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.dispatch import operator
from pellucid.ops.inplace import after_write, before_write, tell_write
from pellucid.ops.lazy import write_through
from pellucid.ops.overloads import guarded, reader
from pellucid.ops.spec import Gradient, OpSpec, OutRule, registry
from pellucid.tensor.events import listeners
from pellucid.tensor.layout import contiguous, empty_like_layout
from pellucid.tensor.levels import UNTOUCHED, interpreter, levels
from pellucid.tensor.tensor import Tensor, empty


def writer(
    *,
    where: str = "torch Tensor",
    gradient: Gradient,
    name: str | None = None,
    out: bool | OutRule = False,
    row_major: bool = False,
    aliases: Sequence[str] = (),
) -> Callable[[Callable[..., None]], Callable[..., Any]]:
    """Describe an operator by a body `(input, ...) -> None` that writes into `input._array`.

    The body checks everything before it writes. Enters the out-of-place form, which keeps the
    input's order of strides unless `row_major`, and the in-place form with `_` behind its name.
    """

    def decorate(body: Callable[..., None]) -> Callable[..., Any]:
        @functools.wraps(body)
        def fresh(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            layout = input._layout
            kept = contiguous(layout.shape) if row_major else empty_like_layout(layout)
            copied = empty(kept, input.dtype)
            np.copyto(copied._array, input._array)
            body(copied, *args, **kwargs)
            return copied

        described = inspect.signature(body).replace(return_annotation="Tensor")
        fresh.__signature__ = described  # type: ignore[attr-defined]

        call = operator(where=where, gradient=gradient, name=name, out=out, aliases=aliases)(fresh)
        write = in_place(call.spec, body)  # type: ignore[attr-defined]
        if "Tensor" in where.split():
            registry.put("Tensor", write.__name__, write)
            for alias in aliases:
                other = in_place(call.spec, body, alias + "_")  # type: ignore[attr-defined]
                registry.put("Tensor", alias + "_", other)
        call.in_place = write  # type: ignore[attr-defined]
        return call

    return decorate


def in_place(spec: OpSpec, body: Callable[..., None], name: str = "") -> Callable[..., Tensor]:
    """The in-place form of the operator `spec` whose `body` writes into its first argument."""
    name = name or spec.name + "_"

    def written(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self._storage.lazy:
            return write_through(write, self, args, kwargs)
        start = perf_counter() if listeners else 0.0
        if levels.stack and interpreter.write(spec, self, args, kwargs) is not UNTOUCHED:
            return self
        old = before_write(spec, self, args, kwargs)
        enabled, state.grad = state.grad, False
        try:
            body(self, *args, **kwargs)
        finally:
            state.grad = enabled
        after_write(spec, self, old, args, kwargs)
        if listeners:
            tell_write(name, self, args, start, kwargs)
        return self

    write = guarded(written, reader(spec, f"Tensor.{name}"))
    write.__name__ = write.__qualname__ = name
    write.__doc__ = f"In-place form of `{spec.name}`: writes into this tensor and returns it."
    write.spec = spec  # type: ignore[attr-defined]
    return write
