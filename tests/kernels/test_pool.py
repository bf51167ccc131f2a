"""The thread pool: every thread takes part, barriers hold, forks and busy pools are no trouble."""

import ctypes
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from pellucid.kernels import pool
from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.types import I64


@kernel("counts: ptr, rounds: i64")
def count_in_turns(b: KernelBuilder) -> None:
    """Each thread adds to its own word, then, behind a barrier, reads all words: a thread that
    runs ahead would see fewer rounds than its own.
    """
    b.begin()
    with b.loop("round", 0, b.arg.rounds) as round:
        b.store(round + 1, b.arg.counts, b.thread * 8, None)
        b.barrier()
        with (
            b.loop("other", 0, b.threads) as other,
            b.when(b.binary("ne", b.load(b.arg.counts, other * 8, I64), round + 1)),
        ):
            b.store(b.i64(1), b.arg.counts, other * 8 + 1)
        b.barrier()


def test_all_threads_take_part_and_barriers_hold():
    counts = np.zeros(64 * 8, np.int64)
    for _ in range(20):
        pool.run(count_in_turns(), counts.ctypes.data, 50)
    words = counts.reshape(-1, 8)
    assert (words[:3, 0] == 50).all() and not words[:, 1].any()


def test_a_busy_pool_lets_the_caller_work_alone():
    team = pool.pool()
    counts = np.zeros(64 * 8, np.int64)
    with team._lock:
        pool.run(count_in_turns(), counts.ctypes.data, 5)
    assert counts.reshape(-1, 8)[:3, 0].tolist() == [5, 0, 0]


def test_calls_from_several_python_threads():
    kernel_ = count_in_turns()
    failures = []

    def work():
        counts = np.zeros(64 * 8, np.int64)
        for _ in range(200):
            pool.run(kernel_, counts.ctypes.data, 3)
            if counts.reshape(-1, 8)[:, 1].any() or counts[0] != 3:
                failures.append(counts)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_number_of_threads_can_change():
    kernel_ = count_in_turns()
    for threads in (1, 2, 4, 3):
        pool.set_num_threads(threads)
        counts = np.zeros(64 * 8, np.int64)
        pool.run(kernel_, counts.ctypes.data, 2)
        assert (counts.reshape(-1, 8)[:, 0] == 2).sum() == threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_a_pool_of_its_own():
    code = """
import os, numpy as np
from pellucid.kernels import pool
from pellucid.kernels.rows import softmax
pool.set_num_threads(2)
x = np.ones((4, 8), np.float32); out = np.zeros_like(x)
def go(): pool.run(softmax(), x.ctypes.data, out.ctypes.data, 4, 8, 8, 8)
go()
child = os.fork()
if not child:
    out[:] = 0; go(); os._exit(0 if (out == 0.125).all() else 1)
assert os.waitpid(child, 0)[1] == 0
go(); assert (out == 0.125).all()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_arguments_are_packed_as_words():
    compiled = count_in_turns()
    block = compiled.pack(7, -3)
    assert list((ctypes.c_int64 * 2).from_buffer(block)) == [7, -3]
