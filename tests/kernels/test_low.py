"""Kernels in low precision against float64, with the bound of the precision they compute in."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.kernels.gemm_low import gemm_low
from pellucid.kernels.kernel import kernel
from pellucid.kernels.language.types import BF16, F32, I8, I32
from pellucid.kernels.low import round_rows, widen_rows
from pellucid.kernels.prepack_low import linear_panels, paired
from pellucid.kernels.winograd import transformed_weights
from pellucid.kernels.winograd_low import winograd_low
from tests.kernels.helpers import close, numbers, packed_words, rounded, run

HALF_ULP = 2.0**-8
"""How far rounding to bf16 moves a number, relative to it, with the tie's bit to spare."""


def widened(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def as_bf16(x):
    """Rows of bf16, filled up to an even length."""
    rows, n = x.shape
    out = np.full((rows, n + n % 2), 0xFFFF, np.uint16)
    run(round_rows(), x, out, rows, n, n, n + n % 2)
    return out


def special():
    values = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        np.inf,
        -np.inf,
        np.nan,
        3.4e38,
        -3.4e38,
        1.00390625,
        1.01171875,
    ]
    halfway = [1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8, 1 + 2.0**-8 + 2.0**-20]
    return np.array([values + halfway], np.float32)


def test_rounding_is_torchs():
    torch = pytest.importorskip("torch")
    for x in (special(), numbers(1, 3, 37) * 1e3):
        found = as_bf16(x)[:, : x.shape[1]]
        wanted = torch.from_numpy(x).bfloat16().view(torch.int16).numpy().view(np.uint16)
        nan = np.isnan(x)
        assert (found[~nan] == wanted[~nan]).all() and np.isnan(widened(found)[nan]).all()
        bits = rounded(x)
        assert (bits[~nan] == found[~nan]).all() and np.isnan(widened(bits)[nan]).all()


def test_rows_are_filled_with_zeros_and_widen_back():
    x = numbers(1, 5, 21)
    low = as_bf16(x)
    assert (low[:, 21] == 0).all()
    back = np.full_like(x, np.nan)
    run(widen_rows(), low, back, 5, 21, 22, 21)
    assert (back == widened(low[:, :21])).all()
    assert (np.abs(back - x) <= HALF_ULP * np.abs(x)).all()


@kernel("a: ptr, b: ptr, c: ptr")
def one_dot(b, *, kind="bf16"):
    b.begin()
    sums, numbers_, per = (F32, BF16, 2) if kind == "bf16" else (I32, I8, 4)
    x, y = (b.load(p, 0, numbers_.of(per * b.lanes)) for p in (b.arg.a, b.arg.b))
    total = b.load(b.arg.c, 0, sums.of(b.lanes))
    with b.when(b.binary("eq", b.thread, 0)):
        b.store(b.dot(x, y, total), b.arg.c, 0)


def test_dots_of_pairs_and_of_bytes():
    rng = np.random.default_rng(0)
    a, b, c = (numbers(i, 32) for i in range(3))
    a, b, lanes = rounded(a), rounded(b), one_dot(kind="bf16") and _lanes()
    wanted = c[:lanes] + (widened(a) * widened(b)).reshape(-1, 2).sum(1)[:lanes]
    run(one_dot(kind="bf16"), a, b, c)
    close(c[:lanes], wanted, 1e-6)
    u = rng.integers(0, 256, 64).astype(np.uint8)
    s = rng.integers(-128, 128, 64).astype(np.int8)
    u[:8], s[:4], s[4:8] = 255, -128, 127  # no saturation in between
    total = rng.integers(-(2**30), 2**30, 16).astype(np.int32)
    wanted = total[:lanes] + (u.astype(np.int64) * s).reshape(-1, 4).sum(1)[:lanes]
    run(one_dot(kind="i8"), u, s, total)
    assert (total[:lanes] == wanted).all()


def _lanes():
    from pellucid.kernels.target import current

    return current().lanes


sizes = st.integers(1, 70)


def check_product(m, n, k, mc, nc, out="both", residual="f32", activation="relu"):
    """Against float64 of the rounded operands: only the order of f32 sums is left."""
    x, w, bias, more = numbers(1, m, k), numbers(2, k, n), numbers(3, n), numbers(4, m, n)
    a, weights = as_bf16(x), packed_words(rounded(w), 2)
    steps = a.shape[1] // 2
    c = np.full((m, n), np.nan, np.float32)
    low = np.full((m, n), 0xFFFF, np.uint16)
    given_more = rounded(more) if residual == "bf16" else more
    made = gemm_low(kind="bf16", out=out, bias=True, residual=residual, activation=activation)
    run(made, a, weights, c, low, bias, given_more, m, n, steps, steps, n, n, n, mc, nc, 0, 0, 0, 0)
    exact = widened(a)[:, :k] @ widened(rounded(w)) + bias
    if residual:
        exact = exact + (widened(given_more) if residual == "bf16" else more)
    if activation == "relu":
        exact = np.maximum(exact, 0)
    if out != "bf16":
        close(c, exact, 1e-5)
    if out == "both":
        assert (low == rounded(c)).all()
    elif out == "bf16":
        close(widened(low), exact, HALF_ULP + 1e-5)
    # what rounding the operands may cost: |x| |w| times twice half an ulp, and a little
    whole = x.astype(np.float64) @ w
    bound = (np.abs(x).astype(np.float64) @ np.abs(w)) * (2 * HALF_ULP + HALF_ULP**2)
    assert (np.abs(widened(a)[:, :k] @ widened(rounded(w)) - whole) <= bound).all()


@settings(max_examples=25, deadline=None)
@given(m=sizes, n=sizes, k=sizes, mc=st.integers(1, 40), nc=st.integers(1, 3))
def test_products_of_any_size_and_blocking(m, n, k, mc, nc):
    check_product(m, n, k, mc, nc)


@pytest.mark.parametrize("out", ["f32", "bf16", "both"])
@pytest.mark.parametrize("residual", ["", "f32", "bf16"])
def test_epilogues(out, residual):
    check_product(15, 45, 33, 15, 1, out, residual, "")


@pytest.mark.parametrize("target", ["scalar", "avx2", "avx512"])
def test_other_targets(target):
    """Each target in a process of its own; avx512 once more without its short products."""
    if target != "scalar" and not _avx(target):
        pytest.skip(f"this CPU has no {target}")
    script = (
        "import dataclasses\n"
        "from pellucid.kernels import target\n"
        "one = dataclasses.replace(target.current(), dot_bf16=False, dot_i8=False)\n"
        "import pellucid.kernels.kernel as k; k.current = lambda: one\n"
        "from tests.kernels import test_low as t\n"
        "t.test_rounding_is_torchs()\n"
        "t.test_dots_of_pairs_and_of_bytes()\n"
        "t.check_product(17, 37, 9, 17, 1)\n"
        "t.check_product(3, 5, 1, 2, 2, 'bf16', 'bf16')\n"
        "t.test_winograd_convolution(False, 1, 'both', 'bf16')\n"
        "t.test_weights_are_packed_alike_by_threads_and_numpy(7, 33)\n"
    )
    environment = os.environ | {"PELLUCID_TARGET": target}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def _avx(name):
    from pellucid.kernels.target import host_features

    return host_features().get("avx512f" if name == "avx512" else "avx2", False)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("out", ["f32", "bf16", "both"])
@pytest.mark.parametrize("residual", ["", "f32", "bf16"])
def test_winograd_convolution(shared, padding, out, residual):
    torch = pytest.importorskip("torch")
    n, h, w, c, k = 2, 7, 10, 19, 37
    # transformed images of few bits and weights that round to themselves: rounding has no part
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (n, h, w, c)).astype(np.float32)
    weight = rng.integers(-4, 5, (k, c, 3, 3)).astype(np.float32)
    bias = numbers(3, k)
    exact = torch.nn.functional.conv2d(
        torch.from_numpy(x).permute(0, 3, 1, 2).double(), torch.from_numpy(weight).double(),
        torch.from_numpy(bias).double(), padding=padding,
    ).permute(0, 2, 3, 1).contiguous().numpy()  # fmt: skip
    more = numbers(4, *exact.shape)
    if residual:
        more = rounded(more) if residual == "bf16" else more
        exact = exact + (widened(more) if residual == "bf16" else more)
    exact = np.maximum(exact, 0)
    v_row, p_row, chunk, tiles = 32, 64, 5, n * -(-exact.shape[1] // 2) * -(-exact.shape[2] // 2)
    assert tiles > chunk
    v = np.full(16 * 3 * chunk * v_row, 0xFFFF, np.uint16)
    products = np.full(16 * 3 * chunk * p_row, np.nan, np.float32)
    u = packed_words(rounded(transformed_weights(weight, 2)), 2)
    found = np.full(exact.shape, np.nan, np.float32)
    low = np.full(exact.shape, 0xFFFF, np.uint16)
    made = winograd_low(
        m=2, shared=shared, out=out, bias=True, residual=residual, activation="relu"
    )
    run(made, rounded(x), u, found, low, bias, more, v, products, n, h, w, c, k, *exact.shape[1:3],
        padding, padding, chunk, v_row, p_row)  # fmt: skip
    if out != "bf16":
        close(found, exact, 1e-5)
    if out != "f32":
        close(widened(low), exact, HALF_ULP + 1e-5)


@pytest.mark.parametrize(("k", "n"), [(1, 1), (7, 33), (64, 64), (130, 70)])
def test_weights_are_packed_alike_by_threads_and_numpy(k, n):
    w = numbers(1, k, n)
    found = paired(linear_panels(w), k)
    assert (found.view(np.uint16) == packed_words(rounded(w), 2).ravel()).all()
    other = paired(linear_panels(np.asfortranarray(w)), k)
    assert (other.view(np.uint32) == found.view(np.uint32)).all()
