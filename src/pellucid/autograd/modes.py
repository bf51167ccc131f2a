"""Grad modes: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`. Context managers and decorators, per thread.

As decorators they take functions, methods, coroutines and generators; a generator runs each of its steps in the mode and its caller does not
see it. With or without parentheses: `@no_grad` and `@no_grad()`.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class _State(threading.local):
    """What the calling thread records: read on every operator call."""

    grad = True
    inference = False


state = _State()


class _Mode:
    """A context manager that is also a decorator. `_grad` is the flag inside."""

    _grad: bool

    def __init__(self) -> None:
        self._entered: list[tuple[bool, bool]] = []

    def __enter__(self) -> Any:
        self._entered.append((state.grad, state.inference))
        state.grad = self._grad

    def __exit__(self, *exc: object) -> None:
        state.grad, state.inference = self._entered.pop()

    def clone(self) -> _Mode:
        """A fresh context manager of the same mode: a decorated function may be entered many times at once."""
        return type(self)()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        return decorate(self.clone, function)


def decorate(context: Callable[[], Any], function: Callable[P, R]) -> Callable[P, R]:
    """`function`, each call of it inside `context()`."""
    if inspect.isclass(function):
        raise TypeError(
            f"cannot decorate the class {function.__name__}: a grad mode holds for calls. Decorate its __init__ or the "
            "methods that need it."
        )
    if inspect.isgeneratorfunction(function):
        return _decorate_generator(context, function)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            with context():
                return await function(*args, **kwargs)

        return asynchronous  # type: ignore[return-value]

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with context():
            return function(*args, **kwargs)

    return inside


def _decorate_generator(context: Callable[[], Any], function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    def steps(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = function(*args, **kwargs)
        try:
            with context():
                response = generator.send(None)
            while True:
                try:
                    request = yield response
                except GeneratorExit:
                    with context():
                        generator.close()
                    raise
                except BaseException as error:
                    with context():
                        response = generator.throw(error)
                else:
                    with context():
                        response = generator.send(request)
        except StopIteration as stop:
            return stop.value

    return steps


class _Bare(type):
    """Lets `no_grad` be used without parentheses: `no_grad(f)` decorates."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and callable(args[0]) and not isinstance(args[0], bool):
            return super().__call__()(args[0])
        return super().__call__(*args, **kwargs)


class no_grad(_Mode, metaclass=_Bare):  # noqa: N801 - PyTorch's name
    """Inside, operators record nothing: results do not require a gradient and nothing is saved for one."""

    _grad = False


class enable_grad(_Mode, metaclass=_Bare):  # noqa: N801
    """Inside, operators record again, also within `no_grad`."""

    _grad = True


class set_grad_enabled(_Mode):  # noqa: N801
    """Switch recording on or off: at once, when called, and for a block, when used with `with`."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = self._grad = bool(mode)
        self._before = (state.grad, state.inference)
        state.grad = self._grad

    def __enter__(self) -> None:
        self._entered.append(self._before)
        state.grad = self._grad

    def clone(self) -> set_grad_enabled:
        return set_grad_enabled(self.mode)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        state.grad, state.inference = self._before
        return super().__call__(function)


class inference_mode(_Mode):  # noqa: N801
    """Like `no_grad`, and the tensors made inside ("inference tensors") never enter a graph: no versions, no view tracking."""

    def __new__(cls, mode: Any = True) -> Any:
        if callable(mode) and not isinstance(mode, bool):
            return cls()(mode)
        return super().__new__(cls)

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.mode = bool(mode)

    def __enter__(self) -> None:
        self._entered.append((state.grad, state.inference))
        if self.mode:
            state.grad, state.inference = False, True
        elif state.inference:
            state.grad, state.inference = True, False

    def clone(self) -> inference_mode:
        return inference_mode(self.mode)


def is_grad_enabled() -> bool:
    """Whether operators record in this thread."""
    return state.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference mode."""
    return state.inference
