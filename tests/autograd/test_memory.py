"""What the tape keeps alive, and for how long: by reference counts alone, at any depth, in any
thread.
"""

import gc
import threading
import weakref

import pytest

import pellucid


@pytest.fixture(autouse=True)
def _reference_counts_only():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def watch(tensor):
    return weakref.ref(tensor._storage)


def test_a_graph_goes_with_its_last_tensor():
    x = pellucid.ones(4, requires_grad=True)
    y = x.exp()
    z = (y * y).sum()
    nodes = [weakref.ref(t.grad_fn) for t in (y, z)]
    memory = watch(y)
    del y
    assert memory() is not None  # `mul` keeps it for backward
    del z
    assert memory() is None
    assert all(node() is None for node in nodes)


def test_backward_frees_what_was_saved():
    x = pellucid.ones(4, requires_grad=True)
    y = x * 2
    z = (y * y).sum()
    memory = watch(y)
    del y
    z.backward()
    assert memory() is None
    assert x.grad.tolist() == [8.0] * 4


def test_retain_graph_keeps_it():
    x = pellucid.ones(4, requires_grad=True)
    y = x * 2
    z = (y * y).sum()
    memory = watch(y)
    del y
    z.backward(retain_graph=True)
    assert memory() is not None
    z.backward()
    assert memory() is None


def test_add_keeps_nothing():
    x = pellucid.ones(4, requires_grad=True)
    y = x * 2
    z = y + 1
    memory = watch(y)
    del y
    assert memory() is None
    z.sum().backward()


def test_in_place_operations_make_no_cycles():
    x = pellucid.ones(4, requires_grad=True)
    b = x * 1
    v = b.view(2, 2)
    v[0].mul_(3)
    b.exp_()
    v.retain_grad()
    v.sum().backward()
    memory = watch(b)
    node = weakref.ref(v.grad_fn)
    del b, v
    assert memory() is None
    assert node() is None


def test_a_function_goes_with_its_output():
    class Exp(pellucid.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(x, out)
            return out

        @staticmethod
        def backward(ctx, grad):
            _, out = ctx.saved_tensors
            return grad * out

    x = pellucid.ones(4, requires_grad=True)
    y = Exp.apply(x)
    memory, node = watch(y), weakref.ref(y.grad_fn)
    del y
    assert memory() is None
    assert node() is None


def test_hooks_go_with_their_node():
    x = pellucid.ones(4, requires_grad=True)
    y = x * 2
    handle = y.register_hook(lambda grad: grad)
    node = weakref.ref(y.grad_fn)
    y.retain_grad()
    del y
    assert node() is None
    handle.remove()


def test_the_first_gradient_is_not_copied():
    arrived = []
    x = pellucid.ones(1000, requires_grad=True)
    x.register_hook(lambda grad: arrived.append(grad.data_ptr()))
    (x * 3).sum().backward()
    assert x.grad.data_ptr() == arrived[0]


@pytest.mark.parametrize("depth", [100_000])
def test_depth_does_not_matter(depth):
    x = pellucid.ones(1, requires_grad=True)
    y = x
    for _ in range(depth):
        y = y + 1
    y.backward(retain_graph=True)
    (through,) = pellucid.autograd.grad(y, x)
    assert x.grad.tolist() == through.tolist() == [1.0]
    end = weakref.ref(y.grad_fn)
    del y
    assert end() is None


def test_a_long_graph_that_was_never_walked_is_freed():
    x = pellucid.ones(1, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 1.5
    first = weakref.ref(y.grad_fn)
    del y
    assert first() is None


def test_an_error_on_the_way_frees_the_walk():
    x = pellucid.ones(4, requires_grad=True)
    y = x * 2

    def fail(grad):
        raise ValueError("stop")

    y.register_hook(fail)
    out = (y * 3).sum()
    with pytest.raises(ValueError, match="stop"):
        out.backward()
    assert pellucid.is_grad_enabled()
    memory = watch(y)
    del y, out
    assert memory() is None


def test_backward_in_several_threads():
    x = pellucid.ones(100, requires_grad=True)
    outputs = [(x * k).sum() for k in range(1, 9)]
    found = [None] * len(outputs)

    def work(number):
        (found[number],) = pellucid.autograd.grad(outputs[number], x)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(outputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [g[0].item() for g in found] == list(range(1, 9))


def test_backward_inside_a_hook():
    x = pellucid.ones(2, requires_grad=True)
    y = pellucid.ones(2, requires_grad=True)
    z = x * 2

    def hook(grad):
        with pellucid.enable_grad():
            (y * 5).sum().backward()

    z.register_hook(hook)
    z.sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([2.0, 2.0], [5.0, 5.0])
