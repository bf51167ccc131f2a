"""Programs from PyTorch's tutorials on function transforms, the same text under both libraries:
per-sample gradients, ensembles, neural tangent kernels, Jacobians and Hessians, MAML, forward mode.
"""

import numpy as np
import pytest
import torch

import pellucid
from tests.func.test_derivatives import same

LIBRARIES = (pellucid, torch)


def convolutional(t):
    nn = t.nn
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(6 * 4 * 4, 16), nn.ReLU(), nn.Linear(16, 5),
    )  # fmt: skip


def images(t, count):
    values = np.sin(np.arange(count * 144.0)).reshape(count, 1, 12, 12).astype(np.float32)
    return t.from_numpy(values), t.arange(count) % 5


def agree(program, tolerance=2e-5):
    results = []
    for t in LIBRARIES:
        t.manual_seed(0)
        results.append(program(t))
    same(*results, tolerance)


def per_sample_gradients(t):
    model = convolutional(t)
    data, targets = images(t, 6)
    params = {k: v.detach() for k, v in model.named_parameters()}
    buffers = {k: v.detach() for k, v in model.named_buffers()}

    def compute_loss(params, buffers, sample, target):
        predictions = t.func.functional_call(model, (params, buffers), (sample.unsqueeze(0),))
        return t.nn.functional.cross_entropy(predictions, target.unsqueeze(0))

    ft_compute_grad = t.func.grad(compute_loss)
    mapped = t.func.vmap(ft_compute_grad, in_dims=(None, None, 0, 0))
    return mapped(params, buffers, data, targets)


def ensemble(t):
    models = [convolutional(t) for _ in range(3)]
    data, targets = images(t, 4)
    params, buffers = t.func.stack_module_state(models)
    base = convolutional(t)

    def fmodel(params, buffers, x):
        return t.func.functional_call(base, (params, buffers), (x,))

    together = t.func.vmap(fmodel, in_dims=(0, 0, None))(params, buffers, data)
    loss = sum(t.nn.functional.cross_entropy(each, targets) for each in together)
    loss.backward()
    return together.detach(), {name: p.grad for name, p in params.items()}


def neural_tangent_kernel(t):
    net = convolutional(t)
    params = {k: v.detach() for k, v in net.named_parameters()}
    x_train, _ = images(t, 3)
    x_test, _ = images(t, 2)

    def single(params, x):
        return t.func.functional_call(net, params, (x.unsqueeze(0),)).squeeze(0)

    def jacobian_contraction(x1, x2):
        jac1 = t.func.vmap(t.func.jacrev(single), (None, 0))(params, x1)
        jac1 = [j.flatten(2) for j in jac1.values()]
        jac2 = t.func.vmap(t.func.jacrev(single), (None, 0))(params, x2)
        jac2 = [j.flatten(2) for j in jac2.values()]
        return t.stack(
            [t.einsum("Naf,Mbf->NMab", j1, j2) for j1, j2 in zip(jac1, jac2, strict=True)]
        ).sum(0)

    def vector_products(x1, x2):
        def get_ntk(a, b):
            _, vjp_fn = t.func.vjp(lambda p: single(p, a), params)

            def get_ntk_slice(vec):
                vjps = vjp_fn(vec)
                _, jvps = t.func.jvp(lambda p: single(p, b), (params,), vjps)
                return jvps

            basis = t.eye(5)
            return t.func.vmap(get_ntk_slice)(basis)

        return t.func.vmap(t.func.vmap(get_ntk, (None, 0)), (0, None))(x1, x2)

    return jacobian_contraction(x_train, x_test), vector_products(x_train, x_test)


def jacobians_and_hessians(t):
    weight, bias, x = t.randn(5, 16), t.randn(5), t.randn(16)

    def predict(weight, bias, x):
        return t.nn.functional.linear(x, weight, bias).tanh()

    jacobian = t.func.jacrev(predict, argnums=(0, 1))(weight, bias, x)
    forward = t.func.jacfwd(predict, argnums=2)(weight, bias, x)
    hess = t.func.hessian(predict, argnums=2)(weight, bias, x)
    by_hand = t.func.jacrev(t.func.jacrev(predict, argnums=2), argnums=2)(weight, bias, x)
    batch = t.stack([x, x * 2, x - 1])
    batched = t.func.vmap(t.func.hessian(predict, argnums=2), (None, None, 0))(weight, bias, batch)
    return jacobian, forward, hess, by_hand, batched


def maml(t):
    """Finn, Abbeel and Levine 2017, on sines; a step inside the loss that is differentiated."""
    nn = t.nn
    net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    params = dict(net.named_parameters())
    xs = t.linspace(-3, 3, 20).reshape(4, 5, 1)
    phases = t.tensor([0.0, 0.5, 1.0, 1.5]).reshape(4, 1, 1)
    ys = (xs + phases).sin()

    def loss(params, x, y):
        return t.nn.functional.mse_loss(t.func.functional_call(net, params, (x,)), y)

    def for_task(x, y):
        grads = t.func.grad(loss)(params, x[:3], y[:3])
        adapted = {name: params[name] - 0.1 * grads[name] for name in params}
        return loss(adapted, x[3:], y[3:])

    optimizer = t.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(3):
        total = t.func.vmap(for_task)(xs, ys).mean()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.detach())
    return losses, [p.detach() for p in params.values()]


def forward_mode(t):
    import importlib

    fwad = importlib.import_module(f"{t.__name__}.autograd.forward_ad")
    primal, tangent = t.linspace(-1, 1, 6), t.linspace(2, 3, 6)
    net = t.nn.Linear(6, 3)
    with fwad.dual_level():
        dual = fwad.make_dual(primal, tangent)
        assert fwad.unpack_dual(dual).tangent is tangent
        out = (net(dual).sin() * dual[:3]).exp()
        found = fwad.unpack_dual(out)
        plain = fwad.unpack_dual(tangent * 2)
        assert plain.tangent is None
    return found.primal.detach(), found.tangent.detach()


def functional_forward_mode(t):
    x, y = t.randn(3), t.randn(3)
    f = lambda x, y: (x.sin() * y.sum(), (x * y).cumsum(0))
    functional = t.autograd.functional
    return (
        functional.jacobian(f, (x, y), vectorize=True, strategy="forward-mode"),
        functional.jvp(f, (x, y), (y, x)),
        functional.hvp(lambda x: (x**3).sum(), x, y),
        functional.hessian(
            lambda x: (x**3).sum().sin(), x, vectorize=True, outer_jacobian_strategy="forward-mode"
        ).detach(),
    )


@pytest.mark.parametrize(
    "program",
    [
        per_sample_gradients, ensemble, neural_tangent_kernel, jacobians_and_hessians, maml,
        forward_mode, functional_forward_mode,
    ],
    ids=lambda program: program.__name__,
)  # fmt: skip
def test_program_runs_the_same(program):
    agree(program)


def test_forward_mode_refuses_what_it_cannot_carry():
    from pellucid.autograd import forward_ad

    x = pellucid.ones(2)
    with pytest.raises(RuntimeError, match="no level exists"):
        forward_ad.make_dual(x, x)
    with forward_ad.dual_level():
        with pytest.raises(RuntimeError, match="Nested forward mode AD is not supported"):
            forward_ad.enter_dual_level()
        with pytest.raises(ValueError, match="Expected tensor to be floating point"):
            forward_ad.make_dual(pellucid.arange(2), x)
        with pytest.raises(RuntimeError, match="different size"):
            forward_ad.make_dual(x, pellucid.ones(3))
        with pellucid.no_grad(), pytest.raises(RuntimeError, match="recording is off"):
            forward_ad.make_dual(x, x)
    with pytest.raises(RuntimeError, match="Trying to exit a forward AD level"):
        forward_ad.exit_dual_level()
