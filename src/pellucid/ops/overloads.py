"""Refusing arguments as PyTorch's parser does: every overload is tried, and none fits.

The overloads stand in `signatures.txt`, a line each, written by `tools/write_signatures.py`. They
are looked up when a call has failed or is of a new kind, so a call that works does not pay.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from math import prod
from typing import Any

from pellucid.ops.arguments import type_name
from pellucid.ops.signature import Signature, annotated
from pellucid.ops.spec import OpSpec
from pellucid.tensor.tensor import no_memory


@functools.cache
def _lines() -> dict[str, list[str]]:
    """The overloads of every public name ("torch.sum", "Tensor.sum") in PyTorch's notation."""
    text = files(__package__).joinpath("signatures.txt").read_text(encoding="ascii")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, signature = line.partition(" ")
        found.setdefault(name, []).append(signature)
    return found


@functools.cache
def overloads(name: str) -> tuple[Signature, ...]:
    """The overloads of a public name, those that PyTorch deprecates last; none if it is unknown."""
    return tuple(Signature.read(text) for text in _lines().get(name, ()))


def refusal(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Exception | None:
    """Why no overload of `name` takes these arguments; None if one does, or none is known.

    `name` is a public name with its place, as in `signatures.txt`; a method's `args` are without
    the tensor itself.
    """
    known = overloads(name)
    refusals = []
    for signature in known:
        error = signature.refusal(args, kwargs)
        if error is None:
            return signature.unpacking(args, kwargs)
        refusals.append(error)
    if len(known) < 2:
        return refusals[0] if refusals else None
    count = len(args) + len(kwargs)
    plausible = [
        error
        for signature, error in zip(known, refusals, strict=True)
        if not signature.deprecated and signature.required <= count <= len(signature.parameters)
    ]
    return plausible[0] if len(plausible) == 1 else _none_fits(known, args, kwargs)


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


Refuse = Callable[[Sequence[Any], Mapping[str, Any]], Exception | None]


def refuser(spec: OpSpec, name: str) -> Refuse:
    """What says why a call of `spec` under the public name `name` ("Tensor.add_") is refused.

    Functions that PyTorch writes in Python have no overloads: there the types that the body's
    annotations name decide.
    """
    method, own = name.startswith("Tensor."), name.rpartition(".")[2]

    def refuse(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Exception | None:
        if overloads(name):
            return refusal(name, args[1:] if method else args, kwargs)
        return annotated(own, spec.body, args, kwargs)

    return refuse


def by_types(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides, for most calls, whether the parser takes them."""
    return (*map(type, args), *kwargs, *map(type, kwargs.values()))


def guarded(call: Callable[..., Any], refuse: Refuse) -> Callable[..., Any]:
    """`call`, refusing what PyTorch's parser refuses: before a call whose arguments are of new
    types, and in place of whatever another call fails with.
    """
    known: set[tuple[Any, ...]] = set()

    def guard(*args: Any, **kwargs: Any) -> Any:
        kind = by_types(args, kwargs)
        if kind not in known:
            check(refuse, args, kwargs)
            known.add(kind)
        try:
            return call(*args, **kwargs)
        except Exception as failure:
            check(refuse, args, kwargs, failure)
            raise

    guard.__wrapped__ = call  # type: ignore[attr-defined]
    return guard


def guarded_as(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, guarded by the overloads of the public name `name` ("Tensor.copy_"), for functions
    that stand in the registry without a description of their own.
    """
    method = name.startswith("Tensor.")
    guard = guarded(call, lambda args, kwargs: refusal(name, args[1:] if method else args, kwargs))
    functools.update_wrapper(guard, call)
    guard.__name__ = guard.__qualname__ = name.rpartition(".")[2]
    return guard


def check(
    refuse: Refuse,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    failure: Exception | None = None,
) -> None:
    """Raise what `refuse` finds; else, if the call failed for want of memory, PyTorch's words."""
    error = refuse(args, kwargs)
    if error is None and isinstance(failure, MemoryError):
        shape, kind = getattr(failure, "shape", ()), getattr(failure, "dtype", None)
        error = no_memory(shape, prod(shape) * kind.itemsize) if kind is not None else None
    if error is not None:
        raise error from None
