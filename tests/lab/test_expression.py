"""The reader of expressions executes arithmetic and nothing else."""

import builtins
import math

import numpy as np
import pytest

import pellucid
from pellucid.lab import ExpressionError, read_expression, target_of

X = pellucid.linspace(-1.5, 2, 8, dtype=pellucid.float64)


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("sin(2*pi*x)", lambda x: math.sin(2 * math.pi * x)),
        ("abs(x) - x^2/3 + 1e-3", lambda x: abs(x) - x**2 / 3 + 1e-3),
        ("-x**2", lambda x: -(x**2)),
        ("1/(1+25*x**2)", lambda x: 1 / (1 + 25 * x**2)),
        ("(x < 0) * x + (x >= 0) * 2", lambda x: x if x < 0 else 2),
        ("where(x > 1, exp(x), tanh(x))", lambda x: math.exp(x) if x > 1 else math.tanh(x)),
        ("max(x, 0) + min(x, e)", lambda x: max(x, 0) + min(x, math.e)),
        ("x % 0.5", lambda x: x % 0.5),
        ("2*π - x - 1 - 2", lambda x: 2 * math.pi - x - 3),
        ("x / 2 / 3 * 4 ** 2 ** 0.5", lambda x: x / 6 * 4 ** (2**0.5)),
        ("+".join(["x"] * 900), lambda x: 900 * x),
        ("step(x) + relu(x) + sign(x)", lambda x: (x >= 0) + max(x, 0) + (x > 0) - (x < 0)),
    ],
)
def test_arithmetic(text, function):
    found = read_expression(text)({"x": X})
    np.testing.assert_allclose(found.numpy(), [function(v) for v in X.tolist()], rtol=1e-14)


HOSTILE = [
    "__import__('os').system('echo gone')",
    "().__class__.__bases__[0].__subclasses__()",
    "x.__class__",
    "x[0]",
    "(lambda: 1)()",
    "[y for y in x]",
    "{x: 1}",
    "f'{x}'",
    "'a' * 10",
    "eval('1')",
    "open('f')",
    "exec",
    "sin(x=1)",
    "sin(*x)",
    "sin",
    "sin(x, x)",
    "sin()",
    "(y := x)",
    "x if x else 1",
    "x and 1",
    "not x",
    "~x",
    "x // 2",
    "x << 2",
    "x @ x",
    "1 < x < 2",
    "x == 1",
    "x is x",
    "True",
    "None",
    "...",
    "1j",
    "b'1'",
    "x; x",
    "x = 1",
    "import os",
    "print(x)",
    "y",
    "math.sin(x)",
    "sin(x).__init__",
    "9" * 400,
    "(" * 200 + "x" + ")" * 200 + "+",
    "-" * 100 + "x",
    "x" * 3000,
    "",
    "   ",
    "\x00",
    "sin(2*pi*x",
    "ｓｉｎ(x)(1)",
]


def never(*args, **kwargs):
    raise AssertionError("something was run")


@pytest.mark.parametrize("text", HOSTILE)
def test_anything_else_is_refused_and_not_run(text, monkeypatch):
    refused = None
    with monkeypatch.context() as patched:
        for name in ("eval", "exec", "open"):
            patched.setattr(builtins, name, never)
        try:
            read_expression(text)
        except ExpressionError as error:
            refused = str(error)
    assert refused, "the text was read"


def test_the_place_is_shown():
    with pytest.raises(ExpressionError, match=r"an attribute \(x.y\).*\n  1 \+ x.real\n      \^"):
        read_expression("1 + x.real")


def test_towers_of_powers_end():
    """9**9**9 as integers would not."""
    found = read_expression("9**9**9**x")({"x": X})
    assert found.shape == X.shape


@pytest.mark.parametrize(
    ("what", "interval", "words"),
    [
        ("1/x", (-1, 1), "must be finite on the whole interval"),
        ("log(x)", (-1, 1), "must be finite on the whole interval"),
        ("1e300*x", (-1, 1), r"above 1e\+100 squares of errors are too large"),
        ("x", (1, 1), "is empty"),
        ("x", (2, -2), "is empty"),
        ("x", (0, float("inf")), "finite ends"),
        ("x", (-1e308, 1e308), "too wide"),
        ("x", (1, 1 + 1e-15), "too narrow"),
        ("x", (0, 1, 2), "two numbers"),
        ("x", "ab", "two numbers"),
        (lambda x: x * float("nan"), (-1, 1), "must be finite"),
    ],
)
def test_targets_that_make_no_sense(what, interval, words):
    with pytest.raises(ValueError, match=words):
        target = target_of(what, interval)
        target.values(target.grid(101))


def test_a_function_that_returns_no_tensor():
    with pytest.raises(TypeError, match="returns a tensor of as many values"):
        target_of(lambda x: 3.0).values(np.linspace(-1, 1, 5))
