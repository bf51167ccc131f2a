"""Operators on `Batched` tensors: find the level, run the operator's batching rule on the values,
record on the tape of that level.

A call belongs to the innermost level among its arguments. Its rule computes with the values, which
may themselves belong to a level further out: then they are interpreted in turn, until plain tensors
are left. Two tapes may see one call: the values' (a gradient taken outside `vmap`), by the
operators that the rule calls, and the batched tensors' own (a gradient taken inside), by the
operator's usual formulas, which are then interpreted themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pellucid.autograd.modes import state
from pellucid.autograd.node import Formula, current_grad_fn, record, wants_grad
from pellucid.autograd.views import MULTI_VIEW, check_write
from pellucid.ops.api import F
from pellucid.ops.batching.rules import Call, element, loop, rule_of
from pellucid.ops.dispatch import tracked
from pellucid.ops.inplace import after_write, check_castable, refuse_overlap
from pellucid.ops.spec import OpSpec
from pellucid.tensor.dtype import FLOATING
from pellucid.tensor.levels import (
    UNTOUCHED,
    Batched,
    Level,
    NeedsDataError,
    beneath,
    check_random,
    interpreter,
    levels,
    wrap,
)
from pellucid.tensor.tensor import Tensor

_SEQUENCES = (list, tuple)

RANDOM = frozenset(
    [
        "_sample_dirichlet",
        "_standard_gamma",
        "binomial",
        "internal.bernoulli_like",
        "internal.bernoulli_of",
        "internal.normal_of_mean",
        "internal.normal_of_mean_and_std",
        "internal.normal_of_std",
        "multinomial",
        "poisson",
    ]
)
"""Operators that draw numbers; factories and fillers of random numbers ask `levels` themselves."""


def tensors_of(values: Any) -> Iterator[Tensor]:
    """The tensors among arguments, and in lists of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif type(value) in _SEQUENCES:
            yield from tensors_of(value)


def level_of(args: Sequence[Any], kwargs: dict[str, Any]) -> Level | None:
    """The innermost level among the arguments."""
    found: Level | None = None
    for value in tensors_of((*args, *kwargs.values())):
        if isinstance(value, Batched) and (found is None or value._level.number > found.number):
            found = value._level
    return found


def lifted(value: Any, level: Level) -> Any:
    """`value` with every tensor seen as one of `level`, off the tape if it comes from outside."""
    if isinstance(value, Tensor):
        if isinstance(value, Batched) and value._level is level:
            return value
        return wrap(value, level, False)
    if type(value) in _SEQUENCES:
        return type(value)(lifted(each, level) for each in value)
    return value


@contextmanager
def lowered(level: Level) -> Iterator[None]:
    """Outside `level`, and recording only if that was wanted there too."""
    mode, state.grad = state.grad, state.grad and level.grad
    try:
        with beneath(level):
            yield
    finally:
        state.grad = mode


def computed(spec: OpSpec, level: Level, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The results of a call on `level`, not recorded there."""
    call = Call(spec, level, args, kwargs)
    random = call.key in RANDOM
    if random:
        check_random(level)
    with lowered(level):
        if not call.batched and not (random and level.randomness == "different"):
            found, batched = call.run(**call.plain()), False
        else:
            rule = rule_of(spec, call.key)
            found = UNTOUCHED if rule is None else rule(call)
            if found is UNTOUCHED:
                found = loop(call)
            batched = True
    if isinstance(found, Tensor):
        return wrap(found, level, batched)
    results = [wrap(each, level, batched) if isinstance(each, Tensor) else each for each in found]
    if hasattr(found, "_fields"):
        return type(found)(*results)
    return tuple(results)


def interpret(spec: OpSpec, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The results of a call, if one of its arguments belongs to a level."""
    level = level_of(args, kwargs)
    if level is None:
        if not levels.stack or Call.key_of(spec) not in RANDOM:
            return UNTOUCHED
        level = levels.stack[-1]
    if spec.kind == "composite" and state.grad and tracked(tensors_of((*args, *kwargs.values()))):
        _refuse_gradient(spec, level, (*args, *kwargs.values()))
    result = computed(spec, level, args, kwargs)
    outputs = result if isinstance(result, tuple) else (result,)
    if spec.kind == "view":
        _relate(args[0], outputs, several=isinstance(result, tuple))
    if state.grad and spec.gradient and any(o.dtype.category >= FLOATING for o in outputs):
        own = lifted(tuple(args), level)
        named = {name: lifted(value, level) for name, value in kwargs.items()}
        if tracked(own) or tracked(named.values()):
            record(spec.backward_name, spec.gradient, spec.bind(own, named), outputs, spec.fields)
    return result


def _refuse_gradient(spec: OpSpec, level: Level, values: Sequence[Any]) -> None:
    """A composite that runs element by element cannot be seen by a tape of the level."""
    if tracked(lifted(tuple(values), level)):
        raise NotImplementedError(
            f"vmap: {spec.name} looks at the numbers of its arguments, so it is run once for each "
            "element, which a gradient taken inside vmap cannot follow.\n"
            "  Take the gradient outside: grad(lambda x: vmap(f)(x).sum())."
        )


def _relate(input: Tensor, outputs: Sequence[Tensor], several: bool) -> None:
    """Outputs of a view are known as views of the input's base."""
    base = input._base
    for output in outputs:
        output._base = input if base is None else base
        output._view_version = input._storage.version
        output._view = MULTI_VIEW if several else input._view


def write(
    spec: OpSpec,
    self: Tensor,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    direct: Callable[..., None] | None = None,
) -> Any:
    """An in-place call, if one of its arguments belongs to a level: compute, store, record.

    `direct(value, *args)` writes into the values where there is no operator that computes.
    """
    level = level_of((self, *args), kwargs)
    if level is None:
        return UNTOUCHED
    if not isinstance(self, Batched) or self._level is not level:
        raise _cannot_hold(spec)
    args = lifted(tuple(args), level)
    kwargs = {name: lifted(value, level) for name, value in kwargs.items()}
    others = state.grad and (tracked(args) or tracked(kwargs.values()))
    check_write(self, others)
    if spec.name != "fill":
        refuse_overlap(self)
    if not self._batched and any(
        isinstance(t, Batched) and t._batched for t in tensors_of((*args, *kwargs.values()))
    ):
        raise _cannot_hold(spec)
    old = _old(spec, self, level) if state.grad and (others or wants_grad(self)) else None
    if direct is not None:
        with lowered(level):
            direct(self, *args, **kwargs)
    else:
        result = computed(spec, level, (self, *args), kwargs)
        if result._layout.shape != self._layout.shape:
            raise RuntimeError(
                f"output with shape {list(self._layout.shape)} doesn't match the broadcast shape "
                f"{list(result._layout.shape)}"
            )
        check_castable(result.dtype, self.dtype)
        with lowered(level):
            self._value.copy_(result._value)
    after_write(spec, self, old, args, kwargs)
    level.tracked = level.tracked or wants_grad(self._value)
    return self


def _old(spec: OpSpec, self: Batched, level: Level) -> Tensor:
    """What stands for the old value on the level's tape."""
    if any(spec.parameters[0] in rule.wants for rule in spec.gradient):
        with lowered(level):
            old: Tensor = wrap(self._value.clone(), level, self._batched)
    else:
        old = self._twin()
    old._grad_fn = current_grad_fn(self)
    old._output_nr = self._output_nr
    old._requires_grad = old._grad_fn is not None
    return old


def formula(rule: Formula, given: list[Any]) -> Any:
    """The gradients that a formula computes of batched tensors.

    A formula that looks at the numbers (to choose a way, or to compute with arrays) is run for each
    element.
    """
    level = level_of(given, {})
    if level is None:
        return rule.function(*given)
    try:
        return rule.function(*given)
    except NeedsDataError:
        pass
    given = list(lifted(given, level))
    rows = []
    with lowered(level):
        for number in range(level.size):
            found = rule.function(*element(given, level, number))
            rows.append(found if rule.joint or isinstance(found, (list, tuple)) else (found,))
        stacked = [
            None if column[0] is None else F.stack(column) for column in zip(*rows, strict=True)
        ]
    results = [None if each is None else wrap(each, level) for each in stacked]
    return tuple(results) if rule.joint or isinstance(found, (list, tuple)) else results[0]


def _cannot_hold(spec: OpSpec) -> RuntimeError:
    name = f"aten::{spec.name}_"
    return RuntimeError(
        f"vmap: {name}(self, *extra_args) is not possible because there exists a Tensor `other` in "
        "extra_args that has more elements than `self`. This happened due to `other` being vmapped "
        "over but `self` not being vmapped over in a vmap. Please try to use out-of-place "
        f"operators instead of {name}. If said operator is being called inside the PyTorch "
        "framework, please file a bug report instead."
    )


interpreter.call = interpret
interpreter.write = write
interpreter.formula = formula
