"""`autograd.Function` inside `vmap`: rules that are written, and rules that are generated."""

import numpy as np
import pytest
import torch

import pellucid
from tests.func.test_derivatives import pair, same

A = np.linspace(-1, 1, 12).reshape(3, 4)


def generated(t):
    class Cube(t.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, scale):
            return x**3 * scale

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, grad):
            x, scale = ctx.saved_tensors
            return grad * 3 * x**2 * scale, (grad * x**3).sum()

    return Cube.apply


def saves_its_output(t):
    class Exp(t.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, scale):
            return (x * scale).exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(output, *inputs)

        @staticmethod
        def backward(ctx, grad):
            out, x, scale = ctx.saved_tensors
            return grad * out * scale, (grad * out * x).sum()

    return Exp.apply


def written(t):
    class Double(t.autograd.Function):
        @staticmethod
        def forward(x, scale):
            return x * 2 * scale

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, grad):
            x, scale = ctx.saved_tensors
            return grad * 2 * scale, (grad * 2 * x).sum()

        @staticmethod
        def vmap(info, in_dims, x, scale):
            assert info.batch_size == 3
            return Double.apply(x.movedim(in_dims[0], 0), scale), 0

    return Double.apply


@pytest.mark.parametrize("make", [generated, saves_its_output, written])
@pytest.mark.parametrize("order", range(5))
def test_functions_inside_vmap(make, order):
    def run(t, x, s):
        f = make(t)
        loss = lambda r, s: (f(r, s) ** 2).sum()
        if order == 0:
            return t.func.vmap(f, (0, None))(x, s)
        if order == 1:
            return t.func.vmap(t.func.grad(loss), (0, None))(x, s)
        if order == 2:
            return t.func.grad(lambda x, s: t.func.vmap(loss, (0, None))(x, s).sum(), (0, 1))(x, s)
        if order == 3:
            return t.func.vmap(t.func.jacrev(t.func.grad(loss)), (0, None))(x, s)
        whole = lambda x: t.func.vmap(loss, (0, None))(x, s).sum()
        return t.func.jacrev(t.func.grad(whole))(x)

    (x, tx), (s, ts) = pair(A), pair(1.5)
    same(run(pellucid, x, s), run(torch, tx, ts))


def test_functions_without_a_rule_are_refused():
    class Plain(pellucid.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

    with pytest.raises(RuntimeError, match="it does not have vmap support"):
        pellucid.vmap(Plain.apply)(pellucid.ones(2, 3))
    Plain.generate_vmap_rule = True
    with pytest.raises(RuntimeError, match="must override the setup_context staticmethod"):
        pellucid.vmap(Plain.apply)(pellucid.ones(2, 3))
