"""Grad modes: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`. Context managers and
decorators, per thread.

As decorators they take functions, methods and generators; a generator runs each of its steps in the
mode and its caller does not see it. A coroutine function is only *called* in the mode, as in
PyTorch: what it awaits runs in its caller's. With or without parentheses: `@no_grad` and
`@no_grad()`.
"""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class _State(threading.local):
    """What the calling thread records: read on every operator call.

    `grad` says whether operators are recorded. In inference mode they never are; `asked` is then
    what `enable_grad` and `no_grad` set, and what `is_grad_enabled` answers. `undetermined` is set
    while a backward pass runs with weights that stand for any others, as derivatives along a
    direction need: formulas must not judge them.
    """

    grad = True
    inference = False
    asked = False
    undetermined = False


state = _State()


def switch(grad: bool) -> None:
    """Switch recording on or off in this thread, as far as inference mode lets it."""
    if state.inference:
        state.asked = grad
    else:
        state.grad = grad


class Mode:
    """A context manager that is also a decorator. It may be entered again before it is left."""

    def __init__(self) -> None:
        self._entered: list[tuple[bool, bool, bool]] = []

    def enter(self) -> None:
        """Set the mode."""
        raise NotImplementedError

    def __enter__(self) -> Any:
        self._entered.append((state.grad, state.inference, state.asked))
        self.enter()

    def __exit__(self, *exc: object) -> None:
        state.grad, state.inference, state.asked = self._entered.pop()

    def clone(self) -> Mode:
        """A fresh context manager of the same mode: a decorated function may run many times at
        once.
        """
        return type(self)()

    def __call__(self, orig_func: Callable[P, R]) -> Callable[P, R]:
        return decorate(self.clone, orig_func)


def decorate(context: Callable[[], Any], function: Callable[P, R]) -> Callable[P, R]:
    """`function`, each call of it inside `context()`."""
    if inspect.isgeneratorfunction(function):
        return _decorate_generator(context, function)
    if inspect.isclass(function):
        warnings.warn(
            "Decorating classes is deprecated and will be disabled in future versions. You should "
            "only decorate functions or methods. To preserve the current behavior of class "
            "decoration, you can directly decorate the `__init__` method and nothing else.",
            FutureWarning,
            stacklevel=3,
        )
        return lambda *args, **kwargs: _inside(context, function, args, kwargs)

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with context():
            return function(*args, **kwargs)

    return inside


def _inside(context: Callable[[], Any], function: Any, args: Any, kwargs: Any) -> Any:
    with context():
        return function(*args, **kwargs)


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


class _NoParameters(Mode):
    """A mode without parameters decorates without parentheses too: `@no_grad`."""

    def __new__(cls, orig_func: Any = None) -> Any:
        return super().__new__(cls) if orig_func is None else cls()(orig_func)


class no_grad(_NoParameters):
    """Inside, operators record nothing: results do not require a gradient and nothing is saved for
    one.
    """

    def enter(self) -> None:
        """Switch recording off."""
        switch(False)


class enable_grad(_NoParameters):
    """Inside, operators record again, also within `no_grad`."""

    def enter(self) -> None:
        """Switch recording on."""
        switch(True)


class set_grad_enabled(Mode):
    """Switch recording on or off: at once, when called, and for a block, when used with `with`."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        if not isinstance(mode, bool):
            raise TypeError(
                "set_grad_enabled(): argument 'enabled' (position 1) must be bool, not "
                f"{type(mode).__name__}"
            )
        self.mode = mode
        self._before = (state.grad, state.inference, state.asked)
        switch(self.mode)

    def __enter__(self) -> None:
        switch(self.mode)

    def __exit__(self, *exc: object) -> None:
        state.grad, state.inference, state.asked = self._before

    def clone(self) -> set_grad_enabled:
        """A fresh context manager of the same mode."""
        return set_grad_enabled(self.mode)

    def __call__(self, orig_func: Callable[P, R]) -> Callable[P, R]:
        state.grad, state.inference, state.asked = self._before
        return super().__call__(orig_func)

    def __repr__(self) -> str:
        return f"torch.autograd.grad_mode.set_grad_enabled(mode={self.mode})"


class inference_mode(Mode):
    """Like `no_grad`, and the tensors made inside ("inference tensors") never enter a graph: no
    versions, no view tracking.
    """

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.mode = mode

    def enter(self) -> None:
        """Inference mode, or with `mode=False` normal mode with recording on."""
        state.grad, state.inference, state.asked = not self.mode, self.mode, False

    def clone(self) -> inference_mode:
        """A fresh context manager of the same mode."""
        return inference_mode(self.mode)


class set_multithreading_enabled(Mode):
    """Accepted and without effect: backward runs in the thread that calls it."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = mode

    def enter(self) -> None:
        """Nothing to switch."""

    def clone(self) -> set_multithreading_enabled:
        """A fresh context manager of the same mode."""
        return set_multithreading_enabled(self.mode)


def is_grad_enabled() -> bool:
    """Whether operators record in this thread (in inference mode: whether they were told to)."""
    return state.asked if state.inference else state.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference mode."""
    return state.inference
