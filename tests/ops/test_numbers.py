"""Python numbers at the edges of what dtypes hold, beside PyTorch."""

import pytest
import torch

import pellucid

BIG = [2**63 - 1, 2**63, 2**64 - 1, -(2**63), 2**64, -(2**63) - 1]
CALLS = {
    "add": lambda x, v: x + v,
    "radd": lambda x, v: v - x,
    "mul": lambda x, v: x * v,
    "div": lambda x, v: x / v,
    "less": lambda x, v: x < v,
    "clamp": lambda x, v: x.clamp(max=v),
    "add_": lambda x, v: x.clone().add_(v),
    "remainder": lambda x, v: x % v,
    "floor_divide": lambda x, v: x // v,
}
ACTIVATIONS = ["elu", "celu", "leaky_relu", "softplus", "hardshrink", "softshrink"]
SETTINGS = [2j, 2**70, None, True, "a", float("nan"), -float("inf"), 0.0, [1.0]]


def outcome(call):
    """What a call gives: its value, or the type and first sentence of its error."""
    try:
        out = call()
    except Exception as error:
        return type(error).__name__, str(error).split("\n")[0]
    values = out.reshape(-1).tolist()  # -0.0 and the last bit are no matter of numbers
    return str(out.dtype), out.shape, [f"{v + 0.0:.5g}" for v in values]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", ["float32", "float64", "int64"])
@pytest.mark.parametrize("value", BIG)
def test_integers_near_64_bits(name, kind, value):
    theirs, ours = (
        outcome(lambda e=engine: CALLS[name](e.ones(2, dtype=getattr(e, kind)), value))
        for engine in (torch, pellucid)
    )
    assert ours == theirs


@pytest.mark.parametrize("kind", ["uint8", "int8", "int32", "int64", "float16", "bfloat16", "bool"])
@pytest.mark.parametrize("value", [300, 2**63, -1, 1e5, 1e300, float("inf"), 1.5])
def test_alpha_and_fills_that_do_not_fit(kind, value):
    for call in (
        lambda e: e.add(*[e.ones(1, dtype=getattr(e, kind))] * 2, alpha=value),
        lambda e: e.zeros(1, dtype=getattr(e, kind)).fill_(value),
        lambda e: e.full((1,), value, dtype=getattr(e, kind)),
        lambda e: e.zeros(1, dtype=getattr(e, kind)).masked_fill(e.tensor([True]), value),
    ):
        theirs, ours = (outcome(lambda e=engine, c=call: c(e)) for engine in (torch, pellucid))
        assert ours == theirs


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("value", SETTINGS, ids=str)
def test_settings_of_activations(name, value):
    theirs, ours = (
        outcome(lambda e=engine: getattr(e.nn.functional, name)(e.tensor([1.0, -2.0]), value))
        for engine in (torch, pellucid)
    )
    assert ours == theirs


def test_a_tensor_stands_for_a_setting():
    for engine in (torch, pellucid):
        x = engine.tensor([1.0, -2.0])
        two = engine.tensor(2.0)
        for name in ("elu", "celu", "leaky_relu"):
            function = getattr(engine.nn.functional, name)
            assert function(x, two).tolist() == function(x, 2.0).tolist()


@pytest.mark.parametrize(
    "call",
    [
        lambda e, x: e.nn.functional.relu(x, True, 3),
        lambda e, x: e.nn.functional.relu(x, True, inplace=True),
        lambda e, x: e.nn.functional.elu(x, 1.0, False, 3),
        lambda e, x: e.nn.functional.rrelu_(x.clone()),
        lambda e, x: e.rrelu_(x.clone(), 0.1, 0.3, False),
        lambda e, x: e.nn.functional.soft_margin_loss(x, e.ones(3, 2)),
        lambda e, x: e.nn.functional.soft_margin_loss(e.ones(3, 2), x),
        lambda e, x: e.promote_types(x, e.float32),
        lambda e, x: e.can_cast(e.float32, 1),
        lambda e, x: x.bool(3),
        lambda e, x: x.cdouble(e.int64, 2),
        lambda e, x: x.half(memory_format=1),
        lambda e, x: x.int(memory_format=e.preserve_format),
        lambda e, x: e.histogram(x)[0],
        lambda e, x: x.type(e.tensor([1])),
        lambda e, x: x.type(int),
        lambda e, x: e._assert(x.ndim == 2, f"expected 2D, got {x.ndim}D"),
        lambda e, x: [x, e._assert(x.ndim == 1, "never")][0],
        lambda e, x: x.type(e.LongTensor),
    ],
)
def test_calls_that_once_differed(call):
    theirs, ours = (outcome(lambda e=e: call(e, e.tensor([1.0, -2.0]))) for e in (torch, pellucid))
    assert ours == theirs


def test_formats_that_are_none():
    x = pellucid.ones(2)
    with pytest.raises(ValueError, match="is_contiguous: no memory format 3; there are"):
        x.is_contiguous(3)
    with pytest.raises(TypeError, match=r"set_\(\) received an invalid .* got \(list\)"):
        x.set_([1])
