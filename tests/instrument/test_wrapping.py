"""Every decorator on everything that can be called: it keeps its kind, name and behaviour."""

import asyncio
import copy
import functools
import inspect
import itertools
import typing

import pytest

from pellucid.instrument import Timings, granted, log, require, timing
from pellucid.instrument.wrapping import CallableProxy

DECORATORS = {
    "log": log,
    "log()": log("DEBUG"),
    "timing": timing,
    "timing()": timing(into=Timings()),
    "require()": require("test"),
}


@pytest.fixture(params=list(DECORATORS), autouse=False)
def decorator(request):
    with granted("test"):
        yield DECORATORS[request.param]


def plain(a: int, b: int = 2, *rest: int, key: str = "k") -> int:
    """Plain doc."""
    return a + b


async def coroutine(a: int) -> int:
    """Coroutine doc."""
    await asyncio.sleep(0)
    return a + 1


def generator(n: int) -> typing.Iterator[int]:
    """Generator doc."""
    got = []
    for i in range(n):
        try:
            got.append((yield i))
        except KeyError as error:
            got.append(type(error))
    return got


async def async_generator(n: int) -> typing.AsyncIterator[int]:
    """Async generator doc."""
    for i in range(n):
        try:
            got = yield i
            if got is not None:
                yield got * 10
        except KeyError:
            yield -1


@pytest.mark.parametrize("function", [plain, coroutine, generator, async_generator])
def test_a_function_keeps_name_doc_signature_hints_and_kind(decorator, function):
    wrapped = decorator(function)
    assert wrapped.__name__ == function.__name__
    assert wrapped.__qualname__ == function.__qualname__
    assert wrapped.__doc__ == function.__doc__
    assert wrapped.__module__ == function.__module__
    assert wrapped.__wrapped__ is function
    assert inspect.signature(wrapped) == inspect.signature(function)
    assert typing.get_type_hints(wrapped) == typing.get_type_hints(function)
    for kind in ("isasyncgenfunction", "iscoroutinefunction", "isgeneratorfunction"):
        assert getattr(inspect, kind)(wrapped) == getattr(inspect, kind)(function)


def test_calls_pass_through(decorator):
    assert decorator(plain)(1) == 3
    assert decorator(plain)(1, 5, 6, key="x") == 6
    assert asyncio.run(_in_task(decorator(coroutine)(4))) == 5


async def _in_task(awaitable):
    return await awaitable


def test_a_generator_passes_on_send_throw_and_its_return_value(decorator):
    body = decorator(generator)(4)
    assert next(body) == 0
    assert body.send("a") == 1
    assert body.throw(KeyError("k")) == 2
    assert next(body) == 3
    with pytest.raises(StopIteration, match="last") as stop:
        body.send("last")
    assert stop.value.value == ["a", KeyError, None, "last"]


def test_closing_a_generator_closes_its_body(decorator):
    closed = []

    @decorator
    def body():
        try:
            yield 1
        finally:
            closed.append(True)

    running = body()
    next(running)
    running.close()
    assert closed == [True]


def test_an_async_generator_passes_on_asend_athrow_and_aclose(decorator):
    async def drive():
        body = decorator(async_generator)(3)
        seen = [await body.__anext__(), await body.asend(7), await body.__anext__()]
        seen.append(await body.athrow(KeyError("k")))
        await body.aclose()
        return seen + [i async for i in decorator(async_generator)(2)]

    assert asyncio.run(drive()) == [0, 70, 1, -1, 0, 1]


def test_methods_of_every_kind_bind_inside_and_outside_the_builtin_decorator(decorator):
    class Scale:
        def __init__(self, by):
            self.by = by

        @decorator
        def method(self, x):
            return self.by * x

        @decorator
        @classmethod
        def outside(cls, x):
            return cls, x

        @classmethod
        @decorator
        def inside(cls, x):
            return cls, x

        @decorator
        @staticmethod
        def outer_static(x):
            return x

        @staticmethod
        @decorator
        def inner_static(x):
            return x

        @decorator
        @property
        def double(self):
            return 2 * self.by

        @decorator
        async def later(self, x):
            return self.by * x

        @decorator
        @functools.cache  # noqa: B019
        def cached(self, x):
            return self.by + x

    scale = Scale(3)
    assert scale.method(4) == 12
    assert Scale.outside(1) == scale.outside(1) == Scale.inside(1) == (Scale, 1)
    assert Scale.outer_static(5) == scale.inner_static(5) == 5
    assert scale.double == 6
    assert asyncio.run(scale.later(2)) == 6
    assert scale.cached(1) == scale.cached(1) == 4
    assert Scale.cached.cache_info().hits == 1


def test_a_class_stays_the_same_class_and_its_methods_are_watched():
    mine = Timings()

    @timing(into=mine)
    class Counter:
        """Counts."""

        def __init__(self, start=0):
            self.value = start

        def add(self, n):
            self.value += n
            return self._private()

        def _private(self):
            return self.value

        @classmethod
        def at(cls, start):
            return cls(start)

        @property
        def twice(self):
            return 2 * self.value

        @functools.cached_property
        def once(self):
            return self.value

    class Child(Counter):
        pass

    assert inspect.isclass(Counter) and Counter.__doc__ == "Counts."
    child = Child.at(3)
    assert type(child) is Child and isinstance(child, Counter)
    assert (child.add(2), child.twice, child.once, child.once) == (5, 10, 5, 5)
    prefix = f"{Counter.__qualname__}.".replace("<locals>.", "")
    counts = {timed.name.removeprefix(prefix): timed.count for timed in mine}
    assert counts == {"__init__": 1, "at": 1, "add": 1, "twice": 1, "once": 1}


class Adder:
    """Adds."""

    def __init__(self, n):
        self.n = n

    def __call__(self, x: int) -> int:
        return x + self.n


class Waiter:
    async def __call__(self, x):
        return x


def test_an_object_with_call_is_watched_and_stays_open(decorator):
    adder = Adder(2)
    wrapped = decorator(adder)
    assert wrapped(3) == 5
    assert isinstance(wrapped, Adder) and wrapped.__wrapped__ is adder
    wrapped.n = 10
    assert adder.n == 10 and wrapped(1) == 11
    assert inspect.signature(wrapped) == inspect.signature(adder)
    assert wrapped.__doc__ == "Adds."
    with pytest.raises(AttributeError, match="nothing"):
        _ = wrapped.nothing

    class Holder:
        attribute = wrapped

    assert Holder().attribute(1) == 11  # an object is not a method: no `self` is passed

    waiter = decorator(Waiter())
    assert inspect.iscoroutinefunction(waiter.__call__)
    assert asyncio.run(waiter(8)) == 8


def test_partials_and_builtins(decorator):
    power = decorator(functools.partial(pow, exp=3))
    assert isinstance(power, functools.partial) and power(2) == 8
    later = decorator(functools.partial(coroutine, 5))
    assert inspect.iscoroutinefunction(later) and asyncio.run(_in_task(later())) == 6
    assert decorator(len)([1, 2]) == 2
    binary = decorator(functools.partial(int, base=2))
    assert binary("101") == 5
    assert int("7") == 7  # the class inside a partial is left alone


def test_decorators_stack_in_any_order():
    for order in itertools.permutations(DECORATORS.values(), 3):
        wrapped, wrapped_coroutine, wrapped_class = plain, coroutine, _fresh_class()
        for decorate in order:
            wrapped = decorate(wrapped)
            wrapped_coroutine = decorate(wrapped_coroutine)
            wrapped_class = decorate(wrapped_class)
        with granted("test"):
            assert wrapped(1, 1) == 2
            assert asyncio.run(_in_task(wrapped_coroutine(1))) == 2
            assert wrapped_class().hello() == "hello"
        assert wrapped.__name__ == "plain" and inspect.unwrap(wrapped) is plain


def _fresh_class():
    class Fresh:
        def hello(self):
            return "hello"

    return Fresh


def test_errors_pass_through_with_their_own_traceback(decorator):
    @decorator
    def fails():
        raise LookupError("from within")

    with pytest.raises(LookupError, match="from within") as caught:
        fails()
    assert caught.traceback[-1].name == "fails"


def test_what_cannot_be_called_is_refused(decorator):
    with pytest.raises(TypeError, match=r"cannot decorate \[1\]: a list cannot be called"):
        decorator([1])


def test_a_proxy_can_be_copied():
    twin = copy.copy(timing(Adder(1)))
    assert twin(1) == 2


def test_a_proxy_shows_what_it_watches():
    assert type(timing(Adder(1))) is CallableProxy
    assert repr(timing(len)) == "<watched <built-in function len>>"
