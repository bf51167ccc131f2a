"""Compiled training steps of convolutional networks against the same steps in eager mode."""

import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import nn
from pellucid.compiler.compiled import compile
from pellucid.compiler.plan import EagerStep

CASES = {
    "3x3": (lambda: [nn.Conv2d(3, 17, 3, padding=1), nn.ReLU(), nn.Conv2d(17, 33, 3)], (2, 13, 15)),
    "winograd": (lambda: [nn.Conv2d(3, 16, 1), nn.Conv2d(16, 40, 3, padding=1)], (3, 18, 21)),
    "strides": (lambda: [nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.Conv2d(16, 20, 3, 2, 1),
                         nn.Conv2d(20, 24, 1, 2)], (2, 33, 29)),
    "dilation": (lambda: [nn.Conv2d(3, 16, 3, padding=2, dilation=2), nn.Conv2d(16, 8, 3, 2)],
                 (2, 17, 16)),
    "groups": (lambda: [nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3, groups=4),
                        nn.Conv2d(16, 16, 3, groups=16)], (2, 14, 14)),
    "batch norm": (lambda: [nn.Conv2d(3, 19, 3), nn.BatchNorm2d(19), nn.ReLU(),
                            nn.BatchNorm2d(19, affine=False, momentum=0.3)], (2, 12, 11)),
    "without statistics": (lambda: [nn.BatchNorm2d(3, track_running_stats=False),
                                    nn.Conv2d(3, 8, 3)], (2, 12, 12)),
    "max pool": (lambda: [nn.Conv2d(3, 18, 3), nn.MaxPool2d(3, 2, 1), nn.ReLU(),
                          nn.MaxPool2d((2, 3), (1, 2))], (2, 15, 18)),
}  # fmt: skip


def steps_of(layers, shape, compiled):
    torch.manual_seed(0)
    model = nn.Sequential(*layers(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(5))
    n, h, w = shape
    model(torch.zeros(n, 3, h, w))
    chosen = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)

    def step(x, y):
        chosen.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        chosen.step()
        return loss

    function = compile(step) if compiled else step
    random = torch.Generator().manual_seed(1)
    losses = [
        function(torch.randn(n, 3, h, w, generator=random),
                 torch.randint(0, 5, (n,), generator=random)).item()
        for _ in range(4)
    ]  # fmt: skip
    return losses, model, function


@pytest.mark.parametrize("name", CASES)
def test_networks_are_trained_as_in_eager_mode(name):
    layers, shape = CASES[name]
    losses, wanted, _ = steps_of(layers, shape, False)
    found, model, compiled = steps_of(layers, shape, True)
    assert found == pytest.approx(losses, rel=1e-4)
    for (key, mine), other in zip(
        model.state_dict().items(), wanted.state_dict().values(), strict=True
    ):
        scale = max(float(other.abs().max()), 1e-3)
        assert float((mine - other).abs().max()) <= 2e-4 * scale, key
    for mine, other in zip(model.parameters(), wanted.parameters(), strict=True):
        scale = max(float(other.grad.abs().max()), 1e-4)
        assert float((mine.grad - other.grad).abs().max()) <= 1e-3 * scale
    (plan,) = [each.plan for each in compiled._training.steps.values()]
    labels = {s.label for s in plan.planner.steps if isinstance(s, EagerStep)}
    heavy = {"convolve", "convolve_input", "convolve_weight", "batch_normalise",
             "NativeBatchNormBackward0", "max_pool_choices", "spread_choices"}  # fmt: skip
    # Grouped convolution has no such kernel, nor batch norm whose input wants no gradient.
    assert name in ("groups", "without statistics") or not labels & heavy


def test_the_largest_of_equals_gets_the_gradient_that_eager_mode_gives():
    scale = torch.ones(1, requires_grad=True)
    x = torch.tensor([[0.0, 1, 1, 1], [1, 1, 0, float("nan")], [2, 2, 2, 2], [2, 3, 3, 3]])
    x = x[None, None].expand(1, 20, 4, 4).contiguous().requires_grad_()

    def step(weights):
        out = F.max_pool2d(x * scale, 3, 1, 1)
        (torch.nan_to_num(out) * weights).sum().backward()

    grads = []
    for function in (step, compile(step)):
        for _ in range(3):
            x.grad = scale.grad = None
            function(torch.arange(320.0).view(1, 20, 4, 4))
        grads.append(x.grad)
    torch.testing.assert_close(grads[1], grads[0])
