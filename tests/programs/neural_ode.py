"""A neural ODE whose gradient is the adjoint equation in an autograd Function."""

import torch
import torch.nn as nn

torch.manual_seed(0)


class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        for m in self.net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=0.1)
                nn.init.constant_(m.bias, val=0)

    def forward(self, t, y):
        return self.net(y**3)


class Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y0, t, func, *ps):
        ctx.func = func
        with torch.no_grad():
            ys = [y0]
            for i in range(len(t) - 1):
                ys.append(ys[-1] + (t[i + 1] - t[i]) * func(t[i], ys[-1]))
            ys = torch.stack(ys)
        ctx.save_for_backward(t, ys, *ps)
        return ys

    @staticmethod
    def backward(ctx, *gs):
        (g,) = gs
        t, ys, *ps = ctx.saved_tensors
        func = ctx.func
        a = g[-1]
        gp = [torch.zeros_like(p) for p in ps]
        for i in range(len(t) - 2, -1, -1):
            with torch.enable_grad():
                y = ys[i].detach().requires_grad_(True)
                f = func(t[i], y)
                gy, *gq = torch.autograd.grad(f, (y, *ps), a, allow_unused=True)
            h = t[i + 1] - t[i]
            a = a + h * gy + g[i]
            gp = [p + h * q if q is not None else p for p, q in zip(gp, gq, strict=False)]
        return (a, None, None, *gp)


A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
t = torch.linspace(0.0, 2.0, 20)
y = [torch.tensor([[2.0, 0.0]])]
for _ in range(19):
    y.append(y[-1] + 0.1 * torch.mm(y[-1] ** 3, A) * 0.1)
Y = torch.stack(y)
f = ODEFunc()
opt = torch.optim.RMSprop(f.parameters(), lr=1e-3)
for i in range(10):
    opt.zero_grad()
    p = Adjoint.apply(Y[0], t, f, *f.parameters())
    l = torch.mean(torch.abs(p - Y))
    l.backward()
    opt.step()
    print(i, f"{l.item():.6f}")
