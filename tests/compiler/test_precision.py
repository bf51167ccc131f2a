"""Compiled functions below float32: close to float64, and what the plan says of it."""

import math

import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import nn
from pellucid.compiler.plan import EagerStep
from pellucid.models import resnet18
from tests.compiler.test_compile import randomise


def compiled_and_exact(module, *inputs, precision="bfloat16"):
    """The compiled module, its result the second time, and float64's."""
    module = module.eval()
    compiled = torch.compile(module, precision=precision)
    with torch.no_grad():
        compiled(*inputs)
        found = compiled(*inputs)
        double = [x.double() if x.is_floating_point() else x for x in inputs]
        exact = module.double()(*double)
        module.float()
    return compiled, found, exact


def error(found, exact):
    return float((found.double() - exact).abs().max() / exact.abs().max())


def labels(compiled):
    plan = next(iter(compiled.plans.values())).plan
    assert not [step.label for step in plan.planner.steps if isinstance(step, EagerStep)]
    return [step.label for step in plan.planner.steps]


def bound(x, weight):
    """What rounding both operands to bf16 can cost a row of x W^T, with the rounding of sums."""
    half = 2.0**-9
    return (x.double().abs() @ weight.double().abs().T) * (2 * half + half * half + 1e-5)


@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 1, 1), (1, 7, 33), (2, 8, 5), (17, 31, 64), (33, 130, 70), (200, 64, 96)]
)
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_within_the_rounding_of_its_operands(m, k, n, bias):
    torch.manual_seed(0)
    layer, x = nn.Linear(k, n, bias=bias), torch.randn(m, k)
    compiled, found, exact = compiled_and_exact(layer, x)
    assert found.dtype is torch.float32
    assert bool(((found.double() - exact).abs() <= bound(x, layer.weight.detach())).all())
    assert any("linear bf16" in each for each in labels(compiled))


def test_chains_keep_bf16_between_products():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(48, 64), nn.GELU(), nn.Linear(64, 47), nn.Linear(47, 10))
    compiled, found, exact = compiled_and_exact(model, torch.randn(3, 5, 48))
    assert error(found, exact) < 2e-2
    # one rounding for the input, and one for rows of 47, which are no whole words
    assert labels(compiled).count("to bf16") == 2


class Branches(nn.Module):
    """Values that are read by products, by other operators, through views, and from outside."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(16, 8)

    def forward(self, x):
        y = F.relu(self.a(x))
        z = self.b(y) + y
        left, right = z.reshape(-1, 4, 2, 16).transpose(1, 2).unbind(1)
        return self.c(left), self.c(right[:, 1:]), y.mean(-1), self.b(z), z[..., 1:].sum()


def test_values_read_in_both_precisions():
    torch.manual_seed(0)
    model, x = Branches().eval(), torch.randn(3, 4, 32)
    compiled = torch.compile(model, precision="bfloat16")
    with torch.no_grad():
        compiled(x)
        for found, exact in zip(compiled(x), model(x), strict=True):
            assert found.shape == exact.shape and error(found, exact.double()) < 2e-2


CONVOLUTIONS = [
    dict(c=3, k=16, size=7, stride=2, padding=3, h=31, w=30),
    dict(c=16, k=33, size=3, stride=1, padding=1, h=9, w=11),
    dict(c=5, k=7, size=(3, 2), stride=(2, 1), padding=(1, 0), h=9, w=11),
    dict(c=20, k=32, size=1, stride=1, padding=0, h=7, w=7),
    dict(c=20, k=32, size=1, stride=2, padding=0, h=9, w=9),
    dict(c=24, k=12, size=3, stride=1, padding=2, dilation=2, groups=3, h=9, w=9),
    dict(c=64, k=64, size=3, stride=1, padding=1, h=30, w=30),
]


@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("batch", [1, 3])
def test_convolutions(case, batch):
    torch.manual_seed(0)
    case = dict(case)
    c, k, size, h, w = (case.pop(name) for name in ("c", "k", "size", "h", "w"))
    model = nn.Sequential(nn.Conv2d(c, k, size, **case), nn.ReLU())
    compiled, found, exact = compiled_and_exact(model, torch.randn(batch, c, h, w))
    assert error(found, exact) < 1e-2
    assert any(" bf16" in each for each in labels(compiled))


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (3, 3, 97, 65)])
def test_resnet(shape):
    torch.manual_seed(0)
    compiled, found, exact = compiled_and_exact(randomise(resnet18()), torch.randn(shape))
    assert error(found, exact) < 3e-2
    names = labels(compiled)
    assert "max pool bf16" in names and sum("conv" in each for each in names) == 20
    assert all("bf16" in each for each in names if "conv" in each)


def test_transformer_encoder_and_what_the_plan_says():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", batch_first=True)
    model, x = nn.TransformerEncoder(layer, 2), torch.randn(2, 5, 64)
    compiled, found, exact = compiled_and_exact(model, x)
    assert error(found, exact) < 2e-2
    text = str(compiled)
    assert "precision bfloat16" in text and "beside float32 on the first inputs" in text
    measured = compiled.accuracy(x)
    assert 0 < measured.rms < 1e-2 and 0 < measured.largest < 2e-2
    assert math.isclose(measured.largest, error(found, exact), rel_tol=0.05)
    plain = torch.compile(model)
    assert plain.accuracy(x).largest < 1e-5 and "precision float32" in str(plain)


def test_special_numbers_pass():
    model, x = nn.Linear(4, 3).eval(), torch.zeros(3, 4)
    with torch.no_grad():
        compiled = torch.compile(model, precision="bfloat16")
        compiled(x)
        x[0, 1], x[1, 2] = float("inf"), float("nan")
        found = compiled(x)
    assert bool(found[0].isinf().all()) and bool(found[1].isnan().all())
    assert bool(found[2].isfinite().all())


def test_precision_is_asked_for_by_name_dtype_or_option():
    model, x = nn.Linear(4, 4).eval(), torch.randn(2, 4)
    with torch.no_grad():
        for given in (
            {"precision": torch.bfloat16}, {"options": {"precision": "bfloat16"}},
            {"options": {"precision": torch.bfloat16, "max_autotune": True}},
        ):  # fmt: skip
            compiled = torch.compile(model, **given)
            compiled(x)
            assert compiled.precision == "bfloat16" and "linear bf16" in str(compiled)
        decorated = torch.compile(precision="bfloat16")(model)
        assert decorated.precision == "bfloat16"


@pytest.mark.parametrize("given", ["half", "fp16", torch.float16, 16])
def test_unknown_precisions_are_refused(given):
    with pytest.raises(ValueError, match=r"has no precision .*\n  There are 'float32', 'bfloat16'"):
        torch.compile(nn.Linear(2, 2), precision=given)


def test_two_precisions_are_refused():
    with pytest.raises(ValueError, match="Give one of them"):
        torch.compile(nn.Linear(2, 2), precision="bfloat16", options={"precision": "float32"})


def test_files_keep_the_precision(tmp_path):
    torch.manual_seed(0)
    model, x = (
        nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 3)).eval(),
        torch.randn(2, 7),
    )
    compiled = torch.compile(model, precision="bfloat16")
    with torch.no_grad():
        compiled(x)
        wanted = compiled(x)
    compiled.save(tmp_path / "plan")
    loaded = torch.load_compiled(tmp_path / "plan")
    assert torch.equal(loaded(x), wanted)
    assert "precision bfloat16" in str(loaded) and "linear bf16" in str(loaded)
