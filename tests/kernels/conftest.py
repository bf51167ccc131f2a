"""Kernels run on three threads here, more than there may be cores, so that sharing is tested."""

import pytest

from pellucid.kernels import pool


@pytest.fixture(scope="module", autouse=True)
def three_threads():
    before = pool.num_threads()
    pool.set_num_threads(3)
    yield
    pool.set_num_threads(before)
