"""Elementwise operators as expressions: eager mode's values, those at the edges too."""

import numpy as np
import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid.compiler.compiled import compile
from pellucid.compiler.plan import EagerStep

EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 1e-8, -1e-8, 1e30, -1e30, 88.7, -103.9, 0.5,
         -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, 20.0, 20.5, 1.5707964, 3.1415927, 1e5, 8e8]  # fmt: skip

ONE = {
    "exp": torch.exp, "expm1": torch.expm1, "log": torch.log, "log1p": torch.log1p,
    "sin": torch.sin, "cos": torch.cos,
    "tanh": torch.tanh, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "square": torch.square,
    "cube": lambda x: x.pow(3), "root": lambda x: x.pow(0.5), "trunc": torch.trunc,
    "round": torch.round, "floor": torch.floor, "ceil": torch.ceil, "abs": torch.abs,
    "relu": F.relu, "relu6": F.relu6, "hardtanh": F.hardtanh, "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid, "elu": F.elu, "celu": lambda x: F.elu(x, 0.5), "selu": F.selu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2), "softplus": F.softplus,
    "softplus of 2": lambda x: F.softplus(x, 2, 5), "mish": F.mish, "silu": F.silu,
    "log_sigmoid": F.logsigmoid, "softsign": F.softsign, "sigmoid": torch.sigmoid,
    "clamp": lambda x: x.clamp(-1, 2), "clamp_min": lambda x: x.clamp_min(0.5),
    "clamp_max": lambda x: x.clamp_max(0.5), "to bool": lambda x: x.bool(),
    "not": lambda x: ~(x > 0), "rsub": lambda x: 1 - x, "rdiv": lambda x: 2 / x,
    "alpha": lambda x: torch.add(x, x, alpha=3),
}  # fmt: skip
TWO = {
    "comparisons": lambda x, y: ((x > y), (x >= y), (x < y), (x <= y), (x == y), (x != y)),
    "truth": lambda x, y: ((x > 0) & (y > 0), (x > 0) | (y > 0), (x > 0) ^ (y > 0),
                           torch.logical_and(x > 0, y > 0)),
    "where": lambda x, y: torch.where(x > y, x * 2, y), "numbers": lambda x, y: torch.where(
        x > y, x, 0.5),
    "masked_fill": lambda x, y: x.masked_fill(y > 0, -2.0),
    "counted": lambda x, y: (x > y).float() * 2 + y,
    "maximum": torch.maximum, "minimum": torch.minimum,
    "addcmul": lambda x, y: torch.addcmul(x, x, y, value=0.5),
    "lerp": lambda x, y: (torch.lerp(x, y, 0.25), torch.lerp(x, y, 0.75)),
}  # fmt: skip


def check(function, *args):
    compiled = compile(function)
    with torch.no_grad():
        wanted, first, second = function(*args), compiled(*args), compiled(*args)
    plan = next(iter(compiled.plans.values())).plan
    assert [s.label for s in plan.planner.steps if isinstance(s, EagerStep)] == []
    flat = lambda r: list(r) if isinstance(r, tuple) else [r]
    for eager, *others in zip(flat(wanted), flat(first), flat(second), strict=True):
        for other in others:
            assert (other.dtype, other.shape) == (eager.dtype, eager.shape)
            np.testing.assert_allclose(other.numpy(), eager.numpy(), rtol=4e-6, atol=1e-7)
            if eager.is_floating_point():
                zero = (eager == 0).numpy()
                assert (np.signbit(other.numpy()) == np.signbit(eager.numpy()))[zero].all()


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_tensor(name):
    x = np.random.default_rng(0).standard_normal(37).astype(np.float32) * 3
    check(ONE[name], torch.tensor(np.concatenate([x, np.float32(EDGES)])))


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_tensors(name):
    x, y = np.meshgrid(np.float32([*EDGES, 0.25]), np.float32([*EDGES, 0.25]))
    with np.errstate(all="ignore"):
        check(TWO[name], torch.tensor(x[:9]), torch.tensor(y[:9]))


def test_masks_of_bools_in_any_layout():
    x, mask = torch.randn(2, 3, 10, 10), torch.rand(10, 10) > 0.5
    check(lambda x: x.masked_fill(mask, 0.0), x)
    check(lambda x, m: x.masked_fill(m[None, None], -1.0), x, mask)
    check(lambda x, m: torch.where(m.t(), x, x * 2), x, mask)
    check(lambda x, m: torch.where(m[:, :1], x, x * 2), x, mask)
    check(lambda m: ((~m).float(), m | ~m.t(), ~m[::2, ::3]), mask)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_whole_numbers_become_floats(dtype):
    mask = (torch.rand(2, 37) > 0.5).to(dtype) * 7 - 3
    big = torch.tensor([2**24 + 1, -(2**31), 2**31 - 1], dtype=dtype)
    check(
        lambda x, m: x + (1.0 - m[:, None, :].to(torch.float32)) * -2.0, torch.randn(2, 3, 37), mask
    )
    check(lambda m: m.t().float() * 0.5, mask)
    check(lambda m: m.float(), big)


def test_bools_from_other_types_stay_with_eager_mode():
    counts = torch.arange(6)
    compiled = compile(lambda x, n: torch.where(n > 2, x, -x))
    x = torch.randn(6)
    for _ in range(2):
        assert torch.equal(compiled(x, counts), torch.where(counts > 2, x, -x))
