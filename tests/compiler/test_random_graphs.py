"""Random functions of the operators that passes fuse, move and write with others: compiled and
eager agree, whatever the graph, with inputs in any layout and for a second size.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid as torch
import pellucid.nn.functional as F
from pellucid.compiler.compiled import compile

WIDTH = 12
_generator = torch.Generator().manual_seed(5)
WEIGHTS = [torch.randn(WIDTH, WIDTH, generator=_generator) / 3 for _ in range(3)]
BIAS = torch.randn(WIDTH, generator=_generator)

# Each takes values (rows, WIDTH) and gives one of the same shape.
ONE = {
    "relu": F.relu, "gelu": F.gelu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "silu": F.silu,
    "hardswish": F.hardswish, "elu": F.elu, "neg": torch.neg, "abs": torch.abs,
    "square": lambda x: (x * 0.5).square(), "half": lambda x: x * 0.5 + 1,
    "clamp": lambda x: x.clamp(-1, 1), "softmax": lambda x: x.softmax(-1),
    "norm": lambda x: F.layer_norm(x, (WIDTH,), BIAS, BIAS),
    "linear": lambda x: F.linear(x, WEIGHTS[0], BIAS),
    "plain": lambda x: F.linear(x, WEIGHTS[1]),
    "matmul": lambda x: x @ WEIGHTS[2],
    "heads": lambda x: x.view(-1, 3, 4).transpose(1, 2).reshape(-1, WIDTH),
    "flip ends": lambda x: torch.cat([x[:, 5:], x[:, :5]], 1),
    "mean": lambda x: x - x.mean(-1, keepdim=True), "sum": lambda x: x / (1 + x.abs().sum(
        0, keepdim=True)),
    "mask": lambda x: x.masked_fill(x > 1, -0.5), "copy": lambda x: x.clone(),
    "stack": lambda x: torch.stack([x, x * 2], 2)[..., 1], "roll": lambda x: torch.roll(x, 2, 1),
    "attend": lambda x: F.scaled_dot_product_attention(*[x.view(1, -1, 3, 4).transpose(1, 2)] * 3)
    .transpose(1, 2).reshape(-1, WIDTH),
    "conv": lambda x: F.conv1d(x[None].transpose(1, 2), WEIGHTS[0][:, :, None], BIAS)[0].t(),
}  # fmt: skip
TWO = {
    "add": torch.add, "sub": torch.sub, "mul": lambda x, y: x * torch.tanh(y),
    "where": lambda x, y: torch.where(x > y, x, y * 0.5), "maximum": torch.maximum,
    "product": lambda x, y: x @ torch.tanh(y.t() @ y) / WIDTH,
}  # fmt: skip

steps = st.one_of(
    st.tuples(st.sampled_from(sorted(ONE)), st.integers(0, 30)),
    st.tuples(st.sampled_from(sorted(TWO)), st.integers(0, 30), st.integers(0, 30)),
)


def program(plan, wanted, in_place):
    def run(x):
        values = [x]
        for name, *places in plan:
            chosen = [values[place % len(values)] for place in places]
            values.append((ONE if len(chosen) == 1 else TWO)[name](*chosen))
        if in_place:
            values[-1] = values[-1].clone()
            values[-1][:, ::2] += values[-1][:, 1::2]
        return [values[-1], *[values[place % len(values)] for place in wanted]]

    return run


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    plan=st.lists(steps, min_size=1, max_size=9),
    wanted=st.lists(st.integers(0, 30), max_size=2),
    in_place=st.booleans(),
    layout=st.sampled_from(["rows", "columns", "every second"]),
)
def test_compiled_agrees_with_eager(plan, wanted, in_place, layout):
    function = program(plan, wanted, in_place)
    compiled = compile(function)
    for rows in (7, 7, 20, 1):
        x = torch.randn(rows, WIDTH, generator=_generator)
        if layout == "columns":
            x = x.t().contiguous().t()
        elif layout == "every second":
            x = torch.cat([x, x], 1)[:, ::2]
        with torch.no_grad():
            for eager, ours in zip(function(x), compiled(x), strict=True):
                assert ours.shape == eager.shape and ours.stride() == eager.stride()
                scale = max(float(eager.abs().max()), 1.0)
                # Norms of rows that hardly vary magnify rounding; a wrong graph is far off.
                assert float((eager - ours).abs().max()) <= 1e-3 * scale
