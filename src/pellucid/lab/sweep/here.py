"""Workers on this machine: a process for each core, told what to do through pipes.

A worker is a process, not a thread: it can be lost without the others, and Python lets it run.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pellucid
from pellucid.lab.sweep.cells import Cell, Question
from pellucid.lab.sweep.crew import Ended

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""What keeps any BLAS to one thread, so that it adds up in the same order everywhere."""


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    words: IO[bytes]
    """What it wrote to stderr, for the case that it is lost."""
    cell: Cell | None = None


class Here:
    """So many worker processes; by default one for each core that this process may use."""

    def __init__(self, workers: int | None = None) -> None:
        check_workers(workers)
        self.size = workers or cores()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._heard: queue.Queue[tuple[_Worker, bytes]] = queue.Queue()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that are alive."""
        return [worker.process.pid for worker in self._all if worker.process.poll() is None]

    def free(self) -> bool:
        """Whether another cell can be given out."""
        return bool(self._idle) or len(self._all) < self.size

    def start(self, question: Question, cell: Cell) -> None:
        """Give a cell to an idle worker, or to a new one."""
        worker = self._idle.pop() if self._idle else self._hire()
        worker.cell = cell
        asked = {
            "question": question.as_json(),
            "cell": {"width": cell.width, "depth": cell.depth, "rate": cell.rate},
        }
        assert worker.process.stdin is not None
        with contextlib.suppress(OSError):  # it was lost while it was idle: its listener says so
            worker.process.stdin.write(json.dumps(asked).encode() + b"\n")
            worker.process.stdin.flush()

    def wait(self, seconds: float) -> list[Ended]:
        """The cells that ended; waits so long for the first."""
        found = []
        try:
            heard = [self._heard.get(timeout=seconds)]
            while not self._heard.empty():
                heard.append(self._heard.get_nowait())
        except queue.Empty:
            return []
        for worker, line in heard:
            ended = self._ended(worker, line)
            if ended is not None:
                found.append(ended)
        return found

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._all:
            worker.process.kill()
        for worker in self._all:
            worker.process.wait()
            _let_go(worker)
        self._all.clear()
        self._idle.clear()

    def _hire(self) -> _Worker:
        here = str(Path(pellucid.__file__).parent.parent)
        path = os.pathsep.join(p for p in (here, os.environ.get("PYTHONPATH", "")) if p)
        words = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the worker is gone
        process = subprocess.Popen(
            [sys.executable, "-m", "pellucid.lab.sweep.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the one who asked, who then calls `close`
        )  # fmt: skip
        worker = _Worker(process, words)
        self._all.add(worker)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return worker

    def _listen(self, worker: _Worker) -> None:
        """Pass on what a worker says; an empty line when it is gone."""
        assert worker.process.stdout is not None
        with worker.process.stdout as said:
            for line in said:
                if line.endswith(b"\n"):
                    self._heard.put((worker, line))
        self._heard.put((worker, b""))

    def _ended(self, worker: _Worker, line: bytes) -> Ended | None:
        cell = worker.cell
        worker.cell = None
        if line:
            self._idle.append(worker)
            assert cell is not None
            answer: dict[str, Any] = json.loads(line)
            return Ended(cell, answer.get("record"), answer.get("error", ""))
        if worker not in self._all:  # closed
            return None
        self._all.remove(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        how = _how(worker)
        return None if cell is None else Ended(cell, lost=how)


def _how(worker: _Worker) -> str:
    """How a worker ended."""
    code = worker.process.wait()
    try:
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    except ValueError:
        how = f"killed by signal {-code}"
    worker.words.seek(0)
    last = worker.words.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
    _let_go(worker)
    return f"{how}: {last[-1]}" if last else how


def _let_go(worker: _Worker) -> None:
    """Close what leads to a worker that is gone."""
    worker.words.close()
    if worker.process.stdin is not None:
        with contextlib.suppress(OSError):  # what it did not read is of no use now
            worker.process.stdin.close()


def check_workers(workers: int | None) -> None:
    """A number of workers that makes sense, or none. ValueError otherwise."""
    if workers is not None and not 1 <= workers <= 1024:
        raise ValueError(f"a sweep needs at least one worker and at most 1024, not {workers}")


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
