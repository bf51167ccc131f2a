"""The threads that run kernels: the caller is worker 0, the others wait for it.

A region starts when the caller raises the epoch; workers spin for some microseconds and then sleep
until they are woken. Python threads give the workers their stacks, but no Python runs in them: each
sits in one native call that waits, works and waits again. One region runs at a time. A caller that
finds the pool busy, or is itself inside a region, runs its kernel alone, with the same result.
"""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any

from pellucid.kernels import cache, jit
from pellucid.kernels.kernel import CLAIMED, Compiled
from pellucid.kernels.language.builder import Builder
from pellucid.kernels.language.nodes import Program, Value
from pellucid.kernels.language.types import I64, PTR
from pellucid.kernels.target import current
from pellucid.kernels.threads import listeners, num_threads, set_num_threads
from pellucid.kernels.waiting import DOZE, SYSCALL, wait_while, wake

# Words of the pool's memory, eight to a cache line. The barrier's own words lie between.
EPOCH, FUNCTION, ARGS, THREADS, STOP = 0, 1, 2, 3, 4
DONE, DONE_SLEEPERS, EPOCH_SLEEPERS = 24, 25, 32
_WORDS = 64


def _word(b: Builder, pool: Value, word: int) -> Value:
    return b.offset(pool, word, I64)


def worker_program() -> Program:
    """`worker(pool, index, seen)`: wait for an epoch, run the region, say so, until stopped."""
    b = Builder(current(), "worker", "pool: ptr, index: i64, seen: i64")
    pool, index, first = b.parameters
    running = b.register(b.i64(1), "running")
    seen = b.register(first, "seen")
    with b.repeat(lambda: b.binary("eq", b.get(running), 1)):
        wait_while(b, pool, EPOCH, EPOCH_SLEEPERS, lambda now: b.binary("eq", now, b.get(seen)))
        b.set(seen, b.atomic_load(_word(b, pool, EPOCH)))
        with b.when(b.binary("eq", b.load(pool, STOP, I64), 1)):
            b.set(running, 0)
        with b.otherwise():
            threads = b.load(pool, THREADS, I64)
            with b.when(index < threads):
                function, args = b.load(pool, FUNCTION, PTR), b.load(pool, ARGS, PTR)
                b.call_pointer(function, args, index, threads, pool)
            b.atomic_add(_word(b, pool, DONE), 1)
            wake(b, pool, DONE, DONE_SLEEPERS)
    return b.program()


def region_program() -> Program:
    """`region(pool, function, args, threads, workers)`: start the workers, take part, wait."""
    b = Builder(
        current(), "region", "pool: ptr, function: ptr, args: ptr, threads: i64, workers: i64"
    )
    pool, function, args, threads, workers = b.parameters
    b.store(function, pool, FUNCTION)
    b.store(args, pool, ARGS)
    b.store(threads, pool, THREADS)
    b.atomic_store(_word(b, pool, DONE), 0)
    b.atomic_store(_word(b, pool, CLAIMED), 0)
    b.atomic_add(_word(b, pool, EPOCH), 1)
    wake(b, pool, EPOCH, EPOCH_SLEEPERS)
    b.call_pointer(function, args, b.i64(0), threads, pool)
    wait_while(b, pool, DONE, DONE_SLEEPERS, lambda now: now < workers)
    return b.program()


def _native(make: Any, name: str, *types: Any) -> Any:
    key = cache.key(name, current(), jit.versions())
    address = jit.build(make, name, key, current())
    return ctypes.CFUNCTYPE(None, *types)(address)


_C_INT, _C_PTR = ctypes.c_int64, ctypes.c_void_p


class Pool:
    """`threads` threads, the caller's included."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._memory = (ctypes.c_int64 * (_WORDS + 8))()
        skip = -ctypes.addressof(self._memory) % 64 // 8
        self.address = ctypes.addressof(self._memory) + 8 * skip
        words = (ctypes.c_int64 * _WORDS).from_address(self.address)
        libc = ctypes.CDLL(None)
        for word, name in ((SYSCALL, "syscall"), (DOZE, "usleep")):
            words[word] = ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0
        self._words = words
        worker = _native(worker_program, "worker", _C_PTR, _C_INT, _C_INT)
        self._region = _native(region_program, "region", _C_PTR, _C_PTR, _C_PTR, _C_INT, _C_INT)
        for index in range(1, threads):
            threading.Thread(
                target=worker, args=(self.address, index, 0), daemon=True,
                name=f"pellucid-worker-{index}",
            ).start()  # fmt: skip

    def run(self, kernel: Compiled, args: int) -> None:
        """Run a kernel on all threads; `args` is the address of its arguments."""
        if self.threads > 1 and self._lock.acquire(blocking=False):
            try:
                self._region(self.address, kernel.address, args, self.threads, self.threads - 1)
            finally:
                self._lock.release()
        else:
            kernel.entry(args, 0, 1, self.address)

    def stop(self) -> None:
        """End the workers. They read this pool's memory a little longer, so it is kept."""
        _ended.append(self._memory)
        with self._lock:
            self._words[STOP] = 1
            nothing = _idle()
            self._region(self.address, nothing, 0, 0, 0)


def _idle() -> int:
    """The address of a kernel that does nothing."""

    def make() -> Program:
        return Builder(
            current(), "idle", "args: ptr, thread: i64, threads: i64, team: ptr"
        ).program()

    return jit.build(make, "idle", cache.key("idle", current(), jit.versions()), current())


__all__ = ["Pool", "num_threads", "pool", "run", "run_alone", "set_num_threads"]

_ended: list[Any] = []
_pool: Pool | None = None
_making = threading.Lock()


def pool() -> Pool:
    """The process's pool, made when it is first needed."""
    global _pool
    found = _pool
    if found is None:
        with _making:
            if _pool is None:
                _pool = Pool(num_threads())
            found = _pool
    return found


def _resize(threads: int) -> None:
    """End a pool of another size; the next kernel makes its own."""
    global _pool
    with _making:
        old = _pool
        if old is not None and old.threads != threads:
            _pool = None
            old.stop()


listeners.append(_resize)


def run(kernel: Compiled, *values: Any) -> None:
    """Run a kernel on the pool with these arguments."""
    block = kernel.pack(*values)
    pool().run(kernel, ctypes.addressof(block))


def run_alone(kernel: Compiled, *values: Any) -> None:
    """Run a kernel on the calling thread only: for work too small to share."""
    block = kernel.pack(*values)
    kernel.entry(ctypes.addressof(block), 0, 1, 0)


def _forget_pool() -> None:
    """A forked child has none of the threads; it makes its own when it needs them."""
    global _pool, _making
    _pool = None
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
