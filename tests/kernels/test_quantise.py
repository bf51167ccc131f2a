"""Bytes with scales: ranges, zeros, sums of integers, and what is not a number."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.kernels import pool
from pellucid.kernels.gemm_low import gemm_low
from pellucid.kernels.prepack_low import linear_panels
from pellucid.kernels.prepack_low import quantised as packed_bytes
from pellucid.kernels.quantise import LINE, quantise_all, quantise_rows
from pellucid.kernels.target import host_features
from tests.kernels.helpers import close, numbers, packed_words, quantised, run

sizes = st.integers(1, 70)


def as_bytes(x):
    """Rows of bytes filled up to words, scales, zeros."""
    rows, n = x.shape
    out = np.full((rows, -(-n // 4) * 4), 77, np.uint8)
    scale, zero = np.full(rows, np.nan, np.float32), np.full(rows, -1, np.int32)
    run(quantise_rows(), x, out, scale, zero, rows, n, n, out.shape[1])
    return out, scale, zero


def all_as_bytes(x):
    rows, n = x.shape
    out = np.full((rows, -(-n // 4) * 4), 77, np.uint8)
    scale, zero = np.full(1, np.nan, np.float32), np.full(1, -1, np.int32)
    stats = np.full(LINE * pool.num_threads(), np.nan, np.float32)
    run(quantise_all(), x, out, scale, zero, stats, rows, n, n, out.shape[1])
    return out, scale, zero


def numbers_of(u, scale, zero, n):
    return (u[:, :n].astype(np.float64) - zero[:, None]) * scale[:, None].astype(np.float64)


@pytest.mark.parametrize("shape", [(1, 1), (3, 16), (5, 37), (40, 130)])
@pytest.mark.parametrize("shift", [0.0, 5.0, -5.0])
def test_bytes_are_within_a_step(shape, shift):
    x = numbers(1, *shape) + np.float32(shift)
    for u, scale, zero in (as_bytes(x), all_as_bytes(x)):
        low = np.minimum(x.min(1), 0) if len(scale) > 1 else min(x.min(), 0)
        high = np.maximum(x.max(1), 0) if len(scale) > 1 else max(x.max(), 0)
        assert np.allclose(scale, (np.float64(high) - low) / 255, rtol=1e-6)
        assert (np.abs(numbers_of(u, scale, zero, shape[1]) - x) <= 1.01 * scale[:, None]).all()
        assert (u[:, shape[1] :] == 0).all()


def test_zero_is_exact_and_no_negative_number_wastes_bytes():
    x = np.maximum(numbers(1, 4, 50), 0)
    u, scale, zero = as_bytes(x)
    assert (zero == 0).all() and (u[:, :50][x == 0] == 0).all() and (u.max(1) == 255).all()
    x = numbers(1, 4, 50)
    x[:, ::2] = 0
    u, scale, zero = all_as_bytes(x)
    assert (numbers_of(u, scale, zero, 50)[x == 0] == 0).all()


def test_rows_of_zeros_and_of_tiny_numbers_are_zero():
    x = np.zeros((2, 9), np.float32)
    x[1] = 1e-40
    u, scale, zero = as_bytes(x)
    assert (u == 0).all() and (zero == 0).all() and np.isfinite(scale).all()


def test_what_is_not_finite_makes_its_row_nan():
    x = numbers(1, 4, 20)
    x[1, 3], x[2, 19] = np.inf, np.nan
    _, scale, zero = as_bytes(x)
    assert list(np.isnan(scale)) == [False, True, True, False]
    assert ((zero >= 0) & (zero <= 255)).all()
    assert np.isnan(all_as_bytes(x)[1]).all()


def test_weights_have_a_scale_for_each_column():
    w = numbers(1, 3, 17, 5) * np.float32([1, 10, 0, 1e-3, 7])
    q, scale, sums = quantised(w)
    assert q.dtype == np.int8 and (np.abs(q).max(1)[:, [0, 1, 3, 4]] == 127).all()
    assert (np.abs(q * scale[:, None] - w) <= 0.501 * scale[:, None]).all()
    assert (sums == q.sum(1, dtype=np.int64)).all()


def check_product(m, n, k, mc, nc):
    """The sums are exact; only the last steps are in float32."""
    x, w, bias, more = numbers(1, m, k), numbers(2, k, n), numbers(3, n), numbers(4, m, n)
    u, scale, zero = as_bytes(x)
    q, factors, sums = quantised(w)
    c = np.full((m, n), np.nan, np.float32)
    steps = u.shape[1] // 4
    made = gemm_low(kind="i8", bias=True, residual="f32", activation="relu")
    run(made, u, packed_words(q, 4), c, 0, bias, more, m, n, steps, steps, n, 0, n, mc, nc, scale,
        zero, factors, sums)  # fmt: skip
    whole = (u[:, :k].astype(np.int64) - zero[:, None]) @ q.astype(np.int64)
    exact = whole * scale[:, None].astype(np.float64) * factors + bias + more
    close(c, np.maximum(exact, 0), 1e-6)


@settings(max_examples=25, deadline=None)
@given(m=sizes, n=sizes, k=sizes, mc=st.integers(1, 40), nc=st.integers(1, 3))
def test_products_of_any_size_and_blocking(m, n, k, mc, nc):
    check_product(m, n, k, mc, nc)


@pytest.mark.parametrize("target", ["scalar", "avx2", "avx512"])
def test_other_targets(target):
    """Each target in a process of its own; avx512 once more without its short products."""
    feature = {"scalar": "sse2", "avx2": "avx2", "avx512": "avx512f"}[target]
    if not host_features().get(feature, False):
        pytest.skip(f"this CPU has no {target}")
    script = (
        "import dataclasses\n"
        "from pellucid.kernels import target\n"
        "one = dataclasses.replace(target.current(), dot_bf16=False, dot_i8=False)\n"
        "import pellucid.kernels.kernel as k; k.current = lambda: one\n"
        "from tests.kernels import test_quantise as t\n"
        "t.test_bytes_are_within_a_step((5, 37), 1.0)\n"
        "t.check_product(17, 37, 9, 17, 1)\n"
        "t.test_weights_are_packed_alike_by_threads_and_numpy(7, 33)\n"
    )
    environment = os.environ | {"PELLUCID_TARGET": target}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("k", "n"), [(1, 1), (7, 33), (64, 64), (130, 70)])
def test_weights_are_packed_alike_by_threads_and_numpy(k, n):
    w = numbers(1, k, n)
    w[:, -1] = 0
    words, scale, sums = packed_bytes(linear_panels(w), k)
    q, factors, totals = quantised(w)
    wanted = packed_words(q, 4).ravel().astype(int)
    found = words.view(np.int8).astype(int)
    assert found.shape == wanted.shape and np.abs(found - wanted).max() <= 1
    assert (found != wanted).mean() < 1e-3  # w / scale and w * (1 / scale) at ties
    assert np.allclose(scale[:n][q.any(0)], factors[q.any(0)], rtol=1e-6)
    assert np.abs(sums[:n] - totals).max() <= 1
