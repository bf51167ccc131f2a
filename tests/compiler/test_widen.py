"""Models in bfloat16 and functions under autocast run on kernels, nearer to float64 than eager."""

import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import nn
from pellucid.models import resnet18
from tests.compiler.test_compile import eager_steps, flat, randomise


class Mixed(nn.Module):
    """Products, normalisation, views, sums, an output that other outputs come from."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm = nn.Linear(8, 16), nn.Linear(16, 5), nn.LayerNorm(16)
        self.c, self.bn = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.norm(F.gelu(self.a(x)))
        scores = (y @ y.transpose(-1, -2)).softmax(-1)
        image = F.max_pool2d(F.relu(self.bn(self.c(x[None, None]))), 2)
        return self.b(y) + x[:, :5], scores, image.mean(), y, (y * 2 + 1)[1:], image


def errors(found, exact):
    return [
        float((a.double() - b).abs().max() / b.abs().max())
        for a, b in zip(flat(found), flat(exact), strict=True)
    ]


def check(module, x, autocast):
    """No operator in eager mode; dtypes, shapes and strides of eager mode; errors at most its."""
    exact = module.double()(x.double())
    module = module.float() if autocast else module.bfloat16()
    x = x if autocast else x.bfloat16()
    compiled = torch.compile(module)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        eager, first, second = module(x), compiled(x), compiled(x)
    for wanted, *found in zip(flat(eager), flat(first), flat(second), strict=True):
        for each in found:
            assert (each.dtype, each.shape, each.stride()) == (
                wanted.dtype, wanted.shape, wanted.stride())  # fmt: skip
    for ours, theirs in zip(errors(second, exact), errors(eager, exact), strict=True):
        assert ours <= 1.5 * theirs + 4e-3
    assert eager_steps(compiled) == []
    return compiled


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("rows", [3, 4, 9])
def test_every_operator_has_a_kernel(autocast, rows):
    torch.manual_seed(0)
    with torch.no_grad():
        compiled = check(Mixed().eval(), torch.randn(rows, 8), autocast)
    assert "linear bf16" in str(compiled) and "conv 3x3 bf16" in str(compiled)


@pytest.mark.parametrize("autocast", [False, True])
def test_resnet(autocast):
    torch.manual_seed(0)
    with torch.no_grad():
        check(randomise(resnet18()), torch.randn(2, 3, 64, 64), autocast)


@pytest.mark.parametrize("autocast", [False, True])
def test_transformer_encoder(autocast):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", batch_first=True)
    with torch.no_grad():
        check(nn.TransformerEncoder(layer, 2).eval(), torch.randn(2, 5, 64), autocast)


def same(function, *args):
    compiled = torch.compile(function)
    with torch.no_grad():
        wanted, first, second = function(*args), compiled(*args), compiled(*args)
    for a, *others in zip(flat(wanted), flat(first), flat(second), strict=True):
        for b in others:
            assert a.dtype is b.dtype and torch.equal(a, b)


def test_casts_round():
    x = torch.randn(5, 7)
    same(lambda x: x.bfloat16().float() * 2, x)
    same(lambda x: x.bfloat16(), x)
    same(lambda x: (x.bfloat16(), x.bfloat16()[1:], x.bfloat16().int()), x)
    same(lambda x: x.float().reshape(7, 5), x.bfloat16())
    same(lambda x: (x, x.float(), x[2], x.reshape(-1)), x.bfloat16())


def test_bits_writes_and_scalars_are_as_in_eager_mode():
    x = torch.randn(4, 6).bfloat16()
    same(lambda x: (x + 1).view(torch.int16), x)
    same(lambda x: x.amax() - x, x)

    def write(x):
        x.mul_(2)
        return x + 1

    compiled = torch.compile(write)
    with torch.no_grad():
        for _ in range(2):
            one, other = x.clone(), x.clone()
            assert torch.equal(write(one), compiled(other)) and torch.equal(one, other)


def test_constants_of_the_function_are_returned_as_they_are():
    held = torch.randn(3).bfloat16()
    same(lambda x: (held, x + held), torch.randn(3).bfloat16())


def test_training_keeps_its_dtypes():
    torch.manual_seed(0)
    model, x = nn.Linear(6, 3, dtype=torch.bfloat16), torch.randn(4, 6).bfloat16()
    compiled = torch.compile(model)
    for function in (model, compiled, compiled):
        model.zero_grad()
        function(x).sum().backward()
        assert model.weight.grad.dtype is torch.bfloat16
        found = model.weight.grad.clone()
    model.zero_grad()
    model(x).sum().backward()
    assert torch.equal(found, model.weight.grad)
