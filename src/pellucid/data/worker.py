"""What a worker process does: it gets numbered lists of indices and sends back batches."""

from __future__ import annotations

import os
import queue
import random
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.data.exceptions import ExceptionWrapper
from pellucid.data.fetch import create_fetcher
from pellucid.data.transport import Channel
from pellucid.tensor.random.generator import default_generator

__all__ = ["IterationEnd", "Job", "Resume", "WorkerInfo", "get_worker_info", "worker_loop"]

PARENT_CHECK = 5.0
"""Seconds between looks at whether the parent process still lives."""

parent_ends: weakref.WeakSet[Channel] = weakref.WeakSet()
"""The ends of channels that this process holds as a parent. A forked child must close its copies:
as long as anybody holds
one, the worker at the other end does not learn that its parent is gone."""


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Which worker this process is: its `id` among `num_workers`, its `seed`, its copy of the
    `dataset`.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str | None = "multiprocessing"


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """The `WorkerInfo` of this worker process; None in the main process."""
    return _worker_info


@dataclass(frozen=True)
class IterationEnd:
    """A worker's answer when its copy of an `IterableDataset` is exhausted."""

    worker_id: int


@dataclass(frozen=True)
class Resume:
    """Begin the next epoch; the worker sends the same back."""


@dataclass(frozen=True)
class Job:
    """What the workers of a loader need to know."""

    dataset: Any
    is_stream: bool
    auto_collation: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool
    base_seed: int
    init_fn: Callable[[int], None] | None
    num_workers: int

    def fetcher(self) -> Any:
        """A fresh iteration over the data set."""
        return create_fetcher(
            self.is_stream, self.dataset, self.auto_collation, self.collate_fn, self.drop_last
        )


def worker_loop(connection: Any, job: Job, worker_id: int, parent: int) -> None:
    """The life of a worker: answer requests until the parent closes the channel or dies."""
    try:
        for end in list(parent_ends):
            end.close()
        channel = Channel(connection)
        _seed_everything(job.base_seed, worker_id)
        _set_worker_info(job, worker_id)
        _answer_requests(channel, job, worker_id, _requests(channel, parent))
    except (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        pass  # the parent was interrupted too, or has stopped listening


def _set_worker_info(job: Job, worker_id: int) -> None:
    global _worker_info
    seed = job.base_seed + worker_id
    _worker_info = WorkerInfo(worker_id, job.num_workers, seed, job.dataset)


def _seed_everything(base_seed: int, worker_id: int) -> None:
    """Give Python, PyTorch's and NumPy's random numbers of this worker seeds of their own."""
    seed = base_seed + worker_id
    random.seed(seed)
    default_generator.manual_seed(seed)
    words = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    np.random.seed(np.random.SeedSequence(words).generate_state(4))


def _requests(channel: Channel, parent: int) -> queue.SimpleQueue[Any]:
    """Requests as they come in, None after the last.

    A thread of its own reads them, so that the parent never waits in `send` for a worker that waits
    in `send` itself.
    """
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read() -> None:
        try:
            while True:
                while not channel.connection.poll(PARENT_CHECK):
                    if os.getppid() != parent:
                        return
                requests.put(channel.receive())
        except (EOFError, OSError):
            return
        finally:
            requests.put(None)

    threading.Thread(target=read, daemon=True).start()
    return requests


def _answer_requests(
    channel: Channel, job: Job, worker_id: int, requests: queue.SimpleQueue[Any]
) -> None:
    where = f"in DataLoader worker process {worker_id}"
    fetcher: Any = None
    failure: ExceptionWrapper | None = None
    try:
        if job.init_fn is not None:
            job.init_fn(worker_id)
        fetcher = job.fetcher()
    except Exception:
        failure = ExceptionWrapper(where)
    exhausted = False
    while (request := requests.get()) is not None:
        if isinstance(request, Resume):
            channel.send((request, None))
            exhausted = False
            try:
                fetcher = job.fetcher()
            except Exception:
                failure = ExceptionWrapper(where)
            continue
        if exhausted:
            continue
        number, index = request
        answer: Any
        if failure is not None:
            answer, failure = failure, None
        else:
            try:
                answer = fetcher.fetch(index)
            except Exception as error:
                exhausted = job.is_stream and isinstance(error, StopIteration)
                answer = IterationEnd(worker_id) if exhausted else ExceptionWrapper(where)
        _send(channel, number, answer, where)
        del answer


def _send(channel: Channel, number: int, answer: Any, where: str) -> None:
    """Send the answer; when it cannot be pickled, send that."""
    try:
        channel.send((number, answer))
    except OSError:
        raise
    except Exception:
        channel.send((number, ExceptionWrapper(where)))
