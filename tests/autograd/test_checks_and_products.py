"""`gradcheck`, `gradgradcheck` and `torch.autograd.functional`, beside PyTorch."""

import importlib
import warnings

import pytest

import pellucid
from tests.nn.both import agree, programs


def bad_square(torch, factor):
    class BadSquare(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * x * factor

    return BadSquare.apply


def double(torch, *shape):
    count = 1
    for n in shape:
        count *= n
    values = torch.arange(1.0, count + 1, dtype=torch.float64) / 3
    return values.view(shape).clone().requires_grad_()


def checks(torch, function, *inputs, **options):
    """What both checks answer in both modes."""
    answers = []
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        for fast in (False, True):
            answers.append(check(function, inputs, fast_mode=fast, **options))
    return answers


def right(torch):
    x, y = double(torch, 2, 3), double(torch, 3)
    return [
        checks(torch, lambda a, b: a * b.exp(), x, y),
        checks(torch, lambda a: (a * a, a.sin()), x),
        checks(torch, lambda a: a.sum(), double(torch)),
        checks(torch, lambda a, n: a**n, x, 3),
        checks(torch, lambda a: a * 2, double(torch, 0)),
        checks(torch, lambda a: a.t() * a.t(), x, check_batched_grad=True),
    ]


def right_complex(torch):
    z = torch.tensor([1 + 2j, 0.5 - 1j], dtype=torch.complex128, requires_grad=True)
    x = double(torch, 2)
    return [
        checks(torch, lambda a: a * a, z),
        checks(torch, lambda a, b: a * b, z, x),
        checks(torch, lambda a: a.real * a.imag, z),
        checks(torch, lambda a: a * (1 + 1j), x),
        checks(torch, lambda a: torch.view_as_real(a) ** 2, z),
    ]


def scattered_grad_outputs(torch):
    x = double(torch, 2, 3)
    return torch.autograd.gradgradcheck(lambda a: a * a, x, gen_non_contig_grad_outputs=True)


def given_grad_outputs(torch):
    x = double(torch, 3)
    return torch.autograd.gradgradcheck(lambda a: a**3, x, torch.ones_like(x).requires_grad_())


def wrong_without_raising(torch):
    x = double(torch, 3)
    return [
        check(bad_square(torch, 2.02), (x,), raise_exception=False, fast_mode=fast)
        for check in (torch.autograd.gradcheck,)
        for fast in (False, True)
    ]


def wrong_complex_part(torch):
    class Conjugated(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            return z * (1 + 2j)

        @staticmethod
        def backward(ctx, grad):
            return grad * (1 + 2j)

    z = torch.tensor([1 + 2j], dtype=torch.complex128, requires_grad=True)
    try:
        torch.autograd.gradcheck(Conjugated.apply, z)
    except RuntimeError as error:
        return str(error).split(",")[0], str(error).split("\n")[0].rpartition(", ")[2]


def hidden_dependence(torch):
    torch.autograd.gradcheck(lambda a: a.detach() * 2, double(torch, 3))


def not_linear(torch):
    class Constant(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return grad * 0 + 1

    torch.autograd.gradcheck(Constant.apply, double(torch, 1))


def not_repeatable(torch):
    calls = []

    class Drifting(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            calls.append(1)
            return grad * (1 + len(calls) * 1e-8)

    torch.autograd.gradcheck(Drifting.apply, double(torch, 2))


def undefined_refused(torch):
    warnings.simplefilter("ignore")

    class Proud(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            if grad is None:
                raise RuntimeError("no gradient")
            return grad

    torch.autograd.gradcheck(Proud.apply, double(torch, 2))


def nothing_to_check(torch):
    torch.autograd.gradcheck(lambda a: a, (torch.ones(2),))


def overlapping_input(torch):
    torch.autograd.gradcheck(lambda a: a, double(torch, 1).detach().expand(3).requires_grad_())


def nothing_asked(torch):
    torch.autograd.gradcheck(lambda a: a, double(torch, 1), check_backward_ad=False)


def coarse_input(torch):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    return torch.autograd.gradcheck(lambda a: a * 2, x, eps=1e-2, atol=1e-2)


def jacobians(torch):
    F = torch.autograd.functional
    x, y = double(torch, 2, 2), double(torch, 2)
    return [
        F.jacobian(lambda a: a.exp().sum(1), x),
        F.jacobian(lambda a, b: (a @ b, b.sum()), (x, y)),
        F.jacobian(lambda a, b: a @ b, (x, y), vectorize=True),
        F.jacobian(lambda a: a.sum(), (y,)),
        F.jacobian(lambda a: a * 2, y, create_graph=True),
        F.hessian(lambda a: (a**3).sum(), x),
        F.hessian(lambda a, b: (a @ b).sum() * b.prod(), (x, y)),
    ]


def products(torch):
    F = torch.autograd.functional
    x, y = double(torch, 3), double(torch, 3) + 1
    v, w = torch.ones(3, dtype=torch.float64), torch.arange(3.0, dtype=torch.float64)
    scalar = lambda a: (a**3).sum()
    both = lambda a, b: (a * b).sum() * a.prod()
    return [
        F.vjp(lambda a: a.exp(), x, v),
        F.vjp(scalar, x),
        F.vjp(lambda a, b: (a * b, a.sum()), (x, y), (v, torch.tensor(2.0, dtype=torch.float64))),
        F.jvp(lambda a: a.exp() * a, x, w),
        F.jvp(lambda a, b: (a * b, b), (x, y), (v, w)),
        F.jvp(lambda a: a.exp(), x, w, create_graph=True),
        F.vhp(scalar, x, w),
        F.hvp(scalar, x, w),
        F.vhp(both, (x, y), (v, w)),
        F.hvp(both, (x, y), (v, w)),
        F.hvp(lambda a: a.sum(), x, w),
    ]


def graph_of_a_product(torch):
    x = double(torch, 3)
    _, found = torch.autograd.functional.hvp(
        lambda a: (a**4).sum(), x, x.detach(), create_graph=True
    )
    found.sum().backward()
    return x.grad


def independent(torch):
    x = double(torch, 2)
    return torch.autograd.functional.jacobian(
        lambda a: torch.ones(2), x
    ), torch.autograd.functional.vjp(lambda a: a.detach(), x, torch.ones_like(x))


def independent_strictly(torch):
    torch.autograd.functional.jacobian(
        lambda a, b: a * 2, (double(torch, 2), double(torch, 2)), strict=True
    )


def constant_strictly(torch):
    torch.autograd.functional.vjp(lambda a: torch.ones(1), double(torch, 2), strict=True)


def linear_hessian_strictly(torch):
    torch.autograd.functional.hessian(lambda a: a.sum(), double(torch, 2), strict=True)


def input_is_a_list(torch):
    torch.autograd.functional.vjp(lambda a: a, [double(torch, 2)])


def output_is_a_number(torch):
    torch.autograd.functional.jvp(lambda a: 3, double(torch, 1))


def vector_of_wrong_shape(torch):
    torch.autograd.functional.vjp(lambda a: a, double(torch, 2), torch.ones(3))


def vector_missing(torch):
    torch.autograd.functional.vjp(lambda a: a, double(torch, 2))


def hessian_of_vector(torch):
    torch.autograd.functional.hessian(lambda a: a, double(torch, 2))


def unknown_strategy(torch):
    torch.autograd.functional.jacobian(lambda a: a, double(torch, 2), strategy="sideways")


@programs(
    right,
    right_complex,
    scattered_grad_outputs,
    given_grad_outputs,
    wrong_without_raising,
    wrong_complex_part,
    coarse_input,
    jacobians,
    products,
    graph_of_a_product,
    independent,
)
def test_answers(program):
    agree(program)


@programs(
    hidden_dependence,
    not_linear,
    not_repeatable,
    undefined_refused,
    nothing_to_check,
    overlapping_input,
    nothing_asked,
    independent_strictly,
    constant_strictly,
    linear_hessian_strictly,
    input_is_a_list,
    output_is_a_number,
    vector_of_wrong_shape,
    vector_missing,
    hessian_of_vector,
    unknown_strategy,
)
def test_refusals(program):
    found = agree(program)
    assert isinstance(found, str) and "Error" in found


@pytest.mark.parametrize("fast", [False, True])
def test_a_small_mistake_is_found(fast):
    x = double(pellucid, 2, 3)
    with pytest.raises(pellucid.autograd.GradcheckError, match="Jacobian mismatch for output 0"):
        pellucid.autograd.gradcheck(bad_square(pellucid, 2.006), x, fast_mode=fast)
    assert pellucid.autograd.gradcheck(bad_square(pellucid, 2.0), x, fast_mode=fast)


def test_the_input_is_as_before():
    x = double(pellucid, 2, 3)
    before, version = x.tolist(), x._version
    pellucid.autograd.gradcheck(lambda a: a.exp(), x)
    assert (x.tolist(), x._version, x.grad) == (before, version, None)


def test_outputs_without_gradient_are_left_out():
    x = double(pellucid, 2, 3)
    assert checks(pellucid, lambda a: (a.argmax(), a * a, "text"), x) == [True] * 4


def test_the_module_of_the_same_name_can_be_called():
    module = importlib.import_module("pellucid.autograd.gradchecking")
    assert module(lambda a: a * a, double(pellucid, 2))
    assert issubclass(module.GradcheckError, RuntimeError)
