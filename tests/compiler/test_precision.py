"""Compiled functions below float32: close to float64, and what the plan says of it."""

import math
import os
import subprocess
import sys

import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import nn
from pellucid.compiler.plan import EagerStep
from pellucid.kernels.target import host_features
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


def bound_bfloat16(x, weight):
    """What rounding both operands to bf16 can cost a row of x W^T, with the rounding of sums."""
    half = 2.0**-9
    return (x.abs() @ weight.abs().T) * (2 * half + half * half + 1e-5)


def bound_int8(x, weight):
    """A step of x (half for rounding, half where the zero's byte is rounded) and half one of W."""
    step = (x.amax(1, keepdim=True).clamp(min=0) - x.amin(1, keepdim=True).clamp(max=0)) / 255
    other = weight.abs().amax(1) / 127
    cost = step * weight.abs().sum(1) + x.abs().sum(1, keepdim=True) * other / 2
    return (cost + weight.shape[1] * step * other / 2) * 1.001 + 1e-6


LIMITS = {"bfloat16": bound_bfloat16, "int8": bound_int8}
SHORT = {"bfloat16": "bf16", "int8": "int8"}
LOOSE = {"bfloat16": 1e-2, "int8": 3e-2}
"""Errors of one layer relative to the largest element."""


@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 1, 1), (1, 7, 33), (2, 8, 5), (17, 31, 64), (33, 130, 70), (200, 64, 96)]
)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("precision", LIMITS)
def test_linear_is_within_the_rounding_of_its_operands(m, k, n, bias, precision):
    torch.manual_seed(0)
    layer, x = nn.Linear(k, n, bias=bias), torch.randn(m, k)
    compiled, found, exact = compiled_and_exact(layer, x, precision=precision)
    assert found.dtype is torch.float32
    limit = LIMITS[precision](x.double(), layer.weight.detach().double())
    assert bool(((found.double() - exact).abs() <= limit).all())
    assert any(f"linear {SHORT[precision]}" in each for each in labels(compiled))


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
    dict(c=33, k=35, size=3, stride=1, padding=1, h=9, w=7),
    dict(c=34, k=35, size=3, stride=1, padding=0, h=9, w=7),
]


@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("precision", LIMITS)
def test_convolutions(case, batch, precision):
    torch.manual_seed(0)
    case = dict(case)
    c, k, size, h, w = (case.pop(name) for name in ("c", "k", "size", "h", "w"))
    size = (size, size) if isinstance(size, int) else size
    model = nn.Sequential(nn.Conv2d(c, k, size, **case), nn.ReLU())
    x = torch.randn(batch, c, h, w)
    compiled, found, exact = compiled_and_exact(model, x, precision=precision)
    assert error(found, exact) < LOOSE[precision]
    kinds = (f"conv {size[0]}x{size[1]} {SHORT[precision]}", "winograd F(2,3) bf16")
    assert any(each.startswith(kinds) for each in labels(compiled))


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (3, 3, 97, 65)])
@pytest.mark.parametrize("precision", LIMITS)
def test_resnet(shape, precision):
    torch.manual_seed(0)
    model, x = randomise(resnet18()), torch.randn(shape)
    compiled, found, exact = compiled_and_exact(model, x, precision=precision)
    assert error(found, exact) < 3 * LOOSE[precision]
    names = [each for each in labels(compiled) if each.startswith(("conv", "winograd"))]
    assert len(names) == 20 and all(SHORT[precision] in each for each in names)
    assert ("max pool bf16" in labels(compiled)) == (precision == "bfloat16")


def test_exact_forbids_winograd():
    model, x = nn.Conv2d(32, 32, 3, padding=1).eval(), torch.randn(1, 32, 9, 9)
    with torch.no_grad():
        for exact in (False, True):
            compiled = torch.compile(model, precision="bfloat16", exact=exact)
            compiled(x)
            assert ("winograd F(2,3) bf16" in str(compiled)) != exact


@pytest.mark.parametrize("precision", LIMITS)
def test_transformer_encoder_and_what_the_plan_says(precision):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", batch_first=True)
    model, x = nn.TransformerEncoder(layer, 2), torch.randn(2, 5, 64)
    compiled, found, exact = compiled_and_exact(model, x, precision=precision)
    assert error(found, exact) < LOOSE[precision]
    text = str(compiled)
    assert f"precision {precision}" in text and "beside float32 on the first inputs" in text
    measured = compiled.accuracy(x)
    assert 0 < measured.rms < LOOSE[precision] and 0 < measured.largest < LOOSE[precision]
    assert math.isclose(measured.largest, error(found, exact), rel_tol=0.05)
    plain = torch.compile(model)
    assert plain.accuracy(x).largest < 1e-5 and "precision float32" in str(plain)


@pytest.mark.parametrize("precision", LIMITS)
def test_products_with_a_fixed_matrix(precision):
    torch.manual_seed(0)
    w, x = torch.randn(24, 7), torch.randn(9, 24)
    compiled = torch.compile(lambda x: x @ w, precision=precision)
    with torch.no_grad():
        compiled(x)
        assert error(compiled(x), x.double() @ w.double()) < LOOSE[precision]
    assert f"mm {SHORT[precision]}" in labels(compiled)


def test_sums_that_32_bits_may_not_hold_are_float32s():
    layer, x = nn.Linear(70000, 2).eval(), torch.ones(1, 70000)
    with torch.no_grad():
        nn.init.constant_(layer.weight, 1.0)
        compiled = torch.compile(layer, precision="int8")
        compiled(x)
        assert error(compiled(x), layer.double()(x.double())) < 1e-5
    assert "linear" in labels(compiled) and "linear int8" not in labels(compiled)


@pytest.mark.parametrize("precision", LIMITS)
def test_special_numbers_pass(precision):
    model, x = nn.Linear(4, 3).eval(), torch.zeros(3, 4)
    with torch.no_grad():
        compiled = torch.compile(model, precision=precision)
        compiled(x)
        x[0, 1], x[1, 2] = float("inf"), float("nan")
        found = compiled(x)
    assert not found[0].isfinite().any() and bool(found[1].isnan().all())
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
    with pytest.raises(
        ValueError, match=r"has no precision .*\n  There are 'float32', 'bfloat16', 'int8'"
    ):
        torch.compile(nn.Linear(2, 2), precision=given)


def test_two_precisions_are_refused():
    with pytest.raises(ValueError, match="Give one of them"):
        torch.compile(nn.Linear(2, 2), precision="bfloat16", options={"precision": "float32"})


@pytest.mark.parametrize("precision", LIMITS)
def test_files_keep_the_precision(tmp_path, precision):
    torch.manual_seed(0)
    model, x = (
        nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 3)).eval(),
        torch.randn(2, 7),
    )
    compiled = torch.compile(model, precision=precision)
    with torch.no_grad():
        compiled(x)
        wanted = compiled(x)
    compiled.save(tmp_path / "plan")
    loaded = torch.load_compiled(tmp_path / "plan")
    assert torch.equal(loaded(x), wanted)
    assert f"precision {precision}" in str(loaded) and f"linear {SHORT[precision]}" in str(loaded)


def test_plans_of_an_autocast_are_its_own():
    model, x = nn.Linear(8, 4).eval(), torch.randn(2, 8)
    compiled = torch.compile(model)
    with torch.no_grad():
        plain = compiled(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low, eager = compiled(x), model(x)
        assert low.dtype is eager.dtype is torch.bfloat16 and torch.equal(low, eager)
        assert torch.equal(compiled(x), plain) and len(compiled.plans) == 2


@pytest.mark.parametrize("target", ["scalar", "avx2"])
def test_other_targets(target):
    if target != "scalar" and not host_features().get(target, False):
        pytest.skip(f"this CPU has no {target}")
    script = (
        "from tests.compiler import test_precision as t\n"
        "for precision in t.LIMITS:\n"
        "    t.test_linear_is_within_the_rounding_of_its_operands(3, 7, 33, True, precision)\n"
        "    for case in t.CONVOLUTIONS[:2]:\n"
        "        t.test_convolutions(case, 1, precision)\n"
        "compiled, *_ = t.compiled_and_exact(t.nn.Linear(2, 2), t.torch.ones(1, 2))\n"
        "assert 'no instructions for it' in str(compiled)\n"
    )
    environment = os.environ | {"PELLUCID_TARGET": target}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize("width", [1024, 2048, 4096])
def test_rows_a_page_apart(precision, width):
    """Such rows are spread, by the step that writes them or by a rounding."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 2048), nn.ReLU(), nn.Linear(2048, 4096), nn.GELU(),
        nn.Linear(4096, 3),
    )  # fmt: skip
    compiled, found, exact = compiled_and_exact(model, torch.randn(5, width), precision=precision)
    assert error(found, exact) < LOOSE[precision]
    assert labels(compiled).count("to bf16") == 0


def test_pixels_a_page_apart():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2048, 32, 1), nn.ReLU(), nn.Conv2d(32, 2048, 1))
    for precision in LIMITS:
        x = torch.randn(1, 2048, 3, 3)
        _, found, exact = compiled_and_exact(model, x, precision=precision)
        assert error(found, exact) < LOOSE[precision]


class Attention(nn.Module):
    """Queries of another length than keys, with a mask or a causal one, and values of a depth of
    their own.
    """

    def __init__(self, depth, causal):
        super().__init__()
        self.q, self.k = nn.Linear(32, 2 * depth), nn.Linear(32, 2 * depth)
        self.v = nn.Linear(32, 10)
        self.out, self.causal, self.depth = nn.Linear(10, 8), causal, depth

    def forward(self, x, y, mask):
        q = self.q(x).unflatten(-1, (2, self.depth)).transpose(1, 2)
        k = self.k(y).unflatten(-1, (2, self.depth)).transpose(1, 2)
        v = self.v(y).unflatten(-1, (2, 5)).transpose(1, 2)
        mask = None if self.causal else mask
        seen = F.scaled_dot_product_attention(q, k, v, mask, is_causal=self.causal)
        return self.out(seen.transpose(1, 2).flatten(2)), k.sum(-1)


@pytest.mark.parametrize(("depth", "name"), [(8, "attention bf16"), (7, "attention")])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [(1, 1), (5, 9), (40, 33)])
def test_attention(depth, name, causal, lengths):
    torch.manual_seed(0)
    n, m = lengths
    model = Attention(depth, causal).eval()
    inputs = torch.randn(2, n, 32), torch.randn(2, m, 32), torch.randn(n, m)
    compiled = torch.compile(model, precision="bfloat16")
    with torch.no_grad():
        compiled(*inputs)
        found = compiled(*inputs)
        exact = model.double()(*[each.double() for each in inputs])
    for one, other in zip(found, exact, strict=True):
        assert error(one, other) < 1e-2
    assert name in labels(compiled) and ("attention" in labels(compiled)) == (depth == 7)


def test_the_residual_stream_of_a_transformer_is_not_rounded():
    """Rounded in every layer, it would drift: its error would grow with the root of the depth."""
    torch.manual_seed(0)
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 8)
    x = torch.randn(1, 20, 64)
    compiled, found, exact = compiled_and_exact(model, x)
    rounding = float((x.bfloat16().double() - x.double()).norm() / x.double().norm())
    assert float((found.double() - exact).norm() / exact.norm()) < 3 * rounding
    assert "residual" in str(compiled)


class Alike(nn.Module):
    """Layers that read one value: some can be one product, some can not."""

    def __init__(self, n):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(20, n, bias=bias) for bias in (True, False, True))
        self.other, self.gate, self.last = nn.Linear(20, n + 1), nn.Linear(20, n), nn.Linear(n, 4)

    def forward(self, x):
        a, b = self.a(x), self.b(x)
        gated = F.silu(self.gate(x)) * a
        return self.last(b), a.reshape(-1), self.c(x), self.other(x), self.last(gated), b[..., 1:]


@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize("n", [5, 32, 38])
def test_layers_that_read_one_value_are_one_product(precision, n):
    torch.manual_seed(0)
    model, x = Alike(n).eval(), torch.randn(3, 7, 20)
    compiled = torch.compile(model, precision=precision)
    with torch.no_grad():
        compiled(x)
        found = compiled(x)
        exact = model.double()(x.double())
    for one, other in zip(found, exact, strict=True):
        assert error(one, other) < 2 * LOOSE[precision]
    assert f"21x{3 * n}x20" in str(compiled)  # a, b and c
    assert labels(compiled).count(f"linear {SHORT[precision]}") == 4
