"""Weights packed by kernels against the same packing by NumPy."""

import numpy as np
import pytest

from pellucid.kernels.pack import packed_rows
from pellucid.kernels.prepack import linear_weights, window_weights, winograd_weights
from pellucid.kernels.winograd import transformed_weights
from tests.kernels.helpers import close, numbers


@pytest.mark.parametrize("shape", [(64, 32), (1, 1), (37, 19), (100, 33), (32, 48)])
def test_linear(shape):
    w = numbers(1, *shape)
    assert (linear_weights(w).ravel() == packed_rows(w.T).ravel()).all()
    turned = np.ascontiguousarray(w.T).T
    assert (linear_weights(turned).ravel() == packed_rows(w.T).ravel()).all()


@pytest.mark.parametrize("groups", [1, 3])
def test_windows(groups):
    w = numbers(1, 39, 5, 3, 2)
    flat = w.reshape(groups, 39 // groups, 5, 3, 2).transpose(0, 3, 4, 2, 1)
    wanted = packed_rows(flat.reshape(groups, 30, 39 // groups))
    assert (window_weights(w, groups) == wanted.ravel()).all()


@pytest.mark.parametrize("m", [2, 4])
def test_winograd(m):
    w = numbers(1, 37, 18, 3, 3)
    close(winograd_weights(w, m), packed_rows(transformed_weights(w, m)).ravel(), 1e-6)
