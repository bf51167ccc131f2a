"""Contractions on kernels against float64, over letters, sizes and orders of memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.kernels import eager_contraction
from pellucid.kernels.eager_contraction import Operand, dots, merged, multiply, offsets
from tests.kernels.helpers import close, numbers


def operand(array, term, batch, own, summed):
    strides = dict(zip(term, (s // 4 for s in array.strides), strict=True))
    sizes = dict(zip(term, array.shape, strict=True))
    groups = [(tuple(sizes[c] for c in g), tuple(strides[c] for c in g))
              for g in (batch, own, summed)]  # fmt: skip
    return Operand(array, *groups)


def laid(seed, term, order, sizes):
    """Random numbers whose memory holds the letters in this order."""
    array = numbers(seed, *(sizes[c] for c in order))
    return array.transpose([order.index(c) for c in term])


def check(batch, rows, columns, summed, sizes, left_order, right_order, act=multiply):
    left, right, result = batch + rows + summed, batch + summed + columns, batch + rows + columns
    x, y = laid(1, left, left_order, sizes), laid(2, right, right_order, sizes)
    out = np.full([sizes[c] for c in result], np.nan, np.float32)
    act(operand(x, left, batch, rows, summed), operand(y, right, batch, columns, summed), out)
    exact = np.einsum(f"{left},{right}->{result}", x.astype(np.float64), y)
    close(out, exact, 1e-5)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_letters_in_any_order(data):
    count = st.integers(0, 2)
    batch, rows, columns, summed = (
        letters[: data.draw(count)] for letters in ("ab", "ij", "mn", "xy")
    )
    size = st.sampled_from([1, 2, 3, 5, 16, 17, 24])
    sizes = {c: data.draw(size) for c in batch + rows + columns + summed}
    left = "".join(data.draw(st.permutations(batch + rows + summed)))
    right = "".join(data.draw(st.permutations(batch + summed + columns)))
    check(batch, rows, columns, summed, sizes, left, right)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 200), k=st.integers(1, 200))
def test_dots_of_rows(rows, k):
    check("a", "", "", "x", {"a": rows, "x": k}, "ax", "ax", dots)


def test_runs_of_neighbours():
    lanes = eager_contraction.current().lanes
    one = offsets(((4 * lanes,), (1,)))
    assert one.runs.tolist() == [lanes] * 4
    assert offsets(((lanes,), (2,))).runs.tolist() == [0 if lanes > 2 else lanes]
    if lanes > 2:
        assert offsets(((2, lanes - 1), (1000, 1))).runs.tolist() == [lanes - 1]


def test_letters_that_lie_like_one():
    assert merged(((3, 4), (4, 1))) == 1
    assert merged(((3, 4), (8, 1))) is None
    assert merged(((3, 1, 4), (4, 77, 1))) == 1
    assert merged(((), ())) == 0


@pytest.mark.parametrize("target", ["scalar", "avx2"])
def test_other_targets(target):
    if target == "avx2" and not eager_contraction.current().name.startswith("avx"):
        pytest.skip("this CPU has no AVX2")
    script = (
        "from tests.kernels.test_contraction import check, dots\n"
        "sizes = dict(a=2, i=7, j=5, m=24, n=3, x=17, y=6)\n"
        "check('a', 'ij', 'mn', 'xy', sizes, 'ixajy', 'ymxan')\n"
        "check('a', 'ij', 'm', 'xy', sizes, 'aijxy', 'axym')\n"
        "check('a', '', '', 'x', sizes, 'ax', 'ax', dots)\n"
    )
    environment = os.environ | {"PELLUCID_TARGET": target}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
