"""Calling an operator: run its body, put the result on the tape, tell whoever listens.

`operator`, `view_operator` and `composite` are the decorators with which the families describe
their operators.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any

from pellucid.autograd.modes import state
from pellucid.autograd.node import record, wants_grad
from pellucid.autograd.views import INFERENCE_VIEW, MULTI_VIEW, NO_GRAD_VIEW
from pellucid.ops import meta
from pellucid.ops.autocast import cast_call, current, policy
from pellucid.ops.blas import in_earnest, sketch
from pellucid.ops.inplace import make_inplace, write_outputs
from pellucid.ops.overloads import guarded, reader
from pellucid.ops.spec import Gradient, OpSpec, OutRule, describe, registry
from pellucid.tensor.events import Event, listeners, take_reason
from pellucid.tensor.layout import Layout, NoView
from pellucid.tensor.levels import UNTOUCHED, NeedsDataError, interpreter, levels
from pellucid.tensor.meta import counted
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, make

_SEQUENCES = (list, tuple)
_INTERNAL = "internal."
"""The place of operators that only operators call: what they get has been read."""
_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim"}
"""NumPy's names of arguments, which PyTorch takes as well."""


def tracked(args: Iterable[Any]) -> bool:
    """Whether a gradient flows to one of the arguments (lists of tensors are looked into)."""
    for value in args:
        if isinstance(value, Tensor):
            if value._requires_grad or wants_grad(value):
                return True
        elif type(value) in _SEQUENCES and value and tracked(value):
            return True
    return False


def run_fresh(spec: OpSpec, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run an operator that computes fresh memory; record it if a gradient is wanted."""
    if state.grad:
        if tracked(args) or (kwargs and tracked(kwargs.values())):
            return _run_recorded(spec, args, kwargs)
    elif state.inference:
        return mark_inference(spec.body(*args, **kwargs))
    return spec.body(*args, **kwargs)


def _run_recorded(spec: OpSpec, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    state.grad = False
    try:
        result = spec.body(*args, **kwargs)
    finally:
        state.grad = True
    if spec.gradient:
        outputs = result if isinstance(result, _SEQUENCES) else (result,)
        if any(isinstance(o, Tensor) and o.dtype.category >= 2 for o in outputs):
            record(spec.backward_name, spec.gradient, spec.bind(args, kwargs), outputs, spec.fields)
    return result


def mark_inference(result: Any) -> Any:
    """Results made in inference mode are inference tensors."""
    for output in result if isinstance(result, _SEQUENCES) else (result,):
        if isinstance(output, Tensor):
            output._inference = True
    return result


def heard(
    spec: OpSpec,
    kind: str,
    call: Callable[[], Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> Any:
    """Run `call` and tell the listeners; inside `vmap` calls on its tensors are interpreted."""
    if levels.stack:
        found = interpreter.call(spec, args, kwargs)
        if found is not UNTOUCHED:
            return found
    start = perf_counter()
    if counted.living and meta.concerns(args, kwargs):
        meta.check(spec.name, args, kwargs)
        result = meta.run(spec, args, kwargs) if spec.kind == "fresh" else call()
    elif sketch.wants is not None and sketch.depth and not sketch.wants((args, kwargs)):
        with in_earnest():
            result = call()
    else:
        result = call()
    seconds = perf_counter() - start
    outputs: tuple[Tensor, ...]
    if isinstance(result, Tensor):
        outputs = (result,)
    else:
        several = result if isinstance(result, _SEQUENCES) else ()
        outputs = tuple(o for o in several if isinstance(o, Tensor))
    nbytes = sum([o._layout.numel * o.dtype.itemsize for o in outputs]) if kind == "copy" else 0
    name = spec.name + "_" if kind == "write" else spec.name
    event = Event(name, tuple(args), outputs, kind, nbytes, seconds, take_reason(), spec, kwargs)
    for listener in tuple(listeners):
        listener(event)
    return result


def _without(kwargs: dict[str, Any], key: str) -> dict[str, Any]:
    """`kwargs` without `key`; the caller's own dictionary stays as it was given."""
    return {name: value for name, value in kwargs.items() if name != key}


def _other_names(spec: OpSpec) -> dict[str, str]:
    """What NumPy calls this operator's arguments; the functions of `nn` know only their own."""
    if spec.where and spec.where[0] == "nn.functional":
        return {}
    return {other: own for other, own in _NUMPY_NAMES.items() if own in spec.parameters}


def _public(spec: OpSpec, call: Callable[..., Any]) -> Callable[..., Any]:
    functools.update_wrapper(call, spec.body)
    call.__name__ = call.__qualname__ = spec.name
    call.spec = spec  # type: ignore[attr-defined]
    return call


def _enter(spec: OpSpec, make: Callable[[str], Callable[..., Any]]) -> Callable[..., Any]:
    """Enter the operator under its names; `make` makes what stands under one of them
    ("Tensor.add"), for each has overloads of its own.
    """
    forms = {name: _public(spec, make(name)) for name in spec.public}
    call = forms[spec.public[0]]
    registry.enter(spec, call, forms)
    if spec.inplace:
        for name in (spec.name, *spec.aliases):
            registry.put("Tensor", name + "_", make_inplace(spec, name + "_"))
    return call


def operator(
    *,
    where: str = "torch Tensor",
    gradient: Gradient | None = None,
    name: str | None = None,
    inplace: bool = False,
    out: bool | OutRule = False,
    aliases: Sequence[str] = (),
    backward_name: str = "",
    fields: Sequence[str] = (),
    infer: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Describe an operator whose body computes fresh tensors from its arguments' `_array`s."""

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        spec = describe(
            body,
            kind="fresh",
            where=where,
            gradient=gradient,
            name=name,
            inplace=inplace,
            out=out,
            aliases=aliases,
            backward_name=backward_name,
            fields=fields,
            infer=infer,
        )
        renamed = _other_names(spec)
        takes_input = bool(spec.parameters) and spec.parameters[0] == "input"
        rule = policy(spec.name)

        def make(public: str) -> Callable[..., Any]:
            reading = reader(spec, public)
            read, explain = reading.read, reading.explain
            public_call = not public.startswith(_INTERNAL)

            def call(*args: Any, **kwargs: Any) -> Any:
                if rule and current.enabled:
                    return cast_call(rule, call, args, kwargs)
                if public_call and (kwargs or len(args) > 1):
                    given, named = read(args, kwargs)
                else:
                    given, named = args, kwargs
                try:
                    if named and renamed and not renamed.keys().isdisjoint(named):
                        named = {renamed.get(key, key): value for key, value in named.items()}
                    if takes_input and not given and "input" in named:
                        given, named = (named["input"],), _without(named, "input")
                    if takes_input and not isinstance(given[0], Tensor):
                        raise TypeError(f"{spec.name}(): `input` must be a Tensor")
                    if out and named and "out" in named:
                        target, named = named["out"], _without(named, "out")
                        if target is not None:
                            return write_outputs(spec, target, given, named)
                    if listeners:
                        return heard(
                            spec, "copy", lambda: run_fresh(spec, given, named), given, named
                        )
                    return run_fresh(spec, given, named)
                except Exception as failure:
                    explain(args, kwargs, failure)
                    raise

            return call

        return _enter(spec, make)

    return decorate


def alias(input: Tensor, layout: Layout, dtype: Any, kind: str | None = None) -> Tensor:
    """A tensor that shows `layout` of the same storage, known as a view of `input`'s base."""
    result = make(input._storage, layout, dtype)
    if input._inference:
        result._inference = True
        return result
    base = input._base
    result._base = input if base is None else base
    result._view_version = input._storage.version
    result._view = kind or input._view
    if not state.grad:
        result._view = INFERENCE_VIEW if state.inference else NO_GRAD_VIEW
    return result


def run_view(spec: OpSpec, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run an operator that only computes layouts."""
    found = spec.body(*args, **kwargs)
    input = args[0]
    result: Any
    if isinstance(found, Layout):
        result = alias(input, found, input.dtype)
        outputs: Sequence[Tensor] = (result,)
    elif isinstance(found, list):
        result = outputs = tuple(alias(input, layout, input.dtype, MULTI_VIEW) for layout in found)
    elif isinstance(found, NoView):
        raise RuntimeError(found.message)
    elif isinstance(found, Storage):
        result = alias(input, input._layout, input.dtype)
        result._storage = found
        outputs = (result,)
    else:
        result = alias(input, *found)
        outputs = (result,)
    if state.grad and outputs and wants_grad(input):
        record(spec.backward_name, spec.gradient, spec.bind(args, kwargs), outputs, ())
    return result


def view_operator(
    *,
    where: str = "torch Tensor",
    gradient: Gradient | None = None,
    name: str | None = None,
    aliases: Sequence[str] = (),
    backward_name: str = "",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Describe an operator whose body returns a `Layout`, a list of them, `(Layout, dtype)`, a
    `Storage` that reads the same bytes otherwise, or a `NoView`.
    """

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        spec = describe(
            body,
            kind="view",
            where=where,
            gradient=gradient,
            name=name,
            aliases=aliases,
            backward_name=backward_name,
        )

        renamed = _other_names(spec)

        def make(public: str) -> Callable[..., Any]:
            reading = reader(spec, public)
            read, explain, known = reading.read, reading.explain, reading.known
            public_call = not public.startswith(_INTERNAL)

            def call(*args: Any, **kwargs: Any) -> Any:
                given, named = args, kwargs
                # What `read` would leave as it is, is seen here: a call less.
                if public_call and (
                    kwargs or (len(args) > 1 and known.get((*map(type, args),)) != ())
                ):
                    given, named = read(args, kwargs)
                try:
                    if named and renamed and not renamed.keys().isdisjoint(named):
                        named = {renamed.get(key, key): value for key, value in named.items()}
                    if not given and "input" in named:
                        given, named = (named["input"],), _without(named, "input")
                    if not given or not isinstance(given[0], Tensor):
                        raise TypeError(f"{spec.name}(): `input` must be a Tensor")
                    if listeners:
                        return heard(
                            spec, "view", lambda: run_view(spec, given, named), given, named
                        )
                    return run_view(spec, given, named)
                except Exception as failure:
                    explain(args, kwargs, failure)
                    raise

            return call

        entered = _enter(spec, make)
        entered.unread = _public(spec, make(_INTERNAL + spec.name))  # type: ignore[attr-defined]
        return entered

    return decorate


def composite(
    *,
    where: str = "torch Tensor",
    name: str | None = None,
    inplace: bool = False,
    out: bool | OutRule = False,
    aliases: Sequence[str] = (),
    by_element: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Describe an operator made of other operators: it is recorded and told through them.

    One that looks at the numbers of some arguments is run `by_element` inside `vmap` if these
    differ between the elements.
    """

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        spec = describe(
            body,
            kind="composite",
            where=where,
            gradient=None,
            name=name,
            inplace=inplace,
            out=out,
            aliases=aliases,
        )
        renamed = _other_names(spec)
        rule = policy(spec.name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if rule and current.enabled:
                return cast_call(rule, call, args, kwargs)
            if not kwargs and not by_element:
                return body(*args)
            if kwargs and renamed and not renamed.keys().isdisjoint(kwargs):
                kwargs = {renamed.get(key, key): value for key, value in kwargs.items()}
            if by_element and levels.stack:
                try:
                    return body(*args, **kwargs)
                except NeedsDataError:
                    return interpreter.call(spec, args, kwargs)
            if out and "out" in kwargs:
                target, kwargs = kwargs["out"], _without(kwargs, "out")
                if target is not None:
                    return write_outputs(spec, target, args, kwargs)
            return body(*args, **kwargs)

        chosen = call if out or renamed or rule or by_element else body
        return _enter(spec, lambda public: guarded(chosen, reader(spec, public)))

    return decorate
