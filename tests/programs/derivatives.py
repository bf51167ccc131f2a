"""What autograd is asked for beside training: own functions, higher derivatives, hooks, physics.

A Function with its own backward, Newton's method with Hessian-vector products, a Gaussian process
fitted by LBFGS, an ordinary differential equation fitted through its solver, checkpoints that
trade memory for time, and what is printed of a graph.
"""

import math
from itertools import pairwise

import torch
import torch.nn as nn
from torch.autograd import Function, grad, gradcheck
from torch.autograd.functional import hessian, jacobian
from torch.utils.checkpoint import checkpoint


class Legendre(Function):
    """The third Legendre polynomial."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return 0.5 * (5 * x**3 - 3 * x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * x**2 - 1)


def polynomial():
    x = torch.linspace(-math.pi, math.pi, 500)
    y = torch.sin(x)
    a, b, c, d = (torch.full((), value, requires_grad=True) for value in (0.0, -1.0, 0.0, 0.3))
    for step in range(100):
        loss = (a + b * Legendre.apply(c + d * x) - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for parameter in (a, b, c, d):
                parameter -= 2e-5 * parameter.grad
                parameter.grad = None
        if step % 20 == 19:
            print(f"polynomial {step} {loss.item():.5f}")
    print(gradcheck(Legendre.apply, (torch.randn(3, dtype=torch.double, requires_grad=True),)))


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def newton():
    """Newton's method whose linear systems are solved by conjugate gradients."""
    x = torch.tensor([-1.2, 1.0, 0.5], dtype=torch.float64, requires_grad=True)
    for _ in range(8):
        (g,) = grad(rosenbrock(x), x, create_graph=True)
        step, rest = torch.zeros_like(x), -g.detach()
        direction = rest.clone()
        for _ in range(3):
            (along,) = grad(g @ direction, x, retain_graph=True)
            alpha = rest @ rest / (direction @ along)
            step, new = step + alpha * direction, rest - alpha * along
            direction, rest = new + (new @ new) / (rest @ rest) * direction, new
        x = (x + 0.7 * step).detach().requires_grad_()
        print(f"newton {rosenbrock(x).item():.8f}")
    print(torch.linalg.eigvalsh(hessian(rosenbrock, x)))
    print(jacobian(lambda v: torch.stack([v.prod(), v.sin().sum()]), x))


def gaussian_process():
    x = torch.linspace(0, 1, 20, dtype=torch.float64).unsqueeze(-1)
    y = torch.sin(x * 2 * math.pi).squeeze() + 0.1 * torch.randn(20, dtype=torch.float64)
    scale = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    noise = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([scale, noise], max_iter=5, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        kernel = torch.exp(-0.5 * torch.cdist(x, x) ** 2 / scale**2)
        factor = torch.linalg.cholesky(kernel + noise.exp() * torch.eye(20, dtype=x.dtype))
        alpha = torch.cholesky_solve(y.unsqueeze(-1), factor).squeeze(-1)
        loss = 0.5 * y @ alpha + factor.diagonal().log().sum()
        loss.backward()
        return loss

    for _ in range(3):
        print(f"process {optimizer.step(closure).item():.6f}")
    print(f"scale {scale.item():.5f} noise {noise.exp().item():.5f}")


def differential_equation():
    """A spiral, and a network for its slope, trained through Runge-Kutta steps."""

    def solve(slope, y, times):
        path = [y]
        for t, after in pairwise(times):
            h = after - t
            k1 = slope(y)
            k2 = slope(y + h / 2 * k1)
            k3 = slope(y + h / 2 * k2)
            k4 = slope(y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            path.append(y)
        return torch.stack(path)

    spiral = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
    times = torch.linspace(0.0, 1.0, 10)
    with torch.no_grad():
        truth = solve(lambda y: torch.mm(y**3, spiral), torch.tensor([[2.0, 0.0]]), times)
    net = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2))
    optimizer = torch.optim.RMSprop(net.parameters(), lr=2e-3)
    for step in range(6):
        optimizer.zero_grad()
        loss = (solve(lambda y: net(y**3), truth[0], times) - truth).abs().mean()
        loss.backward()
        optimizer.step()
        print(f"equation {step} {loss.item():.6f}")


def graph():
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(5, 4, requires_grad=True)
    out = checkpoint(net, x, use_reentrant=False).sum()
    out.backward()
    print(f"checkpoint {out.item():.5f} {x.grad.norm():.5f} {net[0].weight.grad.norm():.5f}")
    w = torch.randn(3, requires_grad=True)
    handle = w.register_hook(lambda g: g * 2)
    y = (w * 3).exp()
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    handle.remove()
    print(w.grad, torch.equal(y.grad, torch.ones(3)), y.grad_fn.name(), w.is_leaf, y.is_leaf)
    y.sum().backward()
    try:
        y.sum().backward()
    except RuntimeError as error:
        print(str(error).split(". ")[0])
    try:
        w += 1
    except RuntimeError as error:
        print(str(error).splitlines()[0])


def main():
    torch.manual_seed(0)
    polynomial()
    newton()
    gaussian_process()
    differential_equation()
    graph()


if __name__ == "__main__":
    main()
