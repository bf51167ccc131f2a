"""Elementwise operators: one description each, everything they share handled once.

`pointwise` enters a row of a table: a NumPy ufunc, a dtype rule, a gradient. `elementwise` does the same for a function of arrays, written
as a decorator. Type promotion, broadcasting, output strides, Python numbers and half precision are `ops/row.py`'s; `out=`, in-place forms,
recording and the fast ways for the common case are here. This is the hottest path of the library: `x + y` on small tensors goes through
`binary` below and nothing else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.autograd.node import record, wants_grad
from pellucid.ops.blocks import blocked
from pellucid.ops.dispatch import heard, mark_inference, tracked
from pellucid.ops.inplace import (
    after_write,
    before_write,
    check_castable,
    copy_array,
    refuse_overlap,
    resize_output,
    tell_write,
)
from pellucid.ops.quiet import quiet, restore
from pellucid.ops.refusals import Refusal
from pellucid.ops.row import (
    SCALAR,
    WEAK,
    Row,
    Rule,
    Verify,
    apart,
    common,
    floating,
    layout_of,
    magnitude,
    refuse_partial_overlap,
    truth,
)
from pellucid.ops.spec import Gradient, describe, registry
from pellucid.tensor.dtype import FLOATING, REDUCED, dtype
from pellucid.tensor.events import listeners
from pellucid.tensor.layout import Layout, elementwise_layout
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, empty

__all__ = ["common", "elementwise", "floating", "magnitude", "pointwise", "truth"]

_new = object.__new__
_ndarray = np.ndarray
_ABSENT: Any = object()
_Kind = inspect.Parameter


def pointwise(
    name: str,
    compute: Callable[..., Any],
    parameters: str = "input",
    *,
    rule: Rule = common,
    gradient: Gradient,
    where: str = "torch Tensor",
    inplace: bool = True,
    out: bool = True,
    aliases: Sequence[str] = (),
    refuse: Refusal | None = None,
    verify: Verify | None = None,
    scaled: bool = False,
    native: bool = False,
    tensors: str = "",
    exact: Callable[[dtype, dtype], str | None] | None = None,
    variants: tuple[str, dict[Any, Row]] = ("", {}),
    flagged: bool = False,
    backward_name: str = "",
    doc: str = "",
) -> Callable[..., Any]:
    """Enter an elementwise operator. Returns its public function.

    `compute` is a NumPy ufunc or a function of arrays (see `Row`), whose parameters after the operands are settings of the operator.
    `parameters` names the operands ("input other"). `scaled` adds the keyword `alpha`, which multiplies the second operand. `tensors` and `exact` are
    the row's. `variants`
    names a keyword and the rows that its values choose. `flagged` gives the function in `nn.functional` the parameter `inplace`.
    """
    operands = tuple(parameters.split())
    signature, direct = _signature(compute, operands, "alpha" if scaled else variants[0])
    optional = [
        p.name
        for p in signature.parameters.values()
        if p.name in operands and p.default is not p.empty
    ]
    if direct and not isinstance(compute, np.ufunc):
        compute = blocked(compute)
    row = Row(
        compute,
        direct,
        rule,
        refuse,
        verify,
        len(operands),
        scaled,
        native,
        optional,
        tensors.split(),
        exact,
    )
    row.choice, row.variants = variants

    def body(*args: Any, **kwargs: Any) -> Tensor:
        chosen, operands, settings = arguments(row, args, kwargs)
        return chosen.fresh(operands, settings)

    body.__name__ = name
    body.__doc__ = doc or (
        f"`{name}` of each element." if row.is_ufunc else inspect.getdoc(compute)
    )
    body.__signature__ = signature  # type: ignore[attr-defined]
    row.spec = spec = describe(
        body, kind="pointwise", where=where, gradient=gradient, name=name, inplace=inplace, out=out, aliases=aliases,
        backward_name=backward_name,
    )  # fmt: skip
    row.name = (
        spec.name
        if spec.where[0] in ("torch", "Tensor", "internal", "nn.functional")
        else f"special_{spec.name}"
    )
    for variant in row.variants.values():
        variant.spec, variant.name, variant.choice = spec, row.name, row.choice
    call = _make_call(row)
    call.__name__ = call.__qualname__ = name
    call.__doc__ = body.__doc__
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.spec = spec  # type: ignore[attr-defined]
    call.write = write = _make_write(row)  # type: ignore[attr-defined]
    registry.enter(spec, call, {"nn.functional": with_flag(call)} if flagged else {})
    if inplace:
        for each in (name, *aliases):
            registry.put("Tensor", each + "_", write)
    return call


def with_flag(call: Callable[..., Any]) -> Callable[..., Any]:
    """The operator `call` with a last parameter `inplace`, which chooses its in-place form."""
    spec, write = call.spec, call.write  # type: ignore[attr-defined]
    count = len(spec.parameters)

    def function(*args: Any, **kwargs: Any) -> Tensor:
        inplace = kwargs.pop("inplace", False)
        if len(args) > count:
            inplace, args = args[count], args[:count]
        return (write if inplace else call)(*args, **kwargs)

    function.__name__ = function.__qualname__ = call.__name__
    function.__doc__ = f"{call.__doc__}\n\nWith `inplace` the result overwrites `input`."
    listed = [
        p.replace(kind=_Kind.POSITIONAL_OR_KEYWORD)
        for p in inspect.signature(call).parameters.values()
    ]
    flag = _Kind("inplace", _Kind.POSITIONAL_OR_KEYWORD, default=False)
    function.__signature__ = inspect.Signature([*listed, flag])  # type: ignore[attr-defined]
    function.spec = spec  # type: ignore[attr-defined]
    return function


def elementwise(
    parameters: str = "input", *, name: str = "", **described: Any
) -> Callable[[Callable[..., Any]], Any]:
    """`pointwise` as a decorator of the function of arrays that computes the operator, and whose name it takes."""

    def decorate(compute: Callable[..., Any]) -> Callable[..., Any]:
        return pointwise(name or compute.__name__.rstrip("_"), compute, parameters, **described)

    return decorate


def _signature(
    compute: Callable[..., Any], operands: Sequence[str], keyword: str
) -> tuple[inspect.Signature, bool]:
    """The public signature: operands, then the settings of `compute`; and whether `compute` writes into an output."""
    if isinstance(compute, np.ufunc):
        listed = [_Kind(name, _Kind.POSITIONAL_OR_KEYWORD) for name in operands]
        if keyword:
            listed.append(
                _Kind(keyword, _Kind.KEYWORD_ONLY, default=1 if keyword == "alpha" else None)
            )
        return inspect.Signature(listed), True
    found = [
        p.replace(annotation=_Kind.empty) for p in inspect.signature(compute).parameters.values()
    ]
    direct = len(found) > len(operands) and found[len(operands)].name == "out"
    return inspect.Signature([p for p in found if p.name != "out"]), direct


def arguments(
    row: Row, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Row, Sequence[Any], dict[str, Any]]:
    """The row that answers, its operands, and its settings with their defaults.

    Raises: TypeError for too few, too many or unknown arguments, RuntimeError for a `choice` that there is no variant for.
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


def _general(row: Row, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
    """Any call: operands of any kind, `out=`, settings, listeners."""
    out = kwargs.pop("out", None) if kwargs else None
    row, operands, settings = arguments(row, args, kwargs)
    if out is not None:
        return _write_out(row, out, operands, settings)
    if listeners:
        return heard(row.spec, "copy", lambda: _computed(row, operands, settings), operands)
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


def _make_call(row: Row) -> Callable[..., Any]:
    """The public function: the fast way if the call is of the common kind, else the general one."""
    if row.direct and row.arity == 1:
        return _make_unary(row)
    if row.direct and row.arity == 2:
        return _make_binary(row)

    def call(*args: Any, **kwargs: Any) -> Tensor:
        return _general(row, args, kwargs)

    return call


def _fast_types(row: Row) -> tuple[dict[dtype, dtype], Callable[[dtype], dtype | None]]:
    """The dtypes that `compute` takes as they are, with the result's; and a function that adds one or returns None."""
    fast: dict[dtype, dtype] = {}

    def learn(d: dtype) -> dtype | None:
        if d in REDUCED or (row.refuse is not None and row.refuse(d) is not None):
            return None
        work, answer = row.rule(d)
        if work is not d:
            return None
        fast[d] = answer
        return answer

    return fast, learn


def _make_unary(row: Row) -> Callable[..., Any]:
    spec, compute, first = row.spec, row.compute, row.spec.parameters[0]
    fast, learn = _fast_types(row)

    def unary(input: Any = _ABSENT, /, *more: Any, **kwargs: Any) -> Tensor:
        if kwargs or more or listeners or not isinstance(input, Tensor):
            return _general(row, more if input is _ABSENT else (input, *more), kwargs)
        answer = fast.get(input.dtype) or learn(input.dtype)
        if answer is None:
            return _general(row, (input,), kwargs)
        t = _fast_output(elementwise_layout(input._layout), answer)
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


def _make_binary(row: Row) -> Callable[..., Any]:
    spec, compute, defaults = row.spec, row.compute, row.spec.defaults
    first, second = spec.parameters[:2]
    fast, learn = _fast_types(row)
    weak = {} if second in row.tensors else WEAK

    def binary(input: Any = _ABSENT, other: Any = _ABSENT, /, *more: Any, **kwargs: Any) -> Tensor:
        if kwargs or more or listeners or not isinstance(input, Tensor):
            return _general(row, _present(input, other, more), kwargs)
        d = input.dtype
        answer = fast.get(d) or learn(d)
        if isinstance(other, Tensor):
            if answer is None or other.dtype is not d:
                return _general(row, (input, other), kwargs)
            layout = elementwise_layout(input._layout, other._layout)
            value = other._array
        elif (
            answer is not None
            and type(other) in WEAK.get(d, ())
            and (type(other) is float or -1 << 53 < other < 1 << 53)
        ):
            layout = elementwise_layout(input._layout, SCALAR)
            value = other
        else:
            return _general(row, _present(input, other, more), kwargs)
        t = _fast_output(layout, answer)
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


def _fast_output(layout: Layout, d: dtype) -> Tensor:
    t = _new(Tensor)
    t._storage = storage = Storage(layout.numel * d.itemsize)
    if layout.is_row_major:
        t._array = _ndarray(layout.shape, d.numpy, storage.buffer)
    t._layout = layout
    t.dtype = d
    return t


def _write_out(row: Row, out: Any, operands: Sequence[Any], settings: dict[str, Any]) -> Tensor:
    name = row.spec.name
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if state.grad and (tracked(operands) or tracked((out,))):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad."
        )
    types = row.types(operands)
    words = row.exact(types[2], out.dtype) if row.exact is not None and types[2] is not out.dtype else None
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
    if types[2] is out.dtype:
        row.evaluate(apart(out, operands), settings, types, out._array)
    else:
        fresh = empty(layout, types[2])
        row.evaluate(operands, settings, types, fresh._array)
        copy_array(out._array, fresh._array)
    out._storage.version += 1
    if listeners:
        tell_write(name, out, operands, start)
    return out


def _make_write(row: Row) -> Callable[..., Any]:
    """The in-place form, with a fast way for a dense tensor that no gradient flows to."""
    spec, compute = row.spec, row.compute
    name = spec.name + "_"
    fast, learn = _fast_types(row)

    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        d = self.dtype
        if (
            row.direct
            and not kwargs
            and not listeners
            and len(args) == row.arity - 1
            and (fast.get(d) or learn(d)) is d
        ):
            values = _plain(self, args)
            if values is not None:
                token = quiet()
                try:
                    compute(self._array, *values, self._array)
                finally:
                    restore(token)
                self._storage.version += 1
                return self
        start = perf_counter() if listeners else 0.0
        chosen, operands, settings = arguments(row, (self, *args), kwargs)
        old = before_write(spec, self, operands[1:], settings)
        chosen.into(self, operands, settings)
        after_write(spec, self, old, operands[1:], settings)
        if listeners:
            tell_write(name, self, args, start)
        return self

    write.__name__ = write.__qualname__ = name
    write.__doc__ = (
        f"In-place form of `{spec.name}`: writes the result into this tensor and returns it."
    )
    write.spec = spec  # type: ignore[attr-defined]
    return write


def _plain(self: Tensor, args: Sequence[Any]) -> list[Any] | None:
    """The operands of an in-place call as `compute` takes them, if nothing needs to be checked, converted or recorded."""
    layout = self._layout
    if (
        self._inference
        or not layout.is_non_overlapping_and_dense
        or (state.grad and wants_grad(self))
    ):
        return None
    values: list[Any] = []
    for value in args:
        if isinstance(value, Tensor):
            if value.dtype is not self.dtype or (state.grad and wants_grad(value)):
                return None
            if value is not self and value._storage.buffer is self._storage.buffer:
                return None
            if (
                value._layout.shape != layout.shape
                and elementwise_layout(layout, value._layout).shape != layout.shape
            ):
                return None
            values.append(value._array)
        elif type(value) is float and self.dtype in WEAK and self.dtype.category == FLOATING:
            values.append(value)
        else:
            return None
    return values
