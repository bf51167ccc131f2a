"""The worker processes of one iteration, as their parent sees them: start, send, receive, stop."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections import deque
from multiprocessing.connection import wait
from pickle import PicklingError
from typing import Any

from pellucid.data.transport import Channel
from pellucid.data.worker import Job, parent_ends, worker_loop

__all__ = ["WorkerPool"]

CHECK = 5.0
"""Seconds between looks at whether all workers live, and that workers get for ending."""


class WorkerPool:
    """Processes with a channel to each. `context` is one of `multiprocessing`'s (fork, spawn,
    forkserver).

    Raises: what pickling raises, when the start method needs to pickle the data set and cannot.
    """

    def __init__(self, context: Any, job: Job) -> None:
        self.owner = os.getpid()
        self.processes: list[Any] = []
        self.channels: list[Channel] = []
        self._ready: deque[Any] = deque()
        try:
            for worker_id in range(job.num_workers):
                self._start(context, job, worker_id)
        except BaseException:
            self.stop()
            raise

    def _start(self, context: Any, job: Job, worker_id: int) -> None:
        mine, theirs = context.Pipe()
        channel = Channel(mine)
        parent_ends.add(channel)
        self.channels.append(channel)
        process = context.Process(
            target=worker_loop, args=(theirs, job, worker_id, self.owner), daemon=True
        )
        try:
            process.start()
        except (TypeError, AttributeError, PicklingError):
            warnings.warn(
                "Got pickle error when attempting to start a worker Process. This might be because "
                "the worker Process arguments are not picklable. Python 3.14+ changed the "
                "multiprocessing start method in non-Mac POSIX platforms to 'forkserver', which "
                "requires the worker Process arguments to be picklable. You can also try "
                "multiprocessing.set_start_method('fork').",
                stacklevel=2,
            )
            raise
        finally:
            theirs.close()
        self.processes.append(process)

    def send(self, worker_id: int, message: Any) -> None:
        """Send to one worker. RuntimeError when it is dead."""
        try:
            self.channels[worker_id].send(message)
        except OSError as error:
            raise self._death([worker_id]) from error

    def receive(self, timeout: float) -> Any:
        """The next message of any worker.

        Raises RuntimeError when a worker has died, or, with a `timeout` above zero, after so many
        seconds.
        """
        deadline = time.monotonic() + timeout if timeout > 0 else None
        connections = [channel.connection for channel in self.channels]
        while not self._ready:
            span = CHECK if deadline is None else min(CHECK, max(0.0, deadline - time.monotonic()))
            self._ready.extend(wait(connections, span))
            if self._ready:
                break
            if deadline is not None and time.monotonic() >= deadline:
                raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
            dead = [i for i, process in enumerate(self.processes) if not process.is_alive()]
            if dead:
                raise self._death(dead)
        worker_id = connections.index(self._ready.popleft())
        try:
            return self.channels[worker_id].receive()
        except (EOFError, OSError) as error:
            raise self._death([worker_id]) from error

    def _death(self, worker_ids: list[int]) -> RuntimeError:
        dead = [self.processes[worker_id] for worker_id in worker_ids]
        for process in dead:
            process.join(CHECK)
        pids = ", ".join(str(process.pid) for process in dead)
        ends = ", ".join(_ending(process.exitcode) for process in dead)
        return RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly ({ends})")

    def stop(self) -> None:
        """End all workers: their channel is closed; those that take too long are terminated."""
        if os.getpid() != self.owner:  # a forked copy of this object has no say
            return
        for channel in self.channels:
            channel.close()
        deadline = time.monotonic() + CHECK
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in self.processes:
            if process.is_alive():
                process.terminate()
                process.join(CHECK)
            if process.is_alive():
                process.kill()
                process.join(CHECK)
        self.processes, self.channels = [], []
        self._ready.clear()


def _ending(code: int | None) -> str:
    if code is None:
        return "it closed its channel but still runs"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}; SIGKILL often means that memory ran out"
    return f"exit code {code}"
