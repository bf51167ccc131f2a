"""`log`: what was called with what, what came back, and how long it took."""

from __future__ import annotations

import inspect
import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

from pellucid.instrument.describe import describe
from pellucid.instrument.wrapping import Call, Watch, wrap

F = TypeVar("F")


@overload
def log(
    level: int | str = "INFO",
    /,
    *,
    logger: logging.Logger | str | None = None,
    hide: Sequence[str] = (),
) -> Callable[[F], F]: ...
@overload
def log(target: F, /) -> F: ...
def log(
    target: Any = "INFO",
    /,
    *,
    logger: logging.Logger | str | None = None,
    hide: Sequence[str] = (),
) -> Any:
    """Log each call and its end: `@log`, `@log("DEBUG")`, `@log(logger="train", hide=["token"])`.

    Lines go to `logger` (default: the logger named after the function's module). Where the program
    has not configured logging they go to stderr, so that `@log` alone shows something. Parameters
    named in `hide` are shown as `…`. Tensors appear as shape, strides and dtype, never as values.
    A generator is logged once: when it starts, and when it ends with how many values it gave.
    """
    if not isinstance(target, int | str) or isinstance(target, bool):
        return log("INFO", logger=logger, hide=hide)(target)
    level = _level(target)

    def decorate(function: F) -> F:
        own = logger if logger is not None else getattr(function, "__module__", None)
        to = own if isinstance(own, logging.Logger) else logging.getLogger(own)
        return wrap(function, lambda call: _LogWatch(call, to, level, frozenset(hide)))

    return decorate


def _level(level: int | str) -> int:
    if isinstance(level, int):
        return level
    known = logging.getLevelNamesMapping()
    if level.upper() not in known:
        raise ValueError(f"log: no level named {level!r}; there are {', '.join(known)}")
    return known[level.upper()]


class _LogWatch(Watch):
    def __init__(
        self, call: Call, logger: logging.Logger, level: int, hide: frozenset[str]
    ) -> None:
        self.call, self.logger, self.level, self.hide = call, logger, level, hide
        self.values: int | None = None
        self.start = 0.0

    def started(self) -> None:
        self.start = time.perf_counter()
        if self._wanted():
            self._write(f"-> {self.call.name}({arguments(self.call, self.hide)})")

    def yielded(self, value: Any) -> None:
        self.values = (self.values or 0) + 1

    def returned(self, value: Any) -> None:
        if self._wanted():
            self._write(f"<- {self.call.name} = {describe(value)}{self._count()} {self._time()}")

    def raised(self, error: BaseException) -> None:
        if not self._wanted():
            return
        if isinstance(error, GeneratorExit):
            self._write(f"<- {self.call.name} closed early{self._count()} {self._time()}")
            return
        words = str(error).splitlines()[:1]
        said = ": ".join([type(error).__name__, *words])
        self._write(f"!! {self.call.name} raised {said}{self._count()} {self._time()}")

    def _count(self) -> str:
        return "" if self.values is None else f" after {self.values} values"

    def _time(self) -> str:
        return f"[{1e3 * (time.perf_counter() - self.start):.2f} ms]"

    def _wanted(self) -> bool:
        return not self.logger.hasHandlers() or self.logger.isEnabledFor(self.level)

    def _write(self, line: str) -> None:
        if self.logger.hasHandlers():
            self.logger.log(self.level, "%s", line)
        else:
            print(f"{logging.getLevelName(self.level)} {line}", file=sys.stderr)


def arguments(call: Call, hide: frozenset[str] = frozenset()) -> str:
    """The arguments of a call as `name=value`, in the order of the signature."""
    try:
        bound = inspect.signature(call.function).bind(*call.args, **call.kwargs).arguments
    except (TypeError, ValueError):  # no signature, or a call that will fail and say why itself
        bound = {f"#{i}": value for i, value in enumerate(call.args)} | call.kwargs
    return ", ".join(
        f"{name}={'…' if name in hide else describe(value)}" for name, value in bound.items()
    )
