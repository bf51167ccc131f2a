"""Model-agnostic meta-learning: gradients through two steps of gradient descent."""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F

torch.manual_seed(0)
params = OrderedDict(
    w1=(torch.randn(20, 1) * 0.5).requires_grad_(),
    b1=torch.zeros(20, requires_grad=True),
    w2=(torch.randn(1, 20) * 0.3).requires_grad_(),
    b2=torch.zeros(1, requires_grad=True),
)


def net(x, p):
    return F.linear(torch.tanh(F.linear(x, p["w1"], p["b1"])), p["w2"], p["b2"])


opt = torch.optim.Adam(params.values(), lr=1e-2)
for it in range(10):
    meta = 0.0
    for _task in range(3):
        a, ph = torch.rand(1).item() * 4 + 0.1, torch.rand(1).item() * math.pi
        x, xq = torch.rand(10, 1) * 10 - 5, torch.rand(10, 1) * 10 - 5
        fast = params
        for _ in range(2):
            loss = F.mse_loss(net(x, fast), a * torch.sin(x + ph))
            grads = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
            fast = OrderedDict(
                (n, p - 0.01 * g) for (n, p), g in zip(fast.items(), grads, strict=False)
            )
        meta = meta + F.mse_loss(net(xq, fast), a * torch.sin(xq + ph))
    opt.zero_grad()
    meta.backward()
    torch.nn.utils.clip_grad_norm_(params.values(), 10.0)
    opt.step()
    print(it, f"{meta.item():.5f}")
