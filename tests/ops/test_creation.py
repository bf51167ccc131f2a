"""Factories against PyTorch: sizes, dtypes, `out=`, ranges to the last bit, windows, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
from pellucid.tensor.events import listening
from tests.expressions import check, lines

FACTORIES = """
    torch.zeros(2, 3)
    torch.zeros((2, 3))
    torch.zeros([2, 3])
    torch.zeros(size=(2,))
    torch.zeros(())
    torch.zeros(0, 3)
    torch.zeros(torch.tensor(2))
    torch.zeros((torch.tensor(2), 3))
    torch.ones(2, dtype=torch.int32)
    torch.ones(2, dtype=bool)
    torch.ones(2, dtype=float)
    torch.ones(2, requires_grad=True)
    torch.ones(2, device="cpu", layout=torch.strided, pin_memory=False)
    torch.zeros(2, out=torch.empty(2, dtype=torch.float64))
    torch.zeros(2, out=torch.empty(3))
    torch.full((2,), 2)
    torch.full((2,), 2.5)
    torch.full((2,), True)
    torch.full((2,), 2j)
    torch.full((2,), 1.5, dtype=torch.int64)
    torch.full((2,), torch.tensor(2.5))
    torch.full((2,), 2, out=torch.empty(0))
    torch.full_like(torch.zeros(2, dtype=torch.int32), 2.7)
    torch.full_like(torch.zeros(2, dtype=torch.bool), 2.7)
    torch.zeros_like(torch.ones(3, 2).t())
    torch.ones_like(torch.ones(2, 3, 4, 5).permute(0, 2, 3, 1))
    torch.zeros_like(torch.ones(2, 3).expand(4, 2, 3))
    torch.zeros_like(torch.ones(2, 3, 4, 5), memory_format=torch.channels_last)
    torch.zeros_like(torch.ones(3, 2).t(), memory_format=torch.contiguous_format, dtype=torch.int8)
    torch.empty(2, 3, 4, 5, memory_format=torch.channels_last).stride()
    torch.ones(2, dtype=torch.int16).new_zeros(2, 3)
    torch.ones(2, dtype=torch.int16).new_ones((2, 3), dtype=torch.float32)
    torch.ones(2, dtype=torch.int16).new_full((2,), 2.5)
    torch.ones(2).new_empty_strided((2, 3), (1, 2)).stride()
    torch.empty_strided((2, 3), (0, 0)).untyped_storage().nbytes()
    torch.empty_permuted((2, 3, 4), (2, 0, 1)).stride()
    torch.eye(3)
    torch.eye(2, 3, dtype=torch.bool)
    torch.eye(2, out=torch.empty(0, dtype=torch.int32))
    torch.tril_indices(3, 3)
    torch.tril_indices(3, 4, -1)
    torch.triu_indices(3, 2, 1, dtype=torch.int32)
    torch.triu_indices(0, 3)
    torch.vander(torch.tensor([1, 2, 3]))
    torch.vander(torch.tensor([1.0, 2, 3]), 2, True)
"""

REFUSED = """
    torch.zeros()
    torch.zeros(-1)
    torch.zeros(2.5)
    torch.zeros(True)
    torch.zeros(2, "a")
    torch.zeros(2, foo=1)
    torch.zeros(2, dtype=3)
    torch.zeros(2, device="cuda")
    torch.zeros(2, device="foo")
    torch.zeros(2, requires_grad=1)
    torch.zeros(2, requires_grad=True, dtype=torch.int64)
    torch.zeros(2, pin_memory=True)
    torch.zeros(2, out=3)
    torch.zeros(2, out=torch.empty(2, dtype=torch.float64), dtype=torch.float32)
    torch.empty(2, memory_format=torch.preserve_format)
    torch.empty(2, 3, memory_format=torch.channels_last)
    torch.full(2, 1)
    torch.full((2,), "a")
    torch.full((2,), float("nan"), dtype=torch.int64)
    torch.full((2,), 300, dtype=torch.uint8)
    torch.full((2,), 2j, dtype=torch.float32)
    torch.full((2,), torch.tensor([2.5]))
    torch.full((2,), torch.tensor(2.5, requires_grad=True))
    torch.zeros_like([1])
    torch.zeros_like(torch.ones(2), foo=1)
    torch.eye(-1)
    torch.eye(2, -1)
    torch.eye(2.0)
    torch.empty_strided((2,), (1, 2))
    torch.empty_strided((2,), (-1,))
    torch.empty_permuted((2, 3), (1,))
    torch.empty_permuted((2, 3), (1, 1))
    torch.empty_permuted((2, 3), (1, 2))
    torch.tril_indices(-3, 3)
    torch.tril_indices(3, 3, dtype=torch.float32)
    torch.vander(torch.ones(2, 2))
    torch.vander(torch.ones(2), -1)
"""

RANGES = """
    torch.arange(3)
    torch.arange(3.0)
    torch.arange(1, 3, 0.5)
    torch.arange(5, 0, -2)
    torch.arange(end=3, start=1)
    torch.arange(1, step=2, end=5)
    torch.arange(torch.tensor(3))
    torch.arange(0, 5, 1.5, dtype=torch.int64)
    torch.arange(0, 5, 1.5, dtype=torch.int32)
    torch.arange(0.5, 5, 1, dtype=torch.int64)
    torch.arange(2**60, 2**60 + 3)
    torch.arange(6, out=torch.empty(2, 3).t())
    torch.arange(3, out=torch.empty(2, 2))
    torch.arange(1000, dtype=torch.bfloat16)
    torch.arange(0, 7, 0.013, dtype=torch.float16)
    torch.range(0, 3)
    torch.range(0, 3, 0.5)
    torch.linspace(0, 1, 3)
    torch.linspace(0, 10, 4, dtype=torch.int64)
    torch.linspace(0, 1, 0)
    torch.linspace(0, 1, 1)
    torch.linspace(0, 1j, 3)
    torch.linspace(torch.tensor(0), torch.tensor(1.0), 3)
    torch.linspace(3, -2, 37, dtype=torch.bfloat16)
    torch.linspace(3, -2, 37, dtype=torch.float16)
    torch.linspace(0, 1, 3, out=torch.empty(0, dtype=torch.float64))
    torch.logspace(0, 3, 4, dtype=torch.int64)
    torch.logspace(0, 3, 4, base=2)
    torch.arange(1, 3, 0)
    torch.arange(3, 1)
    torch.arange(0, float("inf"))
    torch.arange(0, 1, 0.1, dtype=torch.int64)
    torch.arange(3, dtype=torch.bool)
    torch.arange(3j)
    torch.arange("a")
    torch.arange()
    torch.arange(1, 2, 3, 4)
    torch.arange(3, requires_grad=True)
    torch.linspace(0, 1, -1)
    torch.linspace(0, 1, 3.0)
    torch.linspace(torch.tensor([0]), 1, 3)
    torch.linspace(0, 1j, 3, dtype=torch.float32)
    torch.linspace(0, 3, 4, dtype=torch.bool)
"""

WINDOWS = """
    torch.hann_window(0)
    torch.hann_window(1)
    torch.hann_window(5)
    torch.hann_window(5, False, dtype=torch.float64)
    torch.hamming_window(8, True, 0.5, 0.5)
    torch.blackman_window(5)
    torch.bartlett_window(8)
    torch.bartlett_window(9, periodic=False, dtype=torch.float64)
    torch.hann_window(-1)
    torch.hann_window(5.0)
    torch.hann_window(5, dtype=torch.complex64)
"""


@pytest.mark.parametrize("expression", lines(FACTORIES + REFUSED))
def test_factory(expression):
    check(expression)


@pytest.mark.parametrize("expression", lines(RANGES + WINDOWS))
def test_range_or_window(expression):
    check(expression, warned="range" not in expression)


steps = st.floats(0.001, 3, allow_subnormal=False)
ends = st.floats(-50, 50, allow_subnormal=False)


@given(ends, st.integers(0, 300), steps, st.sampled_from(["float32", "float64", "int32", "int8"]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_arange_agrees_in_every_bit(start, count, step, dtype):
    end = start + count * step
    want = torch.arange(start, end, step, dtype=getattr(torch, dtype))
    have = pellucid.arange(start, end, step, dtype=getattr(pellucid, dtype))
    np.testing.assert_array_equal(have.numpy(), want.numpy())


@given(ends, ends, st.integers(0, 200), st.sampled_from(["float32", "float64", "int64", "uint8"]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_linspace_agrees_in_every_bit(start, end, count, dtype):
    if dtype == "uint8":
        start, end = abs(start), abs(end)
    want = torch.linspace(start, end, count, dtype=getattr(torch, dtype))
    have = pellucid.linspace(start, end, count, dtype=getattr(pellucid, dtype))
    np.testing.assert_array_equal(have.numpy(), want.numpy())


@pytest.mark.parametrize("beta", [0.5, 12.0])
def test_kaiser_window(beta):
    want = torch.kaiser_window(33, True, beta, dtype=torch.float64)
    have = pellucid.kaiser_window(33, True, beta, dtype=pellucid.float64)
    np.testing.assert_allclose(have.numpy(), want.numpy(), rtol=1e-14)


def test_zeros_are_zeros_in_reused_memory():
    for _ in range(3):
        used = pellucid.full((1000,), 7.0)
        del used
        assert not pellucid.zeros(1000).any()


def test_out_counts_as_written():
    out = pellucid.ones(3)
    version = out._version
    assert pellucid.arange(3, out=out) is out
    assert out._version == version + 1


def test_factories_are_told():
    heard = []
    with listening(heard.append):
        pellucid.zeros(2, 3)
        pellucid.arange(4)
    assert [(event.name, event.kind, event.nbytes) for event in heard] == [
        ("zeros", "copy", 24),
        ("arange", "copy", 32),
    ]


def test_made_in_inference_mode_they_are_inference_tensors():
    with pellucid.inference_mode():
        assert pellucid.zeros(2).is_inference()
        assert pellucid.rand(2).is_inference()


TOO_LARGE = {
    "full of one": lambda lib, kind: lib.full((1, 1), 1e39, dtype=kind),
    "full of two": lambda lib, kind: lib.full((2,), 1e39, dtype=kind),
    "full of none": lambda lib, kind: lib.full((0,), 1e39, dtype=kind),
    "full without data": lambda lib, kind: lib.full((2,), 1e39, dtype=kind, device="meta").dtype,
    "full_like": lambda lib, kind: lib.full_like(lib.zeros(3, dtype=kind), -1e39),
    "new_full": lambda lib, kind: lib.zeros(3, dtype=kind).new_full((2,), 1e39),
    "fill_ of one": lambda lib, kind: lib.zeros(1, dtype=kind).fill_(1e39),
    "fill_ of three": lambda lib, kind: lib.zeros(3, dtype=kind).fill_(-1e39),
    "fill_ with infinity": lambda lib, kind: lib.zeros(3, dtype=kind).fill_(-math.inf),
    "between largest and infinity": lambda lib, kind: lib.full((2,), 65510.0, dtype=kind),
    "assignment": lambda lib, kind: assigned(lib.zeros(3, dtype=kind), slice(0, 2), 1e39),
}


def assigned(x, index, value):
    x[index] = value
    return x


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("make", TOO_LARGE.values(), ids=TOO_LARGE)
def test_too_large_for_half_precision(make, kind):
    """One element is infinite, several are refused."""
    told = []
    for lib in (torch, pellucid):
        try:
            told.append(str(make(lib, getattr(lib, kind))))
        except RuntimeError as error:
            told.append(repr(error))
    assert told[0] == told[1]
