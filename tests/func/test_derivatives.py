"""Derivatives of functions, in any nesting, against closed forms and against PyTorch."""

import math
import re

import numpy as np
import pytest
import torch

import pellucid

DOUBLE = "float64"


def pair(array):
    array = np.asarray(array, np.float64)
    return pellucid.from_numpy(array.copy()), torch.from_numpy(array.copy())


def same(ours, theirs, tolerance=1e-10):
    if isinstance(theirs, torch.Tensor):
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert str(ours.dtype) == str(theirs.dtype)
        assert ours.requires_grad == theirs.requires_grad
        np.testing.assert_allclose(
            ours.detach().numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance
        )
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for name in theirs:
            same(ours[name], theirs[name], tolerance)
    elif isinstance(theirs, (tuple, list)):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other, tolerance)
    else:
        assert ours == theirs


POINTS = np.linspace(-2, 2, 7)


@pytest.mark.parametrize("order", range(1, 9))
def test_sine_to_any_order(order):
    f = pellucid.sin
    for _ in range(order):
        f = pellucid.func.grad(f)
    x = pellucid.tensor(0.7, dtype=pellucid.float64)
    assert float(f(x)) == pytest.approx(math.sin(0.7 + order * math.pi / 2), abs=1e-12)


def tanh_derivative(order, x):
    """The derivatives of tanh are polynomials in tanh: d/dx t^k = k t^(k-1) (1 - t^2)."""
    polynomial = np.polynomial.Polynomial([0, 1])
    for _ in range(order):
        polynomial = polynomial.deriv() * np.polynomial.Polynomial([1, 0, -1])
    return polynomial(np.tanh(x))


@pytest.mark.parametrize("order", range(1, 7))
def test_tanh_to_any_order_over_many_points(order):
    f = pellucid.tanh
    for _ in range(order):
        f = pellucid.func.grad(f)
    found = pellucid.func.vmap(f)(pellucid.from_numpy(POINTS))
    np.testing.assert_allclose(found.numpy(), tanh_derivative(order, POINTS), rtol=1e-9, atol=1e-9)


def third(library, transforms):
    """The third derivative by three transforms, outermost last."""

    def along(f):
        return lambda x: library.func.jvp(f, (x,), (library.ones_like(x),))[1]

    known = {
        "grad": library.func.grad,
        "jvp": along,
        "jacrev": library.func.jacrev,
        "jacfwd": library.func.jacfwd,
    }
    f = lambda x: (x.sin() * x.exp()).tanh() * x
    for name in transforms:
        f = known[name](f)
    return f


@pytest.mark.parametrize("first", ["grad", "jvp", "jacrev", "jacfwd"])
@pytest.mark.parametrize("second", ["grad", "jvp", "jacrev", "jacfwd"])
@pytest.mark.parametrize("last", ["grad", "jvp", "jacrev", "jacfwd"])
def test_every_nesting_gives_the_third_derivative(first, second, last):
    ours, theirs = pair(0.4)
    names = (first, second, last)
    expected = third(torch, ("grad", "grad", "grad"))(theirs)
    same(third(pellucid, names)(ours), expected, 1e-9)
    mapped = pellucid.func.vmap(third(pellucid, names))(pellucid.from_numpy(POINTS))
    wanted = torch.func.vmap(third(torch, ("grad", "grad", "grad")))(torch.from_numpy(POINTS))
    same(mapped, wanted, 1e-9)


def f_vector(x, y):
    return (x.sin() * y).cumsum(0), {"a": x.prod() * y[0], "b": (x**3).outer(y)}


@pytest.mark.parametrize("argnums", [0, 1, -1, (0,), (0, 1), (1, 0)])
@pytest.mark.parametrize("name", ["jacrev", "jacfwd"])
def test_jacobians_are_nested_as_pytorch_nests_them(name, argnums):
    (x, tx), (y, ty) = pair([0.3, -1.0, 2.0]), pair([1.5, 0.2, -0.7])
    ours = getattr(pellucid.func, name)(f_vector, argnums)(x, y)
    # PyTorch's jacfwd takes a negative number for an argument that does not move.
    theirs = getattr(torch.func, name)(f_vector, 1 if argnums == -1 else argnums)(tx, ty)
    same(ours, theirs)


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 100])
def test_jacrev_in_chunks(chunk_size):
    x, tx = pair(np.arange(1.0, 5.0))
    f = lambda x: (x**2).outer(x)
    same(pellucid.func.jacrev(f, chunk_size=chunk_size)(x), torch.func.jacrev(f)(tx))


def test_hessian_of_two_arguments():
    (x, tx), (y, ty) = pair([0.3, -1.0]), pair([[1.5, 0.2], [1.0, 2.0]])
    f = lambda x, y: (y @ x).sin().sum() * y.exp().sum()
    same(pellucid.func.hessian(f, (0, 1))(x, y), torch.func.hessian(f, (0, 1))(tx, ty))


def test_auxiliary_outputs_and_containers():
    (x, tx), (y, ty) = pair([0.3, -1.0]), pair([1.5, 0.2])

    def run(library, x, y):
        def f(parameters, scale):
            value = (parameters["w"] * scale).sin().sum() * parameters["b"].sum()
            return value, {"twice": value * 2}

        given = {"w": x, "b": y}
        return (
            library.func.grad(f, has_aux=True)(given, 2.0),
            library.func.grad_and_value(f, has_aux=True)(given, 2.0),
            library.func.vjp(lambda x: (x.sin(), x), x, has_aux=True)[2],
            library.func.jvp(lambda x: (x.sin(), x), (x,), (y,), has_aux=True),
            library.func.jacrev(lambda x: (x.sin(), x), has_aux=True)(x),
            library.func.jacfwd(lambda x: (x.sin(), x), has_aux=True)(x),
        )

    same(run(pellucid, x, y), run(torch, tx, ty))


def test_value_and_grad_is_grad_and_value_in_the_other_order():
    x, _ = pair([0.3, -1.0])
    f = lambda x: (x**2).sum()
    gradient, value = pellucid.func.grad_and_value(f)(x)
    other, again = pellucid.func.value_and_grad(f)(x)
    assert float(other) == float(value)
    assert again.tolist() == gradient.tolist()


def test_linearize_can_be_asked_many_times():
    (x, tx), (v, tv) = pair([0.3, -1.0]), pair([1.0, 2.0])
    f = lambda x: (x.sin() * x.sum()).exp()
    value, push = pellucid.func.linearize(f, x)
    expected, moved = torch.func.jvp(f, (tx,), (tv,))
    same(value, expected)
    same(push(v), moved)
    same(push(v * 2), moved * 2)


def test_a_closure_is_not_differentiated():
    """Perturbation confusion: the inner derivative must not see the outer variable."""
    x, _ = pair(1.3)
    inner = lambda y: pellucid.func.grad(lambda z: y * z)(y)
    assert float(pellucid.func.grad(lambda y: y * inner(y))(x)) == pytest.approx(2.6)


@pytest.mark.parametrize("wanted", [False, True])
def test_a_gradient_outside_goes_through(wanted):
    def run(library, x):
        w = (x * 2).detach().requires_grad_(wanted)
        found = library.func.grad(lambda x: ((x * w).sin()).sum())(x)
        if wanted:
            found.sum().backward()
        return found, w.grad if wanted else x

    ours, theirs = pair([0.3, -1.0])
    same(run(pellucid, ours), run(torch, theirs))


def test_no_grad_outside_does_not_matter_and_inside_does():
    def run(library, x):
        with library.no_grad():
            outside = library.func.grad(lambda x: (x**3).sum())(x)

        def partly(x):
            with library.no_grad():
                constant = x**2
            return (x * constant).sum()

        return outside, library.func.grad(partly)(x)

    ours, theirs = pair([0.3, -1.0])
    same(run(pellucid, ours), run(torch, theirs))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda f, x: f.grad(lambda x: x)(x), RuntimeError),
        (lambda f, x: f.grad(lambda x: 1.0)(x), RuntimeError),
        (lambda f, x: f.grad(lambda x: x.sum(), has_aux=True)(x), RuntimeError),
        (lambda f, x: f.grad(lambda x: x.sum(), argnums=1)(x), RuntimeError),
        (lambda f, x: f.grad(lambda x: x.sum(), argnums=())(x), RuntimeError),
        (lambda f, x: f.grad(lambda x, y: x.sum(), argnums=(0, 0))(x, x), RuntimeError),
        (lambda f, x: f.grad(lambda x: x.sum(), argnums="0")(x), RuntimeError),
        (lambda f, x: f.grad(lambda x: x)(1.0), ValueError),
        (lambda f, x: f.grad(lambda x: x.sum())(x.long()), RuntimeError),
        (lambda f, x: f.vjp(lambda x: x.long(), x), RuntimeError),
        (lambda f, x: f.vjp(lambda x: 3, x), RuntimeError),
        (lambda f, x: f.vjp(lambda x: x, x)[1]((x, x)), RuntimeError),
        (lambda f, x: f.jvp(lambda x: x, x, (x,)), RuntimeError),
        (lambda f, x: f.jvp(lambda x: x, (x,), x), RuntimeError),
        (lambda f, x: f.jvp(lambda x: x, (x,), (1.0,)), RuntimeError),
        (lambda f, x: f.jvp(lambda x: 1.0, (x,), (x,)), RuntimeError),
        (lambda f, x: f.jvp(lambda y: x, (x,), (x,), strict=True), RuntimeError),
        (lambda f, x: f.jacrev(lambda x: x, chunk_size=0), ValueError),
    ],
)
def test_what_is_refused_is_refused_in_pytorch_s_words(call, error):
    ours, theirs = pair([1.0, 2.0])
    try:
        call(torch.func, theirs)
    except error as refusal:
        said = str(refusal)
    first = said.splitlines()[0].split("structure")[0].split("cotangents:")[0]
    words = first.replace("torch.Tensor", "").split("<class")[0]
    with pytest.raises(error, match=re.escape(words.strip())):
        call(pellucid.func, ours)


def test_complex_jacobians_are_refused():
    x = pellucid.ones(2, dtype=pellucid.complex64)
    with pytest.raises(RuntimeError, match="jacrev: Expected all inputs to be real"):
        pellucid.func.jacrev(lambda x: x)(x)
    with pytest.raises(RuntimeError, match="jacfwd: Expected all inputs to be real"):
        pellucid.func.jacfwd(lambda x: x)(x)
