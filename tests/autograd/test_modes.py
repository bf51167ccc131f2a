"""Grad modes and inference mode: as blocks, decorators and functions, beside PyTorch."""

import asyncio
import threading

from tests.nn.both import agree, programs


def nested(torch):
    seen = [torch.is_grad_enabled()]
    with torch.no_grad():
        seen.append(torch.is_grad_enabled())
        with torch.enable_grad():
            seen.append(torch.is_grad_enabled())
        seen.append(torch.is_grad_enabled())
    with torch.set_grad_enabled(False):
        seen.append(torch.is_grad_enabled())
    seen.append(torch.is_grad_enabled())
    return seen


def as_function(torch):
    torch.set_grad_enabled(False)
    seen = [torch.is_grad_enabled()]
    torch.set_grad_enabled(True)
    switch = torch.set_grad_enabled(False)
    seen.append(torch.is_grad_enabled())
    switch.__exit__(None, None, None)
    return seen, torch.is_grad_enabled(), str(switch)


def decorators(torch):
    def look():
        """Doc."""
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    modes = [
        torch.no_grad,
        torch.no_grad(),
        torch.enable_grad,
        torch.enable_grad(),
        torch.inference_mode,
        torch.inference_mode(),
        torch.inference_mode(False),
        torch.set_grad_enabled(False),
    ]
    torch.set_grad_enabled(True)
    wrapped = [mode(look) for mode in modes]
    return [w() for w in wrapped], wrapped[0].__name__, wrapped[0].__doc__, torch.is_grad_enabled()


def decorated_method(torch):
    class Model:
        @torch.no_grad()
        def forward(self, x):
            return (x * 2).requires_grad

        @torch.no_grad
        def recursive(self, n):
            return torch.is_grad_enabled() if n == 0 else self.recursive(n - 1)

    x = torch.ones(2, requires_grad=True)
    return Model().forward(x), Model().recursive(3), torch.is_grad_enabled()


def decorated_class(torch):
    @torch.no_grad()
    class Model:
        def __init__(self):
            self.inside = torch.is_grad_enabled()

        def later(self):
            return torch.is_grad_enabled()

    made = Model()
    return made.inside, made.later(), callable(Model), isinstance(Model, type)


def generator(torch):
    seen = []

    @torch.no_grad()
    def steps():
        seen.append(("start", torch.is_grad_enabled()))
        got = yield 1
        seen.append((got, torch.is_grad_enabled()))
        try:
            yield 2
        except ValueError:
            seen.append(("caught", torch.is_grad_enabled()))
        yield 3
        return "end"

    def outer():
        return (yield from steps())

    g = outer()
    values = [next(g), torch.is_grad_enabled(), g.send("sent"), torch.is_grad_enabled()]
    values.append(g.throw(ValueError("x")))
    try:
        next(g)
    except StopIteration as stop:
        values.append(stop.value)
    return values, seen


def closed_generator(torch):
    seen = []

    @torch.no_grad()
    def steps():
        try:
            yield 1
        finally:
            seen.append(torch.is_grad_enabled())

    g = steps()
    next(g)
    g.close()
    return seen, torch.is_grad_enabled()


def coroutine(torch):
    @torch.no_grad()
    async def inside():
        return torch.is_grad_enabled()

    return asyncio.run(inside())


def exceptions(torch):
    for mode in (torch.no_grad(), torch.inference_mode(), torch.set_grad_enabled(False)):
        try:
            with mode:
                raise ValueError("x")
        except ValueError:
            pass
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled()


def error_inside_decorated(torch):
    @torch.no_grad()
    def bad():
        raise ValueError("x")

    try:
        bad()
    except ValueError:
        return torch.is_grad_enabled()


def wrong_arguments(torch):
    torch.set_grad_enabled("yes")


def factories(torch):
    with torch.no_grad():
        x = torch.ones(2, requires_grad=True)
        y = x * 2
        z = x.clone()
    return x.requires_grad, x.is_leaf, y.requires_grad, y.is_leaf, z.requires_grad, y.grad_fn


def leaf_written(torch):
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        x.add_(1)
        x[0] = 5
        x.copy_(x * 2)
    (x * 3).sum().backward()
    return x, x.is_leaf, x._version, x.grad


def modes_of_inference(torch):
    seen = []
    with torch.inference_mode():
        seen.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled()))
        with torch.enable_grad():
            seen.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled()))
            x = torch.ones(2, requires_grad=True)
            seen.append((x * 2).requires_grad)
        with torch.inference_mode(False):
            seen.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled()))
            seen.append((torch.ones(2, requires_grad=True) * 2).requires_grad)
        with torch.no_grad():
            seen.append(torch.is_grad_enabled())
        seen.append(torch.is_grad_enabled())
    with torch.no_grad(), torch.inference_mode(False):
        seen.append(torch.is_grad_enabled())
    return seen, torch.is_grad_enabled()


def inference_tensors(torch):
    x = torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        a = torch.ones(2)
        b = x * 2
        c = x[:1]
        d = a[:1]
        e = torch.ones(2, requires_grad=True)
    tensors = [a, b, c, d, e, a[:1], a * 2, a.clone(), a.detach(), x.detach()]
    flags = [(t.is_inference(), t.requires_grad, t.is_leaf, t._is_view()) for t in tensors]
    return flags, (x + a).requires_grad


def writes_in_inference(torch):
    x = torch.ones(3)
    with torch.inference_mode():
        x.add_(1)
        a = torch.zeros(3)
        a.add_(x)
        a[0] = 7
    x.add_(1)
    return x, x._version, a


def inference_written_outside(torch):
    with torch.inference_mode():
        x = torch.ones(3)
    x.add_(1)


def inference_item_written_outside(torch):
    with torch.inference_mode():
        x = torch.ones(3)
    x[0] = 1


def inference_saved(torch):
    with torch.inference_mode():
        x = torch.ones(3)
    return torch.ones(3, requires_grad=True) * x


def inference_saved_inside_custom(torch):
    with torch.inference_mode():
        x = torch.ones(3)
    return x.exp(), (torch.ones(3, requires_grad=True) + x).requires_grad


def inference_made_to_require(torch):
    with torch.inference_mode():
        x = torch.ones(3)
    x.requires_grad_()


def inference_version(torch):
    with torch.inference_mode():
        x = torch.ones(3)
    return x._version


def inference_view_of_normal_written(torch):
    x = torch.ones(3, requires_grad=True) * 1
    with torch.inference_mode():
        v = x[:2]
    v.add_(1)


def inference_clone_is_normal(torch):
    with torch.inference_mode():
        x = torch.ones(3)
    y = x.clone().requires_grad_()
    (y * y).sum().backward()
    return y.grad


@programs(
    nested,
    as_function,
    decorators,
    decorated_method,
    decorated_class,
    generator,
    closed_generator,
    coroutine,
    exceptions,
    error_inside_decorated,
    factories,
    leaf_written,
    modes_of_inference,
    inference_tensors,
    writes_in_inference,
    inference_saved_inside_custom,
    inference_clone_is_normal,
)
def test_modes(program):
    agree(program)


@programs(
    wrong_arguments,
    inference_written_outside,
    inference_item_written_outside,
    inference_saved,
    inference_made_to_require,
    inference_version,
    inference_view_of_normal_written,
)
def test_refusals(program):
    found = agree(program)
    assert isinstance(found, str) and "Error" in found


def test_modes_belong_to_threads():
    def program(torch):
        seen = []
        inside, done = threading.Event(), threading.Event()

        def other():
            seen.append(torch.is_grad_enabled())
            with torch.no_grad():
                inside.set()
                done.wait(10)

        with torch.no_grad():
            thread = threading.Thread(target=other)
            thread.start()
            inside.wait(10)
        seen.append(torch.is_grad_enabled())
        done.set()
        thread.join()
        return seen

    assert agree(program) == [True, True]
