"""The cache of objects: atomic, checked, bounded."""

import subprocess
import sys
import time

import pytest

from pellucid.kernels import cache


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_KERNEL_CACHE", str(tmp_path / "kernels"))


def test_what_was_written_is_read():
    cache.write("a", b"object")
    assert cache.read("a") == b"object"
    assert cache.read("b") is None


@pytest.mark.parametrize("damage", [b"", b"x", None])
def test_a_damaged_entry_is_removed_and_missed(damage):
    cache.write("a", b"object")
    (path,) = [entry.path for entry in cache.entries()]
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    assert cache.read("a") is None
    assert not path.exists()


def test_the_folder_is_bounded_and_the_longest_unused_goes_first(monkeypatch):
    monkeypatch.setattr(cache, "_LIMIT", 3300)
    for name in "abc":
        cache.write(name, bytes(1000))
        time.sleep(0.01)
    cache.read("a")
    cache.write("d", bytes(500))
    assert cache.read("b") is None and cache.read("a") is not None and cache.read("d") is not None


def test_keys_differ_by_settings():
    assert cache.key("gemm", 1) != cache.key("gemm", 2)
    assert cache.key("gemm", 1) == cache.key("gemm", 1)


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("PELLUCID_KERNEL_CACHE", str(blocked))
    cache.write("a", b"object")
    assert cache.read("a") is None and cache.clear() == 0


def test_off_keeps_nothing(monkeypatch):
    monkeypatch.setenv("PELLUCID_KERNEL_CACHE", "off")
    cache.write("a", b"object")
    assert cache.read("a") is None


def test_a_process_killed_while_it_writes_leaves_a_usable_cache(tmp_path):
    code = """
import os, signal
from pellucid.kernels import cache
original = os.replace
def killed(source, target): os.kill(os.getpid(), signal.SIGKILL)
os.replace = killed
cache.write("a", bytes(1 << 20))
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120)
    assert done.returncode < 0
    assert cache.read("a") is None
    cache.write("a", b"object")
    assert cache.read("a") == b"object"
    assert cache.clear() > 1 << 20
