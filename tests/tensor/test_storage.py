"""Storage and the caching allocator: aligned, shared, reused, and never handed out while in use."""

import gc
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
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


@pytest.mark.parametrize("engine", [torch, pellucid], ids=["torch", "pellucid"])
class TestFromFile:
    """Storages and tensors over files, in PyTorch and here."""

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "bytes"
        path.write_bytes(bytes(range(16)))
        return str(path)

    @pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
    def test_reading(self, engine, path):
        storage = engine.UntypedStorage.from_file(path, False, 8)
        assert storage.tolist() == storage.untyped().tolist() == list(range(8))
        assert engine.UntypedStorage.from_file(path, True, 8).filename == path
        assert engine.UntypedStorage.from_file(path, shared=False, nbytes=3).tolist() == [0, 1, 2]
        assert engine.UntypedStorage.from_file(path).nbytes() == 0
        words = engine.from_file(path, size=2, dtype=engine.int32)
        assert words.tolist() == [0x03020100, 0x07060504]
        assert engine.from_file(path, size=4, requires_grad=True).requires_grad
        assert engine.from_file(path).shape == (0,)
        assert engine.LongStorage.from_file(path, False, 1).tolist() == [0x0706050403020100]
        assert engine.zeros(2).untyped_storage().filename is None

    def test_writing(self, engine, path):
        private = engine.from_file(path, size=16, dtype=engine.uint8)
        private.fill_(7)
        assert private.sum().item() == 7 * 16
        assert Path(path).read_bytes() == bytes(range(16))
        shared = engine.from_file(path, shared=True, size=32, dtype=engine.uint8)
        shared[0] = 9
        assert shared.is_shared()
        assert shared.untyped_storage().is_shared()
        assert Path(path).read_bytes() == bytes([9, *range(1, 16), *[0] * 16])

    @pytest.mark.parametrize(
        ("name", "nbytes", "words"),
        [
            ("bytes", 100, "size <16> is smaller than the required mapping size <100>"),
            ("nothing", 1, "unable to open file <.*> in read-only mode: No such file"),
            ("", 10, "unable to mmap 10 bytes from file <.*>: No such device"),
            ("bytes", -1, "unable to mmap -1 bytes from file <.*>: Cannot allocate memory"),
        ],
    )
    def test_refusals(self, engine, path, name, nbytes, words):
        with pytest.raises(RuntimeError, match=words):
            engine.UntypedStorage.from_file(str(Path(path).parent / name), False, nbytes)

    def test_the_size_of_the_object_counts_the_bytes(self, engine, path):
        sizes = [sys.getsizeof(engine.zeros(n).untyped_storage()) for n in (0, 10)]
        assert sizes[1] - sizes[0] == 40
