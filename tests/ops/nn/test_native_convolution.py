"""Convolutions of any size on compiled kernels, against NumPy's float64; and when they are used."""

import math
import subprocess
import sys

import numpy as np
import pytest

import pellucid
from pellucid.nn import functional as F
from pellucid.ops import native

pytestmark = pytest.mark.usefixtures("threads")

CASES = {
    "winograd, m = 2": ((1, 16, 7, 6), (18, 16, 3, 3), {"padding": 1}),
    "winograd, m = 4": ((2, 17, 17, 13), (40, 17, 3, 3), {}),
    "winograd, large weights": ((1, 160, 9, 9), (160, 160, 3, 3), {"padding": 1}),
    "one tap": ((2, 20, 5, 9), (33, 20, 1, 1), {}),
    "one tap, stride": ((2, 40, 9, 8), (33, 40, 1, 1), {"stride": 2}),
    "first of a network": ((2, 3, 23, 30), (16, 3, 7, 7), {"stride": 2, "padding": 3}),
    "stride": ((2, 35, 10, 9), (12, 35, 3, 3), {"stride": 2, "padding": 1}),
    "uneven": ((1, 5, 13, 8), (6, 5, 2, 5), {"stride": (3, 1), "padding": (0, 4)}),
    "dilation": ((2, 4, 12, 15), (6, 4, 3, 3), {"dilation": (2, 3), "padding": (2, 0)}),
    "stride and dilation": ((1, 4, 15, 15), (6, 4, 3, 2), {"dilation": (3, 2), "stride": (2, 4)}),
    "groups": ((2, 24, 8, 9), (27, 8, 3, 3), {"groups": 3, "padding": 1}),
    "depthwise": ((2, 21, 8, 9), (21, 1, 3, 3), {"groups": 21, "stride": 2, "padding": 1}),
    "kernel wider than the image": ((1, 3, 2, 3), (4, 3, 4, 5), {"padding": 2}),
    "sequence": ((3, 9, 31), (8, 9, 4), {"stride": 3, "padding": 2}),
    "long row": ((1, 40, 1, 1300), (4, 40, 1, 3), {"padding": (0, 1)}),
    "long row, few channels": ((1, 2, 1, 9000), (4, 2, 1, 3), {}),
}


@pytest.fixture(params=[1, 3])
def threads(request):
    before = pellucid.get_num_threads()
    pellucid.set_num_threads(request.param)
    yield
    pellucid.set_num_threads(before)


@pytest.fixture
def any_size(monkeypatch):
    """Kernels for all sizes; gives the number of calls that ran on them."""
    monkeypatch.setattr(native, "MULTIPLICATIONS", 0)
    monkeypatch.setattr(native, "CHANNELS_OF_GROUP", 1)
    calls = []
    for name in ("correlate", "weight_gradient"):
        plain = getattr(native, name)
        monkeypatch.setattr(
            native, name, lambda *args, plain=plain, name=name: (calls.append(name), plain(*args))
        )
    return calls


def tensors(*shapes, format=pellucid.contiguous_format):
    rng = np.random.default_rng(sum(map(math.prod, shapes)))
    made = []
    for shape in shapes:
        each = pellucid.from_numpy(rng.standard_normal(shape).astype(np.float32))
        made.append(each.contiguous(memory_format=format).requires_grad_())
    return made


def doubled(tensors):
    return [each.detach().double().requires_grad_() for each in tensors]


def close(got, want, tolerance=4e-6):
    scale = float(want.detach().abs().max())
    assert got.shape == want.shape
    assert float((got.detach().double() - want.detach()).abs().max()) <= tolerance * scale


def both_ways(function, inputs):
    """Result, gradients, and gradients of the gradients, in float32 and in float64."""
    outcomes = []
    for given in (inputs, doubled(inputs)):
        out = function(*given)
        rng = np.random.default_rng(1)
        towards = pellucid.from_numpy(rng.standard_normal(tuple(out.shape))).to(out.dtype)
        towards.requires_grad_()
        first = pellucid.autograd.grad(out, given, towards, create_graph=True)
        total = sum((g * g).sum() for g in first)
        again = pellucid.autograd.grad(total, [*given, towards], allow_unused=True)
        outcomes.append([out, *first, *(g for g in again if g is not None)])
    return zip(*outcomes, strict=True)


@pytest.mark.parametrize("name", CASES)
def test_convolution_and_its_gradients(any_size, name):
    x, w, settings = CASES[name]
    function = getattr(F, f"conv{len(x) - 2}d")
    inputs = tensors(x, w, (w[0],))
    for got, want in both_ways(lambda *given: function(*given, **settings), inputs):
        close(got, want)
    used = {"correlate"} if name == "depthwise" else {"correlate", "weight_gradient"}
    assert set(any_size) == used


@pytest.mark.parametrize("name", [n for n in CASES if len(CASES[n][0]) == 4])
def test_channels_last(any_size, name):
    x, w, settings = CASES[name]
    inputs = tensors(x, w, format=pellucid.channels_last)
    for got, want in both_ways(lambda *given: F.conv2d(*given, None, **settings), inputs):
        close(got, want)
    out = F.conv2d(*inputs, None, **settings)
    assert out.is_contiguous(memory_format=pellucid.channels_last)


@pytest.mark.parametrize("settings", [{}, {"stride": 2, "output_padding": 1}, {"padding": 2}])
def test_transposed(any_size, settings):
    inputs = tensors((2, 18, 6, 7), (18, 20, 3, 3), (20,))
    for got, want in both_ways(lambda *given: F.conv_transpose2d(*given, **settings), inputs):
        close(got, want)


def test_inputs_with_gaps(any_size):
    x, w = tensors((3, 40, 9, 20), (33, 20, 3, 3))
    part, filters = x.detach()[:, ::2, 1:, ::3], w.detach().flip(2)
    got = F.conv2d(part, filters, padding=1)
    close(got, F.conv2d(part.double(), filters.double(), padding=1))


def test_nan_and_infinity_stay_where_they_are(any_size):
    x, w = tensors((1, 4, 9, 9), (5, 4, 3, 3))
    x = x.detach().clone()
    x[0, 1, 0, 0], x[0, 2, 8, 8] = float("nan"), float("inf")
    got = F.conv2d(x, w.detach(), padding=1)
    want = F.conv2d(x.double(), w.detach().double(), padding=1)
    assert got.isnan().equal(want.isnan())
    assert got.isfinite().equal(want.isfinite())


def test_a_changed_weight_is_used():
    x, w = (t.detach() for t in tensors((2, 32, 56, 56), (64, 32, 3, 3)))
    first = F.conv2d(x, w)
    w.numpy()[...] *= 2
    assert F.conv2d(x, w).equal(2 * first)


@pytest.mark.parametrize(
    ("x", "w", "groups", "dtype", "expected"),
    [
        ((8, 64, 56, 56), (64, 64, 3, 3), 1, np.float32, True),
        ((8, 64, 56, 56), (64, 64, 3, 3), 1, np.float64, False),
        ((1, 3, 28, 28), (8, 3, 3, 3), 1, np.float32, False),
        ((8, 64, 56, 56), (64, 1, 9, 9), 64, np.float32, True),
        ((8, 256, 56, 56), (256, 4, 3, 3), 64, np.float32, False),
        ((8, 4, 16, 56, 56), (64, 4, 3, 3, 3), 1, np.float32, False),
    ],
)
def test_the_rule(x, w, groups, dtype, expected):
    images, filters = np.empty(x, dtype), np.empty(w, dtype)
    result = np.empty((x[0], w[0], *x[2:]), dtype)
    assert native.convolves(images, filters, result, groups) is expected


@pytest.mark.parametrize(
    ("code", "kernels", "loaded"),
    [
        ("p.nn.Conv2d(3, 8, 3)(p.ones(1, 3, 28, 28)).sum().backward()", "on", False),
        ("p.nn.Conv2d(32, 64, 3)(p.ones(2, 32, 64, 64))", "on", True),
        ("p.nn.Conv2d(32, 64, 3)(p.ones(2, 32, 64, 64))", "off", False),
    ],
    ids=["small", "large", "off"],
)
def test_when_llvm_is_loaded(code, kernels, loaded, monkeypatch):
    monkeypatch.setenv("PELLUCID_KERNELS", kernels)
    script = f"import pellucid as p, sys\n{code}\nprint('llvmlite' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == str(loaded), done.stderr
