"""Running kernels on arrays, for tests."""

import numpy as np

from pellucid.kernels import pool
from pellucid.kernels.pack import packed_rows


def run(kernel, *values):
    """Run a kernel; arrays become addresses."""
    pool.run(kernel, *[v.ctypes.data if isinstance(v, np.ndarray) else v for v in values])


def numbers(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def packed(b):
    return packed_rows(np.ascontiguousarray(b))


def close(got, want, tolerance=3e-6):
    """Within `tolerance` of the scale of the exact result."""
    want = np.asarray(want, np.float64)
    scale = max(float(np.abs(want).max(initial=0.0)), 1e-30)
    assert np.abs(got - want).max(initial=0.0) <= tolerance * scale
