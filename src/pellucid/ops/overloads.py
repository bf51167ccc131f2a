"""Refusing arguments as PyTorch's parser does: every overload is tried, and none fits.

The overloads stand in `signatures.txt`, a line each, written by `tools/write_signatures.py`. They
are looked up when a call has failed or is of a new kind, so a call that works does not pay.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from pellucid.ops import meta
from pellucid.ops.arguments import type_name
from pellucid.ops.parameter import Convert, Place, plain
from pellucid.ops.signature import Annotated, Signature
from pellucid.ops.spec import OpSpec, table
from pellucid.tensor.device import chosen
from pellucid.tensor.meta import counted
from pellucid.tensor.refusals import no_memory
from pellucid.tensor.tensor import Tensor


@functools.cache
def _lines() -> dict[str, list[str]]:
    """The overloads of every public name ("torch.sum", "Tensor.sum") in PyTorch's notation."""
    text = table("signatures.txt")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, signature = line.partition(" ")
        found.setdefault(name, []).append(signature)
    return found


@functools.cache
def overloads(name: str) -> tuple[Signature, ...]:
    """The overloads of a public name, those that PyTorch deprecates last; none if it is unknown."""
    return tuple(Signature.read(text) for text in _lines().get(name, ()))


def fitting(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[int, Exception | None]:
    """The number of the first overload of `name` that takes these arguments, and what is wrong
    inside them; -1 and why none takes them, if there are overloads at all.

    `name` is a public name with its place, as in `signatures.txt`; a method's `args` are without
    the tensor itself.
    """
    known = overloads(name)
    refusals: list[TypeError] = []
    for number, signature in enumerate(known):
        error = signature.refusal(args, kwargs)
        if error is None:
            return number, signature.unpacking(args, kwargs)
        refusals.append(error)
    if len(known) < 2:
        return -1, refusals[0] if refusals else None
    count = len(args) + len(kwargs)
    plausible = [
        error
        for signature, error in zip(known, refusals, strict=True)
        if not signature.deprecated and signature.required <= count <= len(signature.parameters)
    ]
    return -1, plausible[0] if len(plausible) == 1 else _none_fits(known, args, kwargs)


def _none_fits(
    known: Sequence[Signature], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> TypeError:
    # PyTorch keeps the keywords in a hash table, which hands the last one out first.
    named = dict(reversed(list(kwargs.items())))
    given = [type_name(value) for value in args]
    given += [f"{key}={type_name(value)}" for key, value in named.items()]
    shown = ", ".join(given) + (", " if named and not args else "")
    name = known[0].name
    lines = [
        f"{name}() received an invalid combination of arguments - got ({shown}), but expected "
        "one of:"
    ]
    shown_ones = [signature for signature in known if not signature.deprecated]
    if len(shown_ones) == 1:
        return TypeError(lines[0].replace("one of:", str(shown_ones[0])))
    for signature in shown_ones:
        lines.append(f" * {signature}")
        reason = signature.mismatch(args, named)
        if reason:
            lines.append(f"      didn't match because some of the {reason}")
    return TypeError("\n".join(lines) + "\n")


Given = tuple[Sequence[Any], Mapping[str, Any]]
Plan = tuple[tuple[Place, Convert], ...]


class Reader:
    """How one public name ("Tensor.add_") reads its arguments: as PyTorch's parser does.

    What it does not take is refused in its words, and numbers that come as tensors, NumPy scalars
    or lists of these become Python numbers, so that no operator ever sees a tensor for a size. For
    arguments of one combination of types this is found out once; `known` keeps what to do.
    """

    __slots__ = ("body", "known", "method", "name")

    def __init__(self, name: str, body: Callable[..., Any] | None = None) -> None:
        self.name = name
        self.body = body
        self.method = name.startswith("Tensor.")
        self.known: dict[tuple[Any, ...], Plan] = {}

    def read(self, args: Any, kwargs: Any) -> Any:
        """The arguments as the operator gets them. Raises PyTorch's error for a refused call."""
        if kwargs:
            kind = (*map(type, args), *kwargs, *map(type, kwargs.values()))
        else:
            kind = (*map(type, args),)
        plan = self.known.get(kind)
        if plan is None:
            return self._learn(kind, args, kwargs)
        return self._follow(plan, args, kwargs) if plan else (args, kwargs)

    def _follow(self, plan: Plan, args: Any, kwargs: Any) -> Any:
        changed: dict[Place, Any] = {}
        for place, convert in plan:
            value = args[place] if isinstance(place, int) else kwargs[place]
            read = convert(value)
            if read is None:  # a list with more in it than plain numbers; beyond 64 bits
                return self._learn(None, args, kwargs)
            if read is not value:
                changed[place] = read
        return _with(changed, args, kwargs) if changed else (args, kwargs)

    def _learn(self, kind: tuple[Any, ...] | None, args: Any, kwargs: Any) -> Any:
        skipped = int(self.method)
        own = args[skipped:]
        tried, error = self._tried(own, kwargs)
        if error is not None:
            raise error
        plan: list[tuple[Place, Convert]] = []
        changed: dict[Place, Any] = {}
        for where, parameter, value in tried[-1].assigned(own, kwargs) if tried else ():
            convert = parameter.reading(value)
            if convert is None:
                continue
            place = where + skipped if isinstance(where, int) else where
            plan.append((place, convert))
            read = convert(value)
            if read is None:
                read = plain(value, parameter.type_name)
            if read is not value:
                changed[place] = read
        if kind is not None and not _undecided(tried, own, kwargs):
            self.known[kind] = tuple(plan)
        return _with(changed, args, kwargs) if changed else (args, kwargs)

    def _tried(
        self, own: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Signature | Annotated], Exception | None]:
        """The overloads up to the first that takes these arguments; or why the call is refused."""
        known = overloads(self.name)
        if known:
            number, error = fitting(self.name, own, kwargs)
            return known[: number + 1], error
        if self.body is None:
            return (), None
        written = annotated(self.name.rpartition(".")[2], self.body, self.method)
        return (written,), written.refusal(own, kwargs)

    def refusal(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Exception | None:
        """Why these arguments are refused; None if they are not."""
        return self._tried(args[self.method :], kwargs)[1]

    def explain(self, args: Sequence[Any], kwargs: Mapping[str, Any], failure: Exception) -> None:
        """Raise, in place of what a call failed with, the refusal of its arguments, or PyTorch's
        words for want of memory.
        """
        error = self.refusal(args, kwargs)
        if error is None and isinstance(failure, MemoryError):
            shape, kind = getattr(failure, "shape", ()), getattr(failure, "dtype", None)
            error = no_memory(shape, prod(shape) * kind.itemsize) if kind is not None else None
        if error is not None:
            raise error from None


@functools.cache
def annotated(name: str, body: Callable[..., Any], method: bool) -> Annotated:
    """What the annotations of `body` say of its parameters, a method's without the tensor."""
    return Annotated(name, body, int(method))


def _undecided(
    tried: Sequence[Signature | Annotated], own: Sequence[Any], kwargs: Mapping[str, Any]
) -> bool:
    """Whether a tensor was given where an overload takes a number: then its shape decides."""
    return any(
        parameter.numeric and isinstance(value, Tensor)
        for signature in tried
        for _, parameter, value in signature.assigned(own, kwargs)
    )


def _with(changed: Mapping[Place, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Given:
    return (
        tuple([changed.get(place, value) for place, value in enumerate(args)]),
        {key: changed.get(key, value) for key, value in kwargs.items()},
    )


def reader(spec: OpSpec, name: str) -> Reader:
    """How `spec` reads its arguments under the public name `name` ("Tensor.add_").

    Functions that PyTorch writes in Python have no overloads: there the types that the body's
    annotations name decide.
    """
    return Reader(name, spec.body)


def guarded(call: Callable[..., Any], reader: Reader) -> Callable[..., Any]:
    """`call` with its arguments read as PyTorch reads them."""
    read = reader.read

    def guard(*args: Any, **kwargs: Any) -> Any:
        given, named = read(args, kwargs)
        try:
            if counted.living or chosen.stack:
                return meta.composed(reader.name, call, given, named)
            return call(*given, **named)
        except Exception as failure:
            reader.explain(args, kwargs, failure)
            raise

    guard.__wrapped__ = call  # type: ignore[attr-defined]
    return guard


def guarded_as(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, guarded by the overloads of the public name `name` ("Tensor.copy_"), for functions
    that stand in the registry without a description of their own.
    """
    guard = guarded(call, Reader(name))
    functools.update_wrapper(guard, call)
    guard.__name__ = guard.__qualname__ = name.rpartition(".")[2]
    return guard
