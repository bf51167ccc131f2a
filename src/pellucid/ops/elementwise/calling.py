"""Calling an elementwise operator: the fast ways for the common case, and the general one.

This is the hottest path of the library: `x + y` on small tensors goes through `binary` below and
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.modes import state
from pellucid.autograd.node import record, wants_grad
from pellucid.ops import native
from pellucid.ops.dispatch import heard, mark_inference, tracked
from pellucid.ops.elementwise.operands import WEAK
from pellucid.ops.elementwise.row import SCALAR, Row, arguments, fast_types
from pellucid.ops.elementwise.writing import write_out
from pellucid.ops.overloads import guarded, reader
from pellucid.ops.quiet import quiet, restore
from pellucid.tensor.dtype import FLOATING
from pellucid.tensor.events import listeners
from pellucid.tensor.layout import elementwise_layout
from pellucid.tensor.tensor import Tensor, empty

_ABSENT: Any = object()


General = Callable[..., Tensor]


def make_call(row: Row, public: str) -> Callable[..., Any]:
    """The public function: the fast way if the call is of the common kind, else the general one.

    `public` is the name under which the function, or the method, stands: "Tensor.add".
    """
    general = _make_general(row, public)
    if row.direct and row.arity == 1:
        return _make_unary(row, general)
    if row.direct and row.arity == 2:
        return _make_binary(row, general)
    return general


def _make_general(row: Row, public: str) -> General:
    """Any call: operands of any kind, `out=`, settings, listeners."""

    def general(*args: Any, **kwargs: Any) -> Tensor:
        return _general(row, args, kwargs)

    return guarded(general, reader(row.spec, public))


def _make_unary(row: Row, general: General) -> Callable[..., Any]:
    spec, compute, layout, first = row.spec, row.compute, row.layout, row.spec.parameters[0]
    fast, learn = fast_types(row)

    def unary(input: Any = _ABSENT, /, *more: Any, **kwargs: Any) -> Tensor:
        if kwargs or more or listeners or not isinstance(input, Tensor):
            return general(*(more if input is _ABSENT else (input, *more)), **kwargs)
        answer = fast.get(input._dtype) or learn(input._dtype)
        if answer is None:
            return general(input, **kwargs)
        t = empty(layout(input._layout), answer)
        token = quiet()
        try:
            compute(input._array, t._array)
        finally:
            restore(token)
        if state.grad:
            if spec.gradient and wants_grad(input) and answer.category >= FLOATING:
                record(spec.backward_name, spec.gradient, {**spec.defaults, first: input}, (t,), ())
        elif state.inference:
            t._inference = True
        return t

    return unary


def _make_binary(row: Row, general: General) -> Callable[..., Any]:
    spec, compute, defaults = row.spec, row.compute, row.spec.defaults
    first, second = spec.parameters[:2]
    name = row.name
    fast, learn = fast_types(row)
    weak = {} if second in row.tensors else WEAK

    def binary(input: Any = _ABSENT, other: Any = _ABSENT, /, *more: Any, **kwargs: Any) -> Tensor:
        if kwargs or more or listeners or not isinstance(input, Tensor):
            return general(*_present(input, other, more), **kwargs)
        d = input._dtype
        answer = fast.get(d) or learn(d)
        if isinstance(other, Tensor):
            if answer is None or other._dtype is not d:
                return general(input, other, **kwargs)
            layout = elementwise_layout(input._layout, other._layout)
            value = other._array
        elif (
            answer is not None
            and type(other) in weak.get(d, ())
            and (type(other) is float or -1 << 53 < other < 1 << 53)
        ):
            layout = elementwise_layout(input._layout, SCALAR)
            value = other
        else:
            return general(*_present(input, other, more), **kwargs)
        t = empty(layout, answer)
        if layout.numel >= native.LIGHT and native.maps(name, (input._array, value), t._array, {}):
            pass
        else:
            token = quiet()
            try:
                compute(input._array, value, t._array)
            finally:
                restore(token)
        if state.grad:
            if spec.gradient and (wants_grad(input) or (value is not other and wants_grad(other))):
                record(
                    spec.backward_name,
                    spec.gradient,
                    {**defaults, first: input, second: other},
                    (t,),
                    (),
                )
        elif state.inference:
            t._inference = True
        return t

    return binary


def _present(input: Any, other: Any, more: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([value for value in (input, other, *more) if value is not _ABSENT])


def _general(row: Row, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    out = None
    if kwargs and "out" in kwargs:
        out, kwargs = kwargs["out"], {key: v for key, v in kwargs.items() if key != "out"}
    row, operands, settings = arguments(row, args, kwargs)
    if out is not None:
        return write_out(row, out, operands, settings)
    if listeners:
        return heard(
            row.spec, "copy", lambda: _computed(row, operands, settings), operands, settings
        )
    return _computed(row, operands, settings)


def _computed(row: Row, operands: Sequence[Any], settings: dict[str, Any]) -> Tensor:
    result = row.fresh(operands, settings)
    if state.grad:
        spec = row.spec
        if spec.gradient and result.dtype.category >= FLOATING and tracked(operands):
            record(spec.backward_name, spec.gradient, spec.bind(operands, settings), (result,), ())
    elif state.inference:
        mark_inference(result)
    return result
