"""Kernels over regions against the array routines in float64, which torchvision's answers check."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.kernels import eager_regions
from pellucid.ops.detection import compiled, kernels_align, kernels_pool
from pellucid.ops.detection.kernels_align import Geometry
from tests.kernels.helpers import close, numbers

SCALE = 0.25


def boxes_for(seed, k, n, h, w):
    """Boxes of all sizes, some outside of the map, some inside out."""
    draw = np.random.default_rng(seed)
    boxes = np.empty((k, 5), np.float32)
    boxes[:, 0] = draw.integers(0, n, k)
    centre = draw.random((k, 2)) * [w, h] / SCALE
    size = (draw.random((k, 2)) * 1.4 - 0.2) * [w, h] / SCALE
    boxes[:, 1:3], boxes[:, 3:] = centre - size / 2, centre + size / 2
    return boxes


cases = {
    "seed": st.integers(0, 1 << 20),
    "n": st.integers(1, 3),
    "c": st.sampled_from([1, 5, 16, 37, 150]),
    "cells": st.tuples(st.integers(1, 30), st.integers(1, 30)),
    "k": st.integers(1, 9),
    "bins": st.sampled_from([(1, 1), (3, 2), (4, 4), (7, 7)]),
}


def check_align(seed, n, c, cells, k, bins, ratio, aligned, last=False):
    x = numbers(seed, n, *cells, c).transpose(0, 3, 1, 2)
    x = x if last else np.ascontiguousarray(x)
    boxes = boxes_for(seed, k, n, *cells)
    geometry = Geometry(SCALE, bins, ratio, 0.5 if aligned else 0.0, None if aligned else 1.0)
    regions = compiled.regions(boxes, geometry, cells)
    out, exact = np.full((k, c, *bins), np.nan, np.float32), np.empty((k, c, *bins), np.float32)
    eager_regions.align(x, regions, out)
    kernels_align.align(x, boxes, geometry, exact)
    close(out, exact, 2e-6)
    grad = numbers(seed + 1, *out.shape)
    back, exact = np.full((n, c, *cells), np.nan, np.float32), np.empty((n, c, *cells))
    eager_regions.align_transpose(grad, regions, back)
    kernels_align.align_transpose(grad, boxes, geometry, exact)
    close(back, exact, 4e-6)


@settings(max_examples=25, deadline=None)
@given(**cases, ratio=st.integers(-1, 3), aligned=st.booleans(), last=st.booleans())
def test_align_and_its_transpose(**case):
    check_align(**case)


def check_pool(seed, n, c, cells, k, bins):
    # Few different values: ties must go to the first cell.
    x = np.round(numbers(seed, n, c, *cells))
    x[0, 0, 0, 0] = np.nan
    boxes = boxes_for(seed, k, n, *cells)
    exact, places = np.empty((k, c, *bins), np.float32), np.empty((k, c, *bins), np.int32)
    assert exact.size < compiled.NUMBERS  # so that the next line is NumPy's
    kernels_pool.pool(x, boxes, SCALE, exact, places)
    found = []
    for axis in (1, 0):
        along = kernels_pool.quantise(boxes, axis, SCALE, bins[1 - axis], cells[1 - axis], True)
        found.append(np.ascontiguousarray(np.stack(along[2:], axis=-1)))
    out, chosen = np.full_like(exact, np.nan), np.full_like(places, -7)
    eager_regions.largest(x, compiled.images(boxes), *found, out, chosen)
    np.testing.assert_array_equal(out, exact)
    np.testing.assert_array_equal(chosen, places)
    grad = numbers(seed + 1, *out.shape)
    back, exact = np.full(x.shape, np.nan, np.float32), np.empty(x.shape)
    eager_regions.spread(grad, chosen, compiled.images(boxes), back)
    kernels_pool.spread(grad.astype(np.float64), places, boxes, exact)
    close(back, exact, 4e-6)


@settings(max_examples=25, deadline=None)
@given(**cases)
def test_pooling_and_its_gradient(**case):
    check_pool(**case)


def test_gradients_are_the_same_in_every_run_and_on_any_number_of_threads():
    boxes = boxes_for(1, 200, 2, 20, 30)
    geometry = Geometry(SCALE, (7, 7), 2, 0.5, None)
    regions = compiled.regions(boxes, geometry, (20, 30))
    grad = numbers(2, 200, 70, 7, 7)
    found = []
    for threads in (1, 2, 3, 3):
        eager_regions.pool.set_num_threads(threads)
        out = np.empty((2, 70, 20, 30), np.float32)
        eager_regions.align_transpose(grad, regions, out)
        found.append(out)
    assert all((each == found[0]).all() for each in found)


@pytest.mark.parametrize("target", ["scalar", "avx2"])
def test_other_targets(target):
    script = (
        "from tests.kernels.test_regions import check_align, check_pool\n"
        "check_align(3, 2, 21, (9, 12), 6, (3, 3), 0, True)\n"
        "check_align(4, 1, 8, (9, 12), 6, (4, 4), 2, False, True)\n"
        "check_pool(5, 2, 11, (9, 12), 6, (3, 3))\n"
    )
    if target == "avx2" and not eager_regions.current().name.startswith("avx"):
        pytest.skip("this CPU has no AVX2")
    environment = os.environ | {"PELLUCID_TARGET": target}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
