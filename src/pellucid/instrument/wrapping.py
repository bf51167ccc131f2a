"""One way to wrap whatever can be called: the mechanism below `log`, `timing` and `require`.

A decorator is a higher-order function around a closure, and the closure has to take the form of
what it replaces: a coroutine function must stay one, a generator must still pass on what it is
sent, a method must still bind. That is solved here once. A decorator only says what it wants to
know about a call, by a `Watch`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One call as a decorator sees it, before it happens."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Watch:
    """What happens during one call; a decorator overrides what it wants to know.

    `started` may raise, and then the body never runs. `yielded` and `resumed` enclose the time in
    which a generator sleeps and its consumer works.
    """

    def started(self) -> None:
        """The body is about to run."""

    def yielded(self, value: Any) -> None:
        """A generator handed out `value` and sleeps."""

    def resumed(self) -> None:
        """A generator was asked to go on."""

    def returned(self, value: Any) -> None:
        """The body ended with `value`."""

    def raised(self, error: BaseException) -> None:
        """The body ended with `error`; a generator closed early ends with GeneratorExit."""


Watcher = Callable[[Call], Watch]


def wrap(target: T, watcher: Watcher, *, construct: bool = False) -> T:
    """`target` with a `Watch` around each call; it stays the kind of thing it is.

    Functions of all four kinds (plain, generator, coroutine, async generator) stay functions, so
    they bind as methods; `staticmethod`, `classmethod` and `property` are wrapped inside;
    `functools.partial` stays a partial; other callables get a `CallableProxy`. In a class, its own
    methods are wrapped in place: every one that has no underscore in front, and construction and
    `__call__`. `construct` watches the construction of a class without an `__init__` of its own.

    Raises TypeError where `target` cannot be called.
    """
    if isinstance(target, type):
        return cast(T, wrap_class(target, watcher, construct))
    return cast(T, wrap_callable(target, watcher))


def wrap_callable(target: Any, watcher: Watcher) -> Any:
    """What `wrap` does with everything that is not a class (a class only as a factory)."""
    if isinstance(target, FunctionType):
        return wrap_function(target, watcher, name_of(target))
    if isinstance(target, staticmethod | classmethod):
        return type(target)(wrap_callable(target.__func__, watcher))
    if isinstance(target, property):
        parts = (target.fget, target.fset, target.fdel)
        wrapped = [part and wrap_callable(part, watcher) for part in parts]
        remake: Callable[..., Any] = type(target)
        return remake(*wrapped, doc=target.__doc__)
    if isinstance(target, functools.partial):
        inner = wrap_callable(target.func, watcher)
        return type(target)(inner, *target.args, **target.keywords)
    if callable(target):
        return CallableProxy(target, watcher)
    raise TypeError(
        f"cannot decorate {target!r}: a {type(target).__name__} cannot be called.\n"
        "hint: decorate a function, a method, a class, or an object with __call__"
    )


def name_of(target: Any) -> str:
    """The name a call is reported under: qualified for functions, the class for other callables."""
    if isinstance(target, functools.partial):
        return name_of(target.func)
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    return str(name).replace("<locals>.", "")


def wrap_function(function: Callable[P, Any], watcher: Watcher, name: str) -> Callable[P, Any]:
    """A function of the same kind as `function` around it."""
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, watcher, name)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, watcher, name)
    if inspect.isgeneratorfunction(function):
        return _generator(function, watcher, name)
    return _plain(function, watcher, name)


def _plain(function: Callable[P, R], watcher: Watcher, name: str) -> Callable[P, R]:
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        watch = watcher(Call(name, function, args, kwargs))
        watch.started()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            watch.raised(error)
            raise
        watch.returned(result)
        return result

    return wrapper


def _coroutine(
    function: Callable[P, Coroutine[Any, Any, R]], watcher: Watcher, name: str
) -> Callable[P, Coroutine[Any, Any, R]]:
    @functools.wraps(function)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        watch = watcher(Call(name, function, args, kwargs))
        watch.started()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            watch.raised(error)
            raise
        watch.returned(result)
        return result

    return wrapper


def _generator(
    function: Callable[P, Generator[Any, Any, R]], watcher: Watcher, name: str
) -> Callable[P, Generator[Any, Any, R]]:
    """The long form of `yield from` (PEP 380), with a word to the watch at every border."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, R]:
        watch = watcher(Call(name, function, args, kwargs))
        watch.started()
        step: Callable[[], Any]
        try:
            body = function(*args, **kwargs)
            step = functools.partial(next, body)
            while True:
                value = step()
                watch.yielded(value)
                try:
                    sent = yield value
                except GeneratorExit:
                    watch.resumed()
                    body.close()
                    raise
                except BaseException as error:
                    step = functools.partial(body.throw, error)
                else:
                    step = functools.partial(body.send, sent)
                watch.resumed()
        except StopIteration as stop:
            watch.returned(stop.value)
            return cast(R, stop.value)
        except BaseException as error:
            watch.raised(error)
            raise

    return wrapper


def _async_generator(
    function: Callable[P, AsyncGenerator[Any, Any]], watcher: Watcher, name: str
) -> Callable[P, AsyncGenerator[Any, Any]]:
    @functools.wraps(function)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, Any]:
        watch = watcher(Call(name, function, args, kwargs))
        watch.started()
        try:
            body = function(*args, **kwargs)
            step = body.__anext__()
            while True:
                value = await step
                watch.yielded(value)
                try:
                    sent = yield value
                except GeneratorExit:
                    watch.resumed()
                    await body.aclose()
                    raise
                except BaseException as error:
                    step = body.athrow(error)
                else:
                    step = body.asend(sent)
                watch.resumed()
        except StopAsyncIteration:
            watch.returned(None)
        except BaseException as error:
            watch.raised(error)
            raise

    return wrapper


class CallableProxy:
    """An object with `__call__`, watched: calls go through the watch, all else to the object.

    It is not a function and, like the object it stands for, binds as a method only where that does;
    `isinstance` sees the class of that object. Of its special methods only `__call__` is passed on.
    """

    __wrapped__: Any

    def __init__(self, target: Any, watcher: Watcher, name: str | None = None) -> None:
        call = target if isinstance(target, type) else type(target).__call__.__get__(target)
        name = name_of(target) if name is None else name
        own = {
            "__wrapped__": target,
            "__doc__": getattr(target, "__doc__", None),
            "__module__": getattr(target, "__module__", None),
            "__name__": getattr(target, "__name__", type(target).__name__),
            "__qualname__": getattr(target, "__qualname__", type(target).__qualname__),
            "__call__": wrap_function(call, watcher, name),
            "_watcher": watcher,
        }
        self.__dict__.update(own)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__dict__["__call__"](*args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        target = self.__wrapped__
        if isinstance(target, type) or not hasattr(type(target), "__get__"):
            return self
        bound = target.__get__(instance, owner)
        return self if bound is target else CallableProxy(bound, self._watcher, name_of(target))

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.__wrapped__)

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":  # a copy that is not filled yet
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__wrapped__, name, value)

    def __repr__(self) -> str:
        return f"<watched {self.__wrapped__!r}>"


def wrap_class(cls: type[T], watcher: Watcher, construct: bool) -> type[T]:
    """Watch a class's own methods, in place: the class stays the same object."""
    for name, member in list(vars(cls).items()):
        if name.startswith("_") and name not in ("__init__", "__call__"):
            continue
        if isinstance(member, functools.cached_property | functools.partialmethod):
            member.func = wrap_callable(member.func, watcher)
        elif _is_method(member):
            setattr(cls, name, wrap_callable(member, watcher))
    if construct and "__init__" not in vars(cls):
        _watch_construction(cls, watcher)
    return cls


def _is_method(member: Any) -> bool:
    """Whether a class attribute is a method or property: it binds, and can be called when bound."""
    if isinstance(member, FunctionType | staticmethod | classmethod | property):
        return True
    return callable(member) and not isinstance(member, type) and hasattr(type(member), "__get__")


def _watch_construction(cls: type, watcher: Watcher) -> None:
    inherited = cls.__init__  # type: ignore[misc]

    @functools.wraps(inherited)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        super(cls, self).__init__(*args, **kwargs)  # type: ignore[arg-type]

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = wrap_callable(__init__, watcher)  # type: ignore[misc]
