"""Storage and the caching allocator: aligned, shared, reused, and never handed out while in use."""

import gc
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid
from pellucid.config import cache_bytes, debug_windows
from pellucid.tensor import storage as module
from pellucid.tensor.storage import ALIGNMENT, Storage, empty_cache, size_class, statistics


@given(st.integers(min_value=0, max_value=1 << 34))
def test_a_size_class_holds_the_bytes_with_little_slack(nbytes: int) -> None:
    size = size_class(nbytes)
    assert size >= nbytes
    assert size % ALIGNMENT == 0
    assert size <= max(64, nbytes + 63, nbytes * 1.125 + 64)
    assert size_class(size) == size


@pytest.mark.parametrize("nbytes", [0, 1, 63, 64, 65, 4096, 4097, 100_000, 33_000_000])
def test_memory_starts_at_a_cache_line(nbytes: int) -> None:
    fresh = Storage(nbytes)
    assert fresh.address % ALIGNMENT == 0
    assert fresh.nbytes() == len(fresh) == nbytes
    assert fresh.buffer.nbytes >= nbytes


def test_freed_memory_is_reused() -> None:
    empty_cache()
    first = pellucid.zeros(1_000_000)
    address = first.data_ptr()
    del first
    before = statistics.fresh_bytes
    second = pellucid.zeros(1_000_000)
    assert second.data_ptr() == address
    assert statistics.fresh_bytes == before


def test_results_of_operators_come_from_the_cache() -> None:
    x, y = pellucid.ones(500_000), pellucid.ones(500_000)
    x + y
    gc.collect()
    before = statistics.fresh_blocks
    for _ in range(20):
        x + y
    assert statistics.fresh_blocks == before


def test_memory_that_numpy_still_shows_is_not_handed_out() -> None:
    empty_cache()
    tensor = pellucid.full((1000,), 7.0)
    array = tensor.numpy()
    del tensor
    others = [pellucid.zeros(1000) for _ in range(4)]
    assert (array == 7).all()
    assert all(not np.shares_memory(array, other.numpy()) for other in others)


def test_memory_that_a_view_still_shows_is_not_handed_out() -> None:
    empty_cache()
    tensor = pellucid.full((1000,), 7.0)
    part = tensor[10:20]
    del tensor
    others = [pellucid.zeros(1000) for _ in range(4)]
    assert (part.numpy() == 7).all()
    assert len(others) == 4


def test_data_shares_bytes_but_not_versions() -> None:
    x = pellucid.zeros(3)
    data = x.data
    data.add_(1)
    assert x.tolist() == [1, 1, 1]
    assert x._version == 0
    assert data.data_ptr() == x.data_ptr()


def test_memory_lives_as_long_as_its_last_alias() -> None:
    empty_cache()
    data = pellucid.full((1000,), 3.0).data
    others = [pellucid.zeros(1000) for _ in range(4)]
    assert (data.numpy() == 3).all()
    assert len(others) == 4


def test_the_cache_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    empty_cache()
    monkeypatch.setattr(module, "_limit", 1 << 20)
    blocks = [Storage(400_000) for _ in range(5)]
    del blocks
    assert statistics.cached_bytes <= 1 << 20
    empty_cache()
    assert statistics.cached_bytes == 0


def test_storages_of_many_threads_never_share() -> None:
    failures: list[str] = []

    def work(value: int) -> None:
        for _ in range(300):
            tensor = pellucid.full((257,), float(value))
            other = tensor + 0
            if not (other.numpy() == value).all() or not (tensor.numpy() == value).all():
                failures.append(f"thread {value} saw another thread's numbers")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_resizing_keeps_the_bytes_that_fit() -> None:
    x = pellucid.arange(4)
    x.untyped_storage().resize_(16)
    assert x.untyped_storage().nbytes() == 16
    y = pellucid.arange(4)
    y.resize_(6)
    assert y[:4].tolist() == [0, 1, 2, 3]


def test_an_unknown_debug_window_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no window named 'nothing'; there are .*ops"):
        debug_windows("ops,nothing")
    assert debug_windows("ops, alloc") == {"ops", "alloc"}


def test_a_cache_size_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_CACHE_MB", "lots")
    with pytest.raises(ValueError, match="must be a whole number of MiB"):
        cache_bytes()
