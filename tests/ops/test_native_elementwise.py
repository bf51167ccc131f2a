"""Operators large enough for compiled kernels: values and gradients are PyTorch's, as those of the
same operators on NumPy are.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import pellucid
from pellucid.ops import native
from pellucid.ops.elementwise.threaded import HEAVY, LIGHT, expression

SHAPE = (520, 514)


def numbers(seed: int, *shape: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * 3).astype(np.float32)


def both(run: Callable[[Any, Any], Any], *arrays: np.ndarray) -> None:
    """`run(torch, tensors)` and its gradients: with PyTorch in float64 as the truth."""
    found = []
    for engine, dtype in ((torch, np.float64), (pellucid, np.float32)):
        tensors = [engine.from_numpy(a.astype(dtype)).requires_grad_() for a in arrays]
        out = run(engine, tensors)
        weights = engine.from_numpy(numbers(9, *out.shape).astype(dtype))
        (out * weights).sum().backward()
        found.append([out.detach().numpy(), *[t.grad.numpy() for t in tensors]])
    for exact, ours in zip(*found, strict=True):
        scale = max(float(np.abs(exact).max()), 1.0)
        np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=3e-6 * scale)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the operators that went to kernels."""
    if not native.enabled():
        pytest.skip("PELLUCID_KERNELS=off")
    monkeypatch.setattr(native, "num_threads", lambda: 2)
    seen: list[str] = []
    module = native._pointwise()
    original = module.evaluate
    names = {str(expression(name, {})): name for name in (*HEAVY, *LIGHT)}

    def evaluate(found: Any, operands: Any, out: Any) -> None:
        seen.append(names.get(str(found), "?"))
        original(found, operands, out)

    monkeypatch.setattr(module, "evaluate", evaluate)
    return seen


@pytest.mark.parametrize(
    "name", ["gelu", "sigmoid", "silu", "relu", "tanh", "exp", "erf", "sqrt", "neg", "abs", "log"]
)
def test_functions_of_one_tensor(name: str, calls: list[str]) -> None:
    x = numbers(1, *SHAPE)
    if name in ("sqrt", "log"):
        x = np.abs(x) + 0.1
    if name == "exp":
        x = x / 3
    place: Any = lambda t: getattr(t.nn.functional, name, None) or getattr(t, name)
    both(lambda t, x: place(t)(x[0]), x)
    assert name in calls


def test_gelu_by_tanh() -> None:
    both(lambda t, x: t.nn.functional.gelu(x[0], approximate="tanh"), numbers(1, *SHAPE))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "maximum", "minimum"])
def test_functions_of_two_tensors(name: str, calls: list[str]) -> None:
    x, y = numbers(1, *SHAPE), numbers(2, *SHAPE)
    y += np.sign(y)
    both(lambda t, x: getattr(t, name)(*x), x, y)
    assert name in calls


def test_numbers_broadcasts_and_layouts(calls: list[str]) -> None:
    x, y = numbers(1, *SHAPE), numbers(2, *SHAPE)
    both(lambda t, x: x[0] * 2.5 + 1, x)
    both(lambda t, x: x[0].t() + x[1].t(), x, y)
    both(lambda t, x: x[0] + x[1][0], x, y)
    both(lambda t, x: x[0][:, ::2].relu() + x[1][:, 1::2], x, y)
    both(lambda t, x: t.nn.functional.gelu(x[0].t()), x)
    assert {"add", "mul", "gelu"} <= set(calls)
    a, b = pellucid.from_numpy(x.copy()), torch.from_numpy(x.copy())
    for t in (a, b):
        t.mul_(3).add_(t).relu_()
    np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0])
@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "exp", "gelu", "silu", "erf"])
def test_special_values(name: str, value: float) -> None:
    if name == "gelu" and value == np.inf:
        pytest.skip("PyTorch's vector code gives NaN, its scalar code inf")
    x = np.full(1 << 18, value, np.float32)
    ours = getattr(pellucid.nn.functional, name, None) or getattr(pellucid, name)
    theirs = getattr(torch.nn.functional, name, None) or getattr(torch, name)
    found, wanted = ours(pellucid.from_numpy(x)).numpy(), theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=0)
    if value == 0:
        assert (np.signbit(found) == np.signbit(wanted)).all()


@pytest.mark.parametrize("n", [16, 37, 1000])
def test_rows(n: int) -> None:
    x, w, b = numbers(1, 1 + 40000 // n, n), numbers(2, n), numbers(3, n)
    both(lambda t, x: x[0].softmax(-1), x)
    both(lambda t, x: x[0].log_softmax(-1), x)
    both(lambda t, x: t.nn.functional.layer_norm(x[0], (n,), x[1], x[2]), x + 5, w, b)
    both(lambda t, x: t.nn.functional.layer_norm(x[0], (n,)), x)
    both(lambda t, x: t.nn.functional.rms_norm(x[0], (n,), x[1]), x, w)
    classes = np.random.default_rng(4).integers(0, n, len(x))
    classes[::7] = -100
    both(lambda t, x: t.nn.functional.cross_entropy(x[0], t.from_numpy(classes))[None], x)


def test_rows_of_infinities() -> None:
    x = numbers(1, 2000, 40)
    x[0], x[1, 3], x[2, 5], x[3, 7] = -np.inf, np.inf, np.nan, -np.inf
    for run in (
        lambda t, x: x.softmax(-1),
        lambda t, x: x.log_softmax(-1),
        lambda t, x: t.nn.functional.cross_entropy(
            x, t.zeros(len(x), dtype=t.int64), reduction="none"
        ),
    ):
        found, wanted = (run(t, t.from_numpy(x)).numpy() for t in (pellucid, torch))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", ["", "numbers", "bool"])
def test_attention(causal: bool, masked: str) -> None:
    if causal and masked:
        pytest.skip("PyTorch refuses both")
    q, k, v = numbers(1, 2, 3, 70, 20), numbers(2, 2, 3, 90, 20), numbers(3, 2, 3, 90, 24)
    if causal:
        k, v = k[:, :, :70], v[:, :, :70]
    mask = numbers(4, 2, 1, 70, 90)
    mask[1, 0, 5] = -np.inf  # a query that sees nothing

    def run(t: Any, x: Any) -> Any:
        given = None
        if masked:
            given = t.from_numpy(mask).to(x[0].dtype) if masked == "numbers" else (
                t.from_numpy(mask > 0))  # fmt: skip
        return t.nn.functional.scaled_dot_product_attention(
            *[each.transpose(1, 2).contiguous().transpose(1, 2) for each in x],
            attn_mask=given, is_causal=causal,
        )  # fmt: skip

    both(run, q / 3, k / 3, v)


@pytest.mark.parametrize("shape", [(1 << 20,), (300, 4099), (2, 3, 250001)])
def test_sums(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "num_threads", lambda: 2)
    x = numbers(1, *shape) + 1
    both(lambda t, x: x[0].sum(-1)[None], x)
    both(lambda t, x: x[0].mean()[None] + x[0].transpose(0, -1).sum(), x)
    exact = x.astype(np.float64).sum()
    assert abs(float(pellucid.from_numpy(x).sum()) - exact) <= 1e-6 * np.abs(x).sum()
