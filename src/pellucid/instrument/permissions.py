"""`require`: a call that needs a permission, denied unless somebody granted it.

Grants live in a context variable: each thread starts with none, each asyncio task starts with a
copy of those of the task that made it, and what one of them grants the others never see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from pellucid.instrument.wrapping import Call, Watch, name_of, wrap

F = TypeVar("F")


@dataclass(frozen=True)
class Grants:
    """Who acts, and what they may do."""

    who: str | None = None
    permissions: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return "the caller" if self.who is None else self.who


NOBODY = Grants()
_current: ContextVar[Grants] = ContextVar("pellucid_grants", default=NOBODY)


class PermissionDenied(PermissionError):
    """A call was refused; `call`, `required`, `missing` and `who` say the details."""

    def __init__(self, call: str, required: tuple[str, ...], grants: Grants) -> None:
        missing = tuple(name for name in required if name not in grants.permissions)
        held = ", ".join(map(repr, sorted(grants.permissions))) or "nothing"
        names = ", ".join(map(repr, missing))
        to = "" if grants.who is None else f", to={grants.who!r}"
        super().__init__(
            f"{call} requires {' and '.join(map(repr, required))}, and {grants} was not granted "
            f"{names} ({grants} holds {held}).\n"
            f"hint: with pellucid.instrument.granted({names}{to}): ..."
        )
        self.call, self.required, self.missing, self.who = call, required, missing, grants.who
        self._grants = grants

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.call, self.required, self._grants)


@contextmanager
def granted(*permissions: str, to: str | None = None) -> Iterator[Grants]:
    """Grant `permissions` inside the `with` block (or inside a function decorated with it).

    Nested grants add up. Naming somebody else with `to` starts from nothing: what one person was
    granted is not carried over to another. Raises ValueError where a permission is empty.

        with granted("model:write", to="ada"):
            save()
    """
    _check("granted", permissions)
    before = _current.get()
    changes_hands = to is not None and to != before.who
    held = frozenset() if changes_hands else before.permissions
    token = _current.set(Grants(to if to is not None else before.who, held | set(permissions)))
    try:
        yield _current.get()
    finally:
        _current.reset(token)


def grants() -> Grants:
    """Who acts here, and what they may do."""
    return _current.get()


@overload
def require(permission: str, /, *more: str) -> Callable[[F], F]: ...
@overload
def require(target: F, /) -> F: ...
def require(target: Any, /, *more: str) -> Any:
    """Refuse calls without a permission: `@require("model:write")`, `@require("read", "write")`.

    All named permissions are needed. Bare `@require` asks for one named after what it decorates
    (`module.qualname`). The check comes before the body runs: at the call, of a coroutine when it
    is first awaited, of a generator at its first value. A class is guarded at construction, at its
    own public methods and properties, and at `__call__`; what a subclass overrides is its own.
    Decorate outside of decorators that write an `__init__`, such as `dataclass`.

    Raises PermissionDenied, a PermissionError.
    """
    if not isinstance(target, str):
        if more:
            raise TypeError("require: permissions are strings, as in @require('read', 'write')")
        return require(f"{getattr(target, '__module__', None)}.{name_of(target)}")(target)
    required = (target, *more)
    _check("require", required)

    def decorate(function: F) -> F:
        return wrap(function, lambda call: _Guard(call, required), construct=True)

    return decorate


def _check(what: str, permissions: tuple[str, ...]) -> None:
    for name in permissions:
        if not isinstance(name, str) or not name:
            raise ValueError(f"{what}: a permission is a non-empty string, got {name!r}")


class _Guard(Watch):
    def __init__(self, call: Call, required: tuple[str, ...]) -> None:
        self.call, self.required = call, required

    def started(self) -> None:
        now = _current.get()
        if not now.permissions.issuperset(self.required):
            raise PermissionDenied(self.call.name, self.required, now)
