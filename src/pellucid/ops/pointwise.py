"""Elementwise operators: one row each, everything they share handled here.

A row names a NumPy ufunc (or a function of arrays) and a dtype rule. Type promotion, broadcasting, output strides, `out=`, in-place forms, Python
numbers, half precision and recording are the same for all rows. This is the hottest path of the library: `x + y` on small tensors goes
through `call` below and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.autograd.node import record, wants_grad
from pellucid.ops.dispatch import heard, mark_inference, tracked
from pellucid.ops.inplace import (
    after_write,
    before_write,
    check_castable,
    copy_array,
    refuse_overlap,
    resize_output,
    store,
    tell_write,
    write_outputs,
)
from pellucid.ops.quiet import quiet, restore
from pellucid.ops.spec import Gradient, OpSpec, describe, registry
from pellucid.tensor.dtype import REDUCED, bool_, default, dtype, float32, float64, int64
from pellucid.tensor.events import listeners
from pellucid.tensor.layout import Layout, contiguous, elementwise_layout
from pellucid.tensor.promotion import combine, number_dtype
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, empty

_new = object.__new__
_ndarray = np.ndarray
SCALAR = contiguous(())
_NUMBERS = (bool, int, float, complex)
_WEAK = {float32: (int, float), float64: (int, float), int64: (int,)}
"""Python numbers that NumPy may take as they are, by the dtype computed in."""

Rule = Callable[[dtype], tuple[dtype, dtype]]
"""From the operands' common dtype to the dtype computed in and the dtype of the result."""


def common(d: dtype) -> tuple[dtype, dtype]:
    """Compute and answer in the common dtype."""
    return d, d


def floating(d: dtype) -> tuple[dtype, dtype]:
    """Integers and bools become the default floating dtype first (`exp`, `div`)."""
    if d.category < 2:
        return default.floating, default.floating
    return d, d


def truth(d: dtype) -> tuple[dtype, dtype]:
    """Compute in the common dtype, answer in bool (`eq`)."""
    return d, bool_


class Row:
    """One elementwise operator: how to compute it and which dtypes it goes through.

    `ufunc` writes into an output array; `function` returns a new array. `refuse` may return the words with which a common dtype is refused.
    """

    __slots__ = ("arity", "compute", "direct", "function", "name", "refuse", "rule", "scaled", "spec")

    def __init__(
        self,
        spec: OpSpec,
        compute: Callable[..., Any],
        direct: bool,
        rule: Rule,
        refuse: Callable[[dtype], str | None] | None,
        arity: int,
        scaled: bool,
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self.compute = compute
        self.direct = direct
        self.rule = rule
        self.refuse = refuse
        self.arity = arity
        self.scaled = scaled

    def types(self, operands: Sequence[Any]) -> tuple[dtype, dtype]:
        """(dtype computed in, dtype of the result) for these operands."""
        dimensioned, zero_dim, numbers = [], [], []
        for value in operands:
            if isinstance(value, Tensor):
                (dimensioned if value._layout.shape else zero_dim).append(value.dtype)
            else:
                numbers.append(number_dtype(value))
        d = combine(dimensioned, zero_dim, numbers)
        words = self.refuse(d) if self.refuse is not None else None
        if words is not None:
            raise RuntimeError(words)
        return self.rule(d)

    def evaluate(self, operands: Sequence[Any], work: dtype, target: np.ndarray) -> None:
        """Compute the operands, converted to `work`, into `target` (of any dtype)."""
        inner = float32 if work in REDUCED else work
        arrays = [as_array(value, inner) for value in operands]
        token = quiet()
        try:
            if self.direct and inner is work and (self.rule is truth or target.dtype == work.numpy):
                self.compute(*arrays, target)
            else:
                copy_array(target, self.compute(*arrays))
        finally:
            restore(token)

    def fresh(self, *operands: Any) -> Tensor:
        """The result in fresh memory, not recorded."""
        operands = self.check(operands)
        work, answer = self.types(operands)
        layout = elementwise_layout(*[v._layout if isinstance(v, Tensor) else SCALAR for v in operands])
        out = empty(layout, answer)
        self.evaluate(operands, work, out._array)
        return out

    def check(self, operands: Sequence[Any]) -> Sequence[Any]:
        """Refuse operands that are neither tensors nor numbers; NumPy scalars become numbers."""
        checked = []
        for position, value in enumerate(operands):
            if not isinstance(value, (Tensor, *_NUMBERS)):
                if isinstance(value, np.generic):
                    value = value.item()
                else:
                    name = self.spec.parameters[position]
                    raise TypeError(
                        f"{self.name}(): argument '{name}' (position {position + 1}) must be Tensor, not {type(value).__name__}"
                    )
            checked.append(value)
        return checked

    def into(self, target: Tensor, operands: Sequence[Any]) -> None:
        """Compute straight into `target`, which has the result's shape or is refused."""
        operands = self.check(operands)
        work, answer = self.types(operands)
        layout = elementwise_layout(*[v._layout if isinstance(v, Tensor) else SCALAR for v in operands])
        if layout.shape != target._layout.shape or not self.direct or answer is not target.dtype:
            out = empty(layout, answer)
            self.evaluate(operands, work, out._array)
            store(target, out)
        else:
            self.evaluate(operands, work, target._array)


def as_array(value: Any, d: dtype) -> Any:
    """An operand as NumPy computes with it: an array of dtype `d`, or a Python number NumPy may take as it is."""
    if isinstance(value, Tensor):
        array = value._array
        if value.dtype is d:
            return array
        converted = np.empty(array.shape, d.numpy) if not array.shape else np.empty_like(array, d.numpy)
        copy_array(converted, array)
        return converted
    if type(value) in _WEAK.get(d, ()):
        return value
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(d.numpy)


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
    refuse: Callable[[dtype], str | None] | None = None,
    scaled: bool = False,
    backward_name: str = "",
    doc: str = "",
) -> Callable[..., Any]:
    """Enter an elementwise operator. Returns its public function.

    `compute` is a NumPy ufunc (writes into an output) or any function of arrays. `parameters` names the operands ("input other").
    `scaled` adds the keyword `alpha`, which multiplies the second operand.
    """
    names = tuple(parameters.split())
    direct = isinstance(compute, np.ufunc)
    body = _body_with(names, scaled)
    body.__doc__ = doc or f"`{name}` of each element."
    spec = describe(
        body, kind="pointwise", where=where, gradient=gradient, name=name, inplace=inplace, out=out, aliases=aliases,
        backward_name=backward_name,
    )
    row = Row(spec, compute, direct, rule, refuse, len(names), scaled)
    spec_body = row.fresh if not scaled else (lambda *operands, alpha=1: row.fresh(*_scale(operands, alpha)))
    object.__setattr__(spec, "body", spec_body)
    call = _make_call(row)
    call.__name__ = call.__qualname__ = name
    call.__doc__ = body.__doc__
    call.spec = spec  # type: ignore[attr-defined]
    registry.enter(spec, call)
    if inplace:
        write = _make_write(row)
        for each in (name, *aliases):
            registry.put("Tensor", each + "_", write)
    return call


def _body_with(names: Sequence[str], scaled: bool) -> Callable[..., Any]:
    """A function with the operator's public signature, for descriptions and documentation."""
    text = ", ".join(names) + (", *, alpha=1" if scaled else "")
    scope: dict[str, Any] = {}
    exec(f"def body({text}): ...", scope)  # the names come from this package's own tables
    return scope["body"]


def _scale(operands: Sequence[Any], alpha: Any) -> Sequence[Any]:
    if alpha == 1 and not isinstance(alpha, bool):
        return operands
    first, second = operands
    d = combine([v.dtype for v in operands if isinstance(v, Tensor)], [], [number_dtype(alpha)])
    weakest = max((v.dtype for v in operands if isinstance(v, Tensor)), key=lambda t: t.category)
    if d.category > weakest.category:
        kind = "boolean" if isinstance(alpha, bool) else "floating point"
        if kind == "floating point":
            raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(alpha, bool) and weakest.category > 0:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    return first, registry.specs["mul"].body(second, alpha)


def _make_call(row: Row) -> Callable[..., Any]:
    spec, compute, rule = row.spec, row.compute, row.rule
    first = spec.parameters[0]

    def general(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = kwargs.pop("out", None)
        if out is not None:
            return write_outputs(spec, out, args, kwargs) if not isinstance(out, Tensor) else _into_out(row, out, args, kwargs)
        if kwargs:
            args, kwargs = _positional(spec, args, kwargs)
        if listeners:
            return heard(spec, "copy", lambda: finish(args, kwargs), args)
        return finish(args, kwargs)

    def finish(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) != row.arity:
            missing = spec.parameters[len(args)] if len(args) < row.arity else None
            raise TypeError(
                f'{row.name}() missing 1 required positional arguments: "{missing}"'
                if missing
                else f"{row.name}() takes {row.arity} positional arguments but {len(args)} were given"
            )
        result = spec.body(*args, **kwargs)
        if state.grad:
            if spec.gradient and result.dtype.category >= 2 and tracked(args):
                record(spec.backward_name, spec.gradient, spec.bind(args, kwargs), (result,), ())
        elif state.inference:
            mark_inference(result)
        return result

    if not row.direct:

        def call(*args: Any, **kwargs: Any) -> Any:
            return general(args, kwargs)

        return call

    # The fast ways below take tensors of one dtype that the ufunc computes in directly. Anything else goes the general way.
    fast: dict[dtype, dtype] = {}

    def learn(d: dtype) -> dtype | None:
        if d in REDUCED or (row.refuse is not None and row.refuse(d) is not None):
            return None
        work, answer = rule(d)
        if work is not d or (answer is not d and answer is not bool_):
            return None
        fast[d] = answer
        return answer

    if row.arity == 1:

        def unary(*args: Any, **kwargs: Any) -> Any:
            if kwargs or listeners or len(args) != 1 or not isinstance(args[0], Tensor):
                return general(args, kwargs)
            input = args[0]
            answer = fast.get(input.dtype) or learn(input.dtype)
            if answer is None:
                return general(args, kwargs)
            layout = elementwise_layout(input._layout)
            t = _fast_output(layout, answer)
            token = quiet()
            try:
                compute(input._array, t._array)
            finally:
                restore(token)
            if state.grad:
                if spec.gradient and wants_grad(input):
                    record(spec.backward_name, spec.gradient, {first: input}, (t,), ())
            elif state.inference:
                t._inference = True
            return t

        return unary

    if row.arity != 2:

        def nary(*args: Any, **kwargs: Any) -> Any:
            return general(args, kwargs)

        return nary
    second = spec.parameters[1]

    def binary(*args: Any, **kwargs: Any) -> Any:
        if kwargs or listeners or len(args) != 2:
            return general(args, kwargs)
        input, other = args
        if not isinstance(input, Tensor):
            return general(args, kwargs)
        d = input.dtype
        answer = fast.get(d) or learn(d)
        if answer is None:
            return general(args, kwargs)
        if isinstance(other, Tensor):
            if other.dtype is not d:
                return general(args, kwargs)
            layout = elementwise_layout(input._layout, other._layout)
            value = other._array
        elif type(other) in _WEAK.get(d, ()):
            layout = elementwise_layout(input._layout, SCALAR)
            value = other
        else:
            return general(args, kwargs)
        t = _fast_output(layout, answer)
        token = quiet()
        try:
            compute(input._array, value, t._array)
        finally:
            restore(token)
        if state.grad:
            if spec.gradient and (wants_grad(input) or (value is not other and wants_grad(other))):
                bound = {first: input, second: other}
                if row.scaled:
                    bound["alpha"] = 1
                record(spec.backward_name, spec.gradient, bound, (t,), ())
        elif state.inference:
            t._inference = True
        return t

    return binary


def _fast_output(layout: Layout, d: dtype) -> Tensor:
    t = _new(Tensor)
    t._storage = storage = Storage(layout.numel * d.itemsize)
    if layout.is_row_major:
        t._array = _ndarray(layout.shape, d.numpy, storage.buffer)
    t._layout = layout
    t.dtype = d
    return t


def _positional(spec: OpSpec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Operands given by keyword, put in their places."""
    ordered = list(args)
    rest = dict(kwargs)
    for name in spec.parameters[len(args) :]:
        if name in rest and name not in spec.defaults:
            ordered.append(rest.pop(name))
    for name in rest:
        if name not in spec.defaults:
            raise TypeError(f"{spec.name}() got an unexpected keyword argument '{name}'")
    return tuple(ordered), rest


def _into_out(row: Row, out: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    spec = row.spec
    args, kwargs = _positional(spec, args, kwargs)
    if state.grad and (tracked(args) or tracked((out,))):
        raise RuntimeError(
            f"{spec.name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad."
        )
    if kwargs:
        args = tuple(_scale(args, kwargs.get("alpha", 1)))
    operands = row.check(args)
    work, answer = row.types(operands)
    check_castable(answer, out.dtype)
    layout = elementwise_layout(*[v._layout if isinstance(v, Tensor) else SCALAR for v in operands])
    resize_output(out, layout)
    refuse_overlap(out)
    start = perf_counter() if listeners else 0.0
    if answer is out.dtype:
        row.evaluate(operands, work, out._array)
    else:
        fresh = empty(layout, answer)
        row.evaluate(operands, work, fresh._array)
        copy_array(out._array, fresh._array)
    out._storage.version += 1
    if listeners:
        tell_write(spec.name, out, args, start)
    return out


def _make_write(row: Row) -> Callable[..., Any]:
    spec = row.spec
    name = spec.name + "_"

    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        start = perf_counter() if listeners else 0.0
        if kwargs:
            operands, kwargs = _positional(spec, (self, *args), kwargs)
            args = operands[1:]
        old = before_write(spec, self, args, kwargs)
        operands = (self, *args)
        if len(operands) != row.arity:
            raise TypeError(f"{name}() takes {row.arity - 1} positional arguments but {len(args)} were given")
        if kwargs:
            operands = tuple(_scale(operands, kwargs.get("alpha", 1)))
        row.into(self, operands)
        after_write(spec, self, old, args, kwargs)
        if listeners:
            tell_write(name, self, args, start)
        return self

    write.__name__ = write.__qualname__ = name
    write.__doc__ = f"In-place form of `{spec.name}`: writes the result into this tensor and returns it."
    write.spec = spec  # type: ignore[attr-defined]
    return write
