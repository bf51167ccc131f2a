"""Operators on tensors without data (`tensor/meta.py`): what the result would be.

A view computes its layout as ever, an elementwise operator its dtype and broadcast layout. Any
other body runs on stand-ins: zeros of the same layout, in memory that the system does not hand out
before somebody writes to it; products give zeros in an instant (`ops/blas.py`). The results' data
is let go of. Operators whose result's size depends on numbers are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.autograd.node import record, wants_grad
from pellucid.ops.blas import sketching
from pellucid.ops.spec import OpSpec, registry
from pellucid.tensor.device import CPU, META, chosen
from pellucid.tensor.dtype import FLOATING, INTEGER, bool_, uint8
from pellucid.tensor.meta import counted, let_go
from pellucid.tensor.random.generator import Generator, drawing_elsewhere
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, make

_DEPEND = frozenset(
    ("nonzero", "unique2", "unique_dim", "unique_consecutive", "masked_select", "bincount", "equal")
    + (
        "repeat_interleave",
        "_repeat_interleave",
        "histogramdd",
        "segment_reduce",
        "lstsq",
        "linalg_lstsq",
    )
)
"""Operators that cannot tell the size of their result, or the result itself, without numbers."""
_FACTORIES = frozenset(
    f"torch.{name}"
    for name in ("tensor", "as_tensor", "asarray", "scalar_tensor", "full")
    + ("arange", "range", "linspace", "logspace")
)
"""What makes a tensor on the chosen device, also out of tensors."""
_BY_KEYS = ("index", "index_put")
"""Operators whose second argument are keys, among which masks may be."""


_REGULAR = ("factors", "solving", "determinants", "lu", "indefinite", "reflections", "low_rank")
"""Families of linear algebra that refuse singular matrices, or divide by what is zero in them."""


def tensors(values: Any) -> Iterator[Tensor]:
    """The tensors among arguments, and in lists among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors(value)


def concerns(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether an operator shall answer without data: an argument has none, or it is asked inside of
    one for which that is so and has no tensors itself.
    """
    given = list(tensors((*args, *kwargs.values())))
    if not given:
        return bool(chosen.stack) and chosen.stack[-1] is META
    return any(t._storage.meta for t in given)


def check(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse what cannot be answered without numbers, and tensors of both kinds together (but
    numbers in 0-dim tensors).
    """
    given = list(tensors((*args, *kwargs.values())))
    if not any(t._storage.meta for t in given):
        return
    keys = tensors(args[1:2]) if name in _BY_KEYS else ()
    by_mask = any(key.dtype in (bool_, uint8) for key in keys)
    if name in _DEPEND or by_mask:
        raise NotImplementedError(
            f"aten::{name}: attempted to run this operator with Meta tensors, but there was no "
            "fake impl or Meta kernel registered.\n"
            "  How large its result is depends on numbers, and tensors on device='meta' have none."
        )
    if name in _BY_KEYS:  # lists between the brackets are tensors of this kind or that
        return
    first = given[0]
    for other in given[1:]:
        if other._storage.meta is not first._storage.meta and other.dim() and first.dim():
            raise RuntimeError(
                f"Tensor on device {other.device} is not on the expected device {first.device}!\n"
                "  x.to('meta') gives one without data of a tensor that has some; the other way "
                "there is none to give."
            )


def stand_in(tensor: Tensor, spec: OpSpec | None = None) -> Tensor:
    """Zeros laid out like a tensor without data; for linear algebra the identity, for random
    numbers ones, since these refuse zeros.
    """
    if not tensor._storage.meta:
        return tensor
    layout, kind = tensor._layout, tensor.dtype
    span = layout.offset + layout.span
    memory = Storage.adopt(np.zeros(span, kind.numpy))
    result = make(memory, layout, kind)
    family = spec.body.__module__ if spec is not None else ""
    if ".random" in family or (family.endswith(_REGULAR) and kind.category == INTEGER):
        result._array[...] = 1  # a probability; a pivot
    elif family.endswith(_REGULAR) and tensor.dim() > 1 and layout.numel:
        for place in range(min(layout.shape[-2:])):
            result._array[..., place, place] = 1
    return result


def _replaced(values: Any, spec: OpSpec | None) -> Any:
    if isinstance(values, Tensor):
        return stand_in(values, spec)
    if isinstance(values, Generator):  # what stand-ins draw is not missing from it afterwards
        return Generator()
    if type(values) in (list, tuple):
        return type(values)(_replaced(value, spec) for value in values)
    return values


@contextmanager
def _aside() -> Iterator[None]:
    """Nothing is recorded, multiplied or drawn in earnest inside."""
    recording = state.grad
    state.grad = False
    try:
        with CPU, sketching(), drawing_elsewhere(), np.errstate(all="ignore"):
            yield
    finally:
        state.grad = recording


def run(spec: OpSpec, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What an operator that computes fresh memory would give; recorded as ever."""
    if spec.infer is not None:
        result = spec.infer(*args, **kwargs)
    else:
        with _aside():
            result = spec.body(
                *[_replaced(value, spec) for value in args],
                **{key: _replaced(value, spec) for key, value in kwargs.items()},
            )
    outputs = _emptied(result)
    if state.inference:
        for output in tensors(outputs):
            output._inference = True
    wanted = state.grad and spec.gradient and any(map(_wants, tensors((*args, *kwargs.values()))))
    if wanted and any(isinstance(o, Tensor) and o.dtype.category >= FLOATING for o in outputs):
        record(spec.backward_name, spec.gradient, spec.bind(args, kwargs), outputs, spec.fields)
    return result


def composed(
    name: str, call: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """An operator made of others: what it makes on its way is where its tensors are, whatever the
    device that a program has chosen for what it makes itself.
    """
    given = list(tensors((*args, *kwargs.values())))
    if not given:
        return call(*args, **kwargs)
    if any(t._storage.meta for t in given):
        with META:
            return call(*args, **kwargs)
    if not chosen.stack or chosen.stack[-1] is CPU or name in _FACTORIES:
        return call(*args, **kwargs)
    with CPU:
        return call(*args, **kwargs)


def formula(function: Callable[..., Any], given: Sequence[Any]) -> Any:
    """What a gradient formula gives for tensors without data. If it is recorded in turn it runs on
    these; else on stand-ins, for some formulas then compute on arrays.
    """
    if state.grad:
        with META:
            return function(*given)
    with _aside():
        found = function(*[_replaced(value, None) for value in given])
    _emptied(found)
    return found


def _emptied(result: Any) -> Sequence[Any]:
    """The results of a body or formula, whose data is let go of."""
    outputs = result if isinstance(result, (list, tuple)) else (result,)
    for output in outputs:
        if isinstance(output, Tensor):
            let_go(output)
    return outputs


counted.formula = formula


def _wants(tensor: Tensor) -> bool:
    return tensor._requires_grad or wants_grad(tensor)


def write(
    form: Callable[..., Any], self: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Tensor:
    """An in-place operator: checked on stand-ins, then counted, and recorded if a gradient is
    wanted (as the out-of-place operator, copied back).
    """
    check(form.__name__, (self, *args), kwargs)
    with _aside():
        form(
            stand_in(self),
            *[_replaced(value, None) for value in args],
            **{key: _replaced(value, None) for key, value in kwargs.items()},
        )
    if state.grad and any(map(_wants, tensors((self, *args, *kwargs.values())))):
        name = form.__name__.removesuffix("_")
        plain = registry.find("Tensor", name) or registry.find("nn.functional", name)
        if plain is not None:
            self.copy_(plain(self, *args, **kwargs))
            return self
    self._storage.version += 1
    return self
