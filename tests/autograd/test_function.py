"""`Function`: operators written by users, on PyTorch and on Pellucid."""

import pytest

from tests.nn.both import agree, programs


def square_of(torch):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.save_for_backward(x)
            ctx.scale = scale
            return scale * x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 2 * ctx.scale * x, None

    return Square


def simple(torch):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = square_of(torch).apply(x, 3)
    name = y.grad_fn.name()
    y.sum().backward()
    return y, x.grad, name, y.grad_fn.scale, type(y.grad_fn).__name__, y.is_leaf


def double_backward(torch):
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = square_of(torch).apply(x, 3)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad((g * g).sum(), x)
    return g, h, g.requires_grad


def not_recorded(torch):
    x = torch.tensor([1.0, 2.0])
    y = square_of(torch).apply(x, 2)
    with torch.no_grad():
        z = square_of(torch).apply(x.clone().requires_grad_(), 2)
    return y, y.requires_grad, y.grad_fn, z.requires_grad


def separate_context(torch):
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(x, factor):
            return x * factor, x + 1

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.factor = inputs
            product, _ = output
            ctx.save_for_backward(x, product)

        @staticmethod
        def backward(ctx, grad, other):
            x, product = ctx.saved_tensors
            return grad * ctx.factor + other * product / x, None

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    a, b = Scale.apply(x, 5.0)
    (a + 2 * b).sum().backward()
    return a, b, x.grad


def needs(torch):
    seen = []

    class Mul(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b, c):
            seen.append(ctx.needs_input_grad)
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, grad):
            seen.append(ctx.needs_input_grad)
            _, b = ctx.saved_tensors
            return grad * b, None, None

    x = torch.ones(2, requires_grad=True)
    y = Mul.apply(x, torch.full((2,), 3.0), "text")
    y.sum().backward()
    return seen, x.grad


def several_outputs(torch):
    seen = []

    class Split(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, 7, x * 3, None

        @staticmethod
        def backward(ctx, *grads):
            seen.append([g if g is None else g.tolist() for g in grads])
            return grads[0] * 2 + grads[2] * 3

    x = torch.ones(2, requires_grad=True)
    a, number, b, nothing = Split.apply(x)
    b.sum().backward()
    return number, nothing, seen, x.grad, a.requires_grad


def without_materialising(torch):
    seen = []

    class Split(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, first, second):
            seen.append((first is None, second is None))
            return second * 3

    x = torch.ones(2, requires_grad=True)
    Split.apply(x)[1].sum().backward()
    return seen, x.grad


def integer_output(torch):
    class Sorted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            values, indices = x.sort()
            ctx.mark_non_differentiable(indices)
            ctx.save_for_backward(indices)
            return values, indices

        @staticmethod
        def backward(ctx, grad, unused):
            (indices,) = ctx.saved_tensors
            return torch.zeros_like(grad).scatter(0, indices, grad)

    x = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    values, indices = Sorted.apply(x)
    (values * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    return values, indices, indices.requires_grad, x.grad


def marked_output(torch):
    class Both(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            a, b = x * 2, x * 3
            ctx.mark_non_differentiable(b)
            return a, b

        @staticmethod
        def backward(ctx, grad, zero):
            assert zero.tolist() == [0.0, 0.0]
            return grad * 2

    x = torch.ones(2, requires_grad=True)
    a, b = Both.apply(x)
    a.sum().backward()
    return a.requires_grad, b.requires_grad, b.grad_fn, x.grad


def in_place(torch):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    leaf = torch.ones(3, requires_grad=True)
    x = leaf * 5
    y = Double.apply(x)
    same = y is x
    (y * y).sum().backward()
    return same, x.grad_fn.name(), x._version, leaf.grad


def in_place_on_a_view(torch):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    leaf = torch.ones(4, requires_grad=True)
    base = leaf * 1
    part = base[:2]
    Double.apply(part)
    base.sum().backward()
    return base, leaf.grad, base.grad_fn.name()


def in_place_on_a_leaf(torch):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    return Double.apply(torch.ones(3, requires_grad=True))


def dirty_and_not_returned(torch):
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad

    return Bad.apply(torch.ones(3, requires_grad=True) * 1)


def identity(torch):
    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 10

    x = torch.ones(3, requires_grad=True)
    y = Same.apply(x)
    y.sum().backward()
    return y is x, y.data_ptr() == x.data_ptr(), y.grad_fn.name(), x.grad


def view_returned(torch):
    class Head(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.size = x.shape
            return x[:2]

        @staticmethod
        def backward(ctx, grad):
            out = torch.zeros(ctx.size)
            out[:2] = grad
            return out

    x = torch.ones(4, requires_grad=True)
    y = Head.apply(x)
    y.sum().backward()
    return y, x.grad, y.grad_fn.name()


def view_returned_and_written(torch):
    class Head(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[:2]

        @staticmethod
        def backward(ctx, grad):
            return torch.cat([grad, grad])

    x = torch.ones(4, requires_grad=True) * 1
    y = Head.apply(x)
    return y.mul_(2)


def once(torch):
    from_module = torch.autograd.function.once_differentiable

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @from_module
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 3 * x * x * grad

    x = torch.tensor([2.0], requires_grad=True)
    (g,) = torch.autograd.grad((Cube.apply(x) ** 2).sum(), x, create_graph=True)
    values = g.tolist(), g.requires_grad
    try:
        g.sum().backward()
    except RuntimeError as error:
        return values, str(error)


def wrong_number(torch):
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a * b

        @staticmethod
        def backward(ctx, grad):
            return grad

    Bad.apply(torch.ones(2, requires_grad=True), torch.ones(2)).sum().backward()


def too_many_but_none(torch):
    class Fine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2, None, None

    x = torch.ones(2, requires_grad=True)
    Fine.apply(x).sum().backward()
    return x.grad


def gradient_for_a_number(torch):
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, n):
            return a * n

        @staticmethod
        def backward(ctx, grad):
            return grad, grad

    Bad.apply(torch.ones(2, requires_grad=True), 3).sum().backward()


def no_tensor_returned(torch):
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, grad):
            return 3

    Bad.apply(torch.ones(2, requires_grad=True)).sum().backward()


def wrong_shape(torch):
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, grad):
            return torch.ones(5)

    Bad.apply(torch.ones(2, requires_grad=True)).sum().backward()


def broadcast_shape(torch):
    class Sum(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a + torch.zeros(3, 2)

        @staticmethod
        def backward(ctx, grad):
            return grad

    x = torch.ones(2, requires_grad=True)
    Sum.apply(x).sum().backward()
    return x.grad


def no_forward(torch):
    class Empty(torch.autograd.Function):
        pass

    return Empty.apply(torch.ones(2))


def no_backward(torch):
    class Half(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

    Half.apply(torch.ones(2, requires_grad=True)).sum().backward()


def instance(torch):
    return type(square_of(torch)()).__name__


def saved_number(torch):
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            ctx.save_for_backward(3)
            return a * 2

    return Bad.apply(torch.ones(2, requires_grad=True))


def freed(torch):
    x = torch.ones(2, requires_grad=True)
    y = square_of(torch).apply(x, 2)
    y.sum().backward()
    y.sum().backward()


def kept(torch):
    x = torch.ones(2, requires_grad=True)
    y = square_of(torch).apply(x, 2)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    return x.grad


def modified_input(torch):
    x = torch.ones(2, requires_grad=True) * 1
    y = square_of(torch).apply(x, 2)
    x.add_(1)
    y.sum().backward()


def saved_output(torch):
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, grad):
            (out,) = ctx.saved_tensors
            return grad * out

    x = torch.tensor([0.5, 1.0], dtype=torch.float64, requires_grad=True)
    third = Exp.apply(x).sum()
    for _ in range(3):
        (third,) = torch.autograd.grad(third.sum(), x, create_graph=True)
    return third, torch.autograd.gradcheck(Exp.apply, x), torch.autograd.gradgradcheck(Exp.apply, x)


def grad_mode_inside(torch):
    seen = []

    class Look(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            seen.append((torch.is_grad_enabled(), (x * 2).requires_grad))
            with torch.enable_grad():
                seen.append((x * 2).requires_grad)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            seen.append(torch.is_grad_enabled())
            return grad * 2

    x = torch.ones(2, requires_grad=True)
    y = Look.apply(x).sum()
    torch.autograd.grad(y, x, retain_graph=True)
    torch.autograd.grad(y, x, create_graph=True)
    return seen


def backward_inside_backward(torch):
    class Checkpoint(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.exp() * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            with torch.enable_grad():
                again = x.detach().requires_grad_()
                out = again.exp() * again
            out.backward(grad)
            return again.grad

    x = torch.tensor([0.3, 0.7], requires_grad=True)
    Checkpoint.apply(x * 2).sum().backward()
    return x.grad


def keyword(torch):
    return square_of(torch).apply(torch.ones(2), scale=2)


def two_rules(torch):
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad

        @staticmethod
        def vjp(ctx, grad):
            return grad

    Twice.apply(torch.ones(2, requires_grad=True)).sum().backward()


def list_returned(torch):
    class Pair(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return [x * 2, x * 3]

        @staticmethod
        def backward(ctx, a, b):
            return a * 2 + b * 3

    x = torch.ones(2, requires_grad=True)
    found = Pair.apply(x)
    return type(found).__name__, x.requires_grad


@programs(
    simple,
    double_backward,
    not_recorded,
    separate_context,
    needs,
    several_outputs,
    without_materialising,
    integer_output,
    marked_output,
    in_place,
    in_place_on_a_view,
    identity,
    view_returned,
    once,
    too_many_but_none,
    broadcast_shape,
    kept,
    saved_output,
    grad_mode_inside,
    backward_inside_backward,
    list_returned,
    keyword,
    instance,
)
def test_functions(program):
    agree(program)


@programs(
    in_place_on_a_leaf,
    dirty_and_not_returned,
    view_returned_and_written,
    wrong_number,
    gradient_for_a_number,
    no_tensor_returned,
    wrong_shape,
    no_forward,
    no_backward,
    saved_number,
    freed,
    modified_input,
    two_rules,
)
def test_refusals(program):
    found = agree(program)
    assert isinstance(found, str) and "Error" in found


@pytest.mark.parametrize("error", [ValueError, KeyError])
def test_an_error_in_forward_leaves_no_trace(error):
    def program(torch):
        class Bad(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                raise error("stop")

        with pytest.raises(error, match="stop"):
            Bad.apply(torch.ones(2, requires_grad=True))
        return torch.is_grad_enabled()

    assert agree(program) is True
