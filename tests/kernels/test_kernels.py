"""Kernels against float64 references, over shapes that leave rests in every loop."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.kernels import eager
from pellucid.kernels.attention import attention
from pellucid.kernels.convolution import conv_depthwise, conv_windows
from pellucid.kernels.gemm import gemm, pack_b
from pellucid.kernels.pointwise import pointwise
from pellucid.kernels.pooling import pool as pool_kernel
from pellucid.kernels.rows import gather_rows, layer_norm, softmax, sum_middle
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from pellucid.kernels.vectors import swap_axes
from pellucid.kernels.winograd import matrices, transformed_weights, winograd
from tests.kernels.helpers import close, numbers, packed, rounded, run

sizes = st.integers(1, 40)


@settings(max_examples=25, deadline=None)
@given(
    m=sizes, n=sizes, k=sizes, kc=st.integers(1, 50), mc=st.integers(1, 20), nc=st.integers(1, 3)
)
def test_products_of_any_size_and_blocking(m, n, k, kc, mc, nc):
    a, b, bias, residual = numbers(1, m, k + 3), numbers(2, k, n), numbers(3, n), numbers(4, m, n)
    c = np.full((m, n), np.nan, np.float32)
    kernel = gemm(bias=True, residual=True, activation="relu", cut=kc < k)
    apart = (k + 3, 1, 0, n, n, 1, 0, 0, 0)
    run(kernel, a, packed(b), c, bias, residual, m, n, k, *apart, mc, nc, kc)
    exact = a[:, :k].astype(np.float64) @ b + bias + residual
    close(c, np.maximum(exact, 0), 1e-5)


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("in_place", [True, False])
def test_batched_products_with_strides(unit, in_place):
    batch, m, n, k = 3, 7, 21, 13
    a = numbers(1, batch, k, m).swapaxes(1, 2) if not unit else numbers(1, batch, m, k)
    b = numbers(2, batch, k, n)
    c = np.full((batch, m, n), np.nan, np.float32)
    panels = -(-n // width(current()))
    strides = [s // 4 for s in a.strides]
    source, step = (b, k * n) if in_place else (packed(b), panels * k * width(current()))
    run(gemm(packed=not in_place, unit=unit), a, source, c, 0, 0, m, n, k, strides[1], strides[2],
        n, n, 0, batch, strides[0], step, m * n, 4, 1, k)  # fmt: skip
    close(c, a.astype(np.float64) @ b)


@pytest.mark.parametrize("unit", [True, False])
def test_packing_agrees_with_numpy(unit):
    b = numbers(1, 2, 9, 37) if unit else numbers(1, 2, 37, 9).swapaxes(1, 2)
    out = np.full_like(packed(b), np.nan)
    strides = [s // 4 for s in b.strides]
    run(pack_b(unit=unit), b, out, 9, 37, strides[1], strides[2], 2, strides[0], out[0].size)
    assert (out == packed(b)).all()


def conv_case(n, h, w, c, k, size, stride, padding, dilation, groups):
    x, weight = numbers(1, n, h, w, c), numbers(2, k, c // groups, *size)
    bias = numbers(3, k)
    exact = F.conv2d(
        torch.from_numpy(x).permute(0, 3, 1, 2).double(), torch.from_numpy(weight).double(),
        torch.from_numpy(bias).double(), stride, padding, dilation, groups,
    ).permute(0, 2, 3, 1).contiguous().numpy()  # fmt: skip
    residual = numbers(4, *exact.shape)
    return x, weight, bias, residual, np.maximum(exact + residual, 0)


@pytest.mark.parametrize(
    "case",
    [
        (2, 9, 11, 5, 7, (3, 3), (1, 1), (1, 1), (1, 1), 1),
        (1, 9, 11, 5, 7, (3, 2), (2, 1), (1, 0), (1, 1), 1),
        (1, 9, 11, 19, 37, (1, 1), (1, 1), (0, 0), (1, 1), 1),
        (2, 14, 9, 3, 20, (7, 7), (2, 2), (3, 3), (1, 1), 1),
        (1, 9, 9, 20, 12, (3, 3), (1, 1), (2, 2), (2, 2), 4),
        (1, 5, 5, 6, 4, (3, 3), (3, 3), (4, 4), (1, 1), 2),
    ],
)
@pytest.mark.parametrize("kc", [8, 1000])
def test_convolution_by_windows(case, kc):
    n, h, w, c, k, size, stride, padding, dilation, groups = case
    x, weight, bias, residual, exact = conv_case(*case)
    flat = weight.reshape(groups, k // groups, c // groups, *size).transpose(0, 3, 4, 2, 1)
    depth = size[0] * size[1] * c // groups
    out = np.full(exact.shape, np.nan, np.float32)
    in_place = size == (1, 1) and stride == (1, 1) and padding == (0, 0)
    scratch = np.empty(64 * (5 * depth + 64), np.float32)
    kernel = conv_windows(bias=True, residual=True, activation="relu", in_place=in_place,
                          cut=kc < depth)  # fmt: skip
    weights = packed(flat.reshape(groups, depth, k // groups))
    run(kernel, x, weights, out, bias, residual, scratch, n, h, w, c // groups,
        *out.shape[1:3], k // groups, *size, *stride, *padding, *dilation, w * c,
        h * w * c, c, groups, 5, 1, kc, depth)  # fmt: skip
    close(out, exact)


def test_depthwise_convolution():
    case = (2, 9, 9, 19, 19, (3, 3), (2, 2), (1, 1), (1, 1), 19)
    n, h, w, c, _, size, stride, padding, dilation, _ = case
    x, weight, bias, residual, exact = conv_case(*case)
    out = np.full(exact.shape, np.nan, np.float32)
    taps = np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0))
    run(conv_depthwise(bias=True, residual=True, activation="relu"), x, taps, out, bias, residual,
        n, h, w, c, *out.shape[1:3], *size, *stride, *padding, *dilation)  # fmt: skip
    close(out, exact)


@pytest.mark.parametrize("m", [2, 4])
def test_winograd_matrices_give_the_convolution(m):
    b, g, a = (np.array(each) for each in matrices(m))
    d, f = numbers(1, m + 2).astype(float), numbers(2, 3).astype(float)
    found = a @ ((g @ f) * (b @ d))
    close(found, [d[i : i + 3] @ f for i in range(m)], 1e-12)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_winograd_convolution(m, shared, padding):
    case = (2, 9, 11, 19, 37, (3, 3), (1, 1), (padding, padding), (1, 1), 1)
    n, h, w, c, k = case[:5]
    x, weight, bias, residual, exact = conv_case(*case)
    out = np.full(exact.shape, np.nan, np.float32)
    nr = width(current())
    chunk, v_row, p_row = 7, 32, -(-k // nr) * nr
    v = np.empty(64 * (m + 2) ** 2 * chunk * v_row, np.float32)
    products = np.empty(64 * (m + 2) ** 2 * chunk * p_row, np.float32)
    run(winograd(m=m, shared=shared, bias=True, residual=True, activation="relu"), x,
        packed(transformed_weights(weight, m)), out, bias, residual, v, products, n, h, w, c, k,
        *out.shape[1:3], padding, padding, chunk, v_row, p_row)  # fmt: skip
    close(out, exact, 5e-6)


@pytest.mark.parametrize("n", [1, 5, 8, 37, 128])
def test_rows(n):
    x, more, weight, bias = numbers(1, 7, n), numbers(2, 7, n), numbers(3, n), numbers(4, n)
    out = np.full_like(x, np.nan)
    run(softmax(), x, out, 7, n, n, n)
    close(out, torch.softmax(torch.from_numpy(x).double(), 1))
    run(softmax(logarithm=True), x, out, 7, n, n, n)
    close(out, torch.log_softmax(torch.from_numpy(x).double(), 1))
    if n > 1:
        low = np.full((7, n + 1), 0xFFFF, np.uint16)
        run(layer_norm(add=True, weight=True, bias=True, result="both"), x, more, weight, bias, out,
            7, n, n, n, n, 1e-5, low, n + 1)  # fmt: skip
        assert (low[:, :n] == rounded(out)).all() and (low[:, n] == 0xFFFF).all()
        tensors = [torch.from_numpy(each).double() for each in (weight, bias)]
        close(out, F.layer_norm(torch.from_numpy(x + more).double(), (n,), *tensors), 1e-5)


def test_special_values_of_softmax():
    inf, nan = np.inf, np.nan
    x = np.array([[0, nan, 1], [-inf, 0, 0], [-inf, -inf, -inf], [inf, 0, 0]], np.float32)
    out = np.empty_like(x)
    run(softmax(), x, out, 4, 3, 3, 3)
    torch.testing.assert_close(
        torch.from_numpy(out), torch.softmax(torch.from_numpy(x), 1), equal_nan=True
    )


@pytest.mark.parametrize("shape", [(3, 5, 1), (2, 7, 19), (1, 4, 8)])
def test_sums(shape):
    x = numbers(1, *shape)
    out = np.empty((shape[0], shape[2]), np.float32)
    run(sum_middle(), x, out, *shape, 0.5)
    close(out, x.astype(float).sum(1) * 0.5)


def test_rows_of_a_table_and_an_index_outside():
    table, out, bad = numbers(1, 5, 11), np.zeros((3, 11), np.float32), np.zeros(1, np.int64)
    index = np.array([4, 0, 2])
    run(gather_rows(), table, index, out, 3, 11, 5, bad)
    assert (out == table[index]).all() and bad[0] == 0
    run(gather_rows(), table, np.array([0, 5, 1]), out, 3, 11, 5, bad)
    assert bad[0] == 2


@pytest.mark.parametrize("how", ["max", "mean"])
def test_pooling(how):
    x = numbers(1, 2, 9, 11, 19)
    x[0, 3, 3, 2] = np.nan
    image = torch.from_numpy(x).permute(0, 3, 1, 2)
    call = F.max_pool2d if how == "max" else F.avg_pool2d
    exact = call(image, 3, 2, 1).permute(0, 2, 3, 1).numpy()
    out = np.empty(exact.shape, np.float32)
    run(pool_kernel(how=how), x, out, 2, 9, 11, 19, *out.shape[1:3], 3, 3, 2, 2, 1, 1, 1, 1, 9)
    np.testing.assert_allclose(out, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("queries", "keys", "depth", "causal", "masked"),
    [
        (5, 5, 8, False, False),
        (33, 47, 64, False, True),
        (40, 40, 20, True, False),
        (1, 7, 32, 0, 0),
    ],
)
def test_attention(queries, keys, depth, causal, masked):
    q, k, v = (numbers(i, 2, 3, s, depth) for i, s in ((1, queries), (2, keys), (3, keys)))
    mask = numbers(4, 2, 1, queries, keys)
    out = np.full_like(q, np.nan)
    nr = width(current())
    room = -(-keys // nr) * nr * (depth + 12)
    scratch = np.empty(64 * room, np.float32)
    strides = [s for x in (q, k, v, out) for s in (x[0].size, x[0, 0].size, depth)]
    run(attention(mask=bool(masked), causal=bool(causal)), q, k, v, out, mask, scratch, 2, 3,
        queries, keys, depth, depth, *strides, queries * keys, 0, keys, 12, room, 0,
        0.25)  # fmt: skip
    exact = F.scaled_dot_product_attention(
        *[torch.from_numpy(x).double() for x in (q, k, v)], scale=0.25, is_causal=bool(causal),
        attn_mask=torch.from_numpy(mask).double() if masked else None,
    )  # fmt: skip
    close(out, exact)


EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1e30, -1e30, 88.7, -87.3, -103.9]
ULPS = {"exp": 1, "log": 1, "tanh": 2, "sqrt": 0, "rsqrt": 1, "ceil": 0, "round": 0, "relu": 0}


@pytest.mark.parametrize("name", ULPS)
def test_functions_are_within_ulps(name):
    x = np.concatenate([np.linspace(-100, 100, 20001), EDGES]).astype(np.float32)
    out = np.empty_like(x)
    table = np.zeros(4, np.int64)
    run(pointwise(expression=(name, ("in", 0)), kinds="v", rank=0), out, x.size, 1, table, x)
    exact = getattr(torch, name)(torch.from_numpy(x).double()).float().numpy()
    same = (out == exact) | (np.isnan(out) & np.isnan(exact))
    ulps = np.abs(out[~same].astype(float) - exact[~same]) / np.spacing(np.abs(exact[~same]))
    assert np.isfinite(out[~same]).all() and ulps.max(initial=0) <= ULPS[name]


@pytest.mark.parametrize("name", ["erf", "sigmoid", "gelu", "gelu_tanh", "silu"])
def test_functions_are_near_in_absolute_terms(name):
    x = np.concatenate([np.linspace(-30, 30, 20001), [0.0, -0.0]]).astype(np.float32)
    out = np.empty_like(x)
    table = np.zeros(4, np.int64)
    run(pointwise(expression=(name, ("in", 0)), kinds="v", rank=0), out, x.size, 1, table, x)
    calls = {"gelu": F.gelu, "gelu_tanh": lambda t: F.gelu(t, approximate="tanh"), "silu": F.silu}
    exact = calls.get(name, getattr(torch, name, None))(torch.from_numpy(x).double()).numpy()
    assert (np.abs(out - exact) <= 3e-7 * np.maximum(np.abs(x), 1)).all()


def test_elementwise_over_strides():
    a, c, d = numbers(1, 4, 5, 6), numbers(2, 5, 1), numbers(3, 6, 4, 5).transpose(1, 2, 0)
    out = np.empty((4, 5, 6), np.float32)
    steps = [s // 4 for s in d.strides]
    table = np.array([4, 30, 30, 0, steps[0], 5, 6, 6, 1, steps[1], 0, 1, 1, 0, steps[2]])
    expression = ("mul", ("add", ("in", 0), ("in", 1)), ("in", 2))
    run(pointwise(expression=expression, kinds="vsg", rank=2), out, 6, 20, table, a, c, d)
    close(out, (a + c) * d, 1e-6)


@pytest.mark.parametrize("shape", [(3, 11, 37), (1, 8, 8), (2, 1, 5)])
def test_transposes(shape):
    x = numbers(1, *shape)
    out = np.empty((shape[0], shape[2], shape[1]), np.float32)
    run(swap_axes(), x, out, *shape, shape[2], shape[1], x[0].size, x[0].size)
    assert (out == x.swapaxes(1, 2)).all()


@pytest.mark.parametrize("case", [(2, 13, 15, 16, 16, 1), (3, 14, 14, 40, 70, 1),
                                  (2, 17, 19, 32, 33, 0), (9, 56, 56, 16, 16, 1)])  # fmt: skip
def test_the_gradient_of_weights_by_winograds_way(case):
    n, h, w, c, k, pad = case
    x, grad = numbers(1, n, c, h, w), numbers(2, n, k, h + 2 * pad - 2, w + 2 * pad - 2)
    exact = torch.nn.grad.conv2d_weight(
        torch.from_numpy(x).double(), (k, c, 3, 3), torch.from_numpy(grad).double(), padding=pad
    ).numpy()
    out = np.full((k, c, 3, 3), np.nan, np.float32)
    eager.weight_gradient_of(grad, x, out, (1, 1), (pad, pad), (1, 1), 1)
    close(out, exact, 5e-6)


def test_the_rational_tanh_is_within_five_units_in_the_last_place():
    x = np.concatenate([np.linspace(-12, 12, 40001), np.logspace(-8, 1, 4001)]).astype(np.float32)
    out, table = np.empty_like(x), np.array([0, 1, 1], np.int64)
    kernel = pointwise(expression=("tanh_rational", ("in", 0)), kinds="v", rank=0)
    run(kernel, out, x.size, 1, table, x)
    exact = np.tanh(x.astype(np.float64))
    assert (np.abs(out - exact) <= 5 * np.spacing(np.abs(exact).astype(np.float32))).all()
    odd = np.array([np.nan, np.inf, -np.inf] * 6, np.float32)
    run(kernel, out, odd.size, 1, table, odd)
    assert np.isnan(out[0]) and abs(out[1] - 1) < 1e-6 and abs(out[2] + 1) < 1e-6
