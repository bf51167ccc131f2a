"""Workers of a Ray cluster, or of a Ray on this machine."""

from __future__ import annotations

import logging
import socket
from typing import Any

from pellucid.lab.sweep.cells import Cell, Question, train_cell
from pellucid.lab.sweep.crew import Ended, SweepError
from pellucid.lab.sweep.here import ONE_THREAD, check_workers, cores

IN_FLIGHT = 1000
"""Cells that Ray is given at once: more than any cluster has cores, fewer than burden it."""


def _answer(question: dict[str, Any], cell: dict[str, Any]) -> dict[str, Any]:
    """What a worker does; an error is told, not raised, so that only losses raise."""
    try:
        return {"record": train_cell(Question.from_json(question), Cell(**cell))}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _check_address(address: str) -> None:
    """Whether somebody listens at `HOST:PORT`; Ray itself asks for minutes. SweepError otherwise.

    Raises: ValueError for what is no address.
    """
    if address in ("local", "auto"):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise ValueError(f"--ray takes local, auto, HOST:PORT or ray://HOST:PORT, not {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise SweepError(
            f"nobody answers at {address} ({error.strerror or error}): `ray start --head` starts a "
            "Ray there, and --ray local needs none"
        ) from None


class OverRay:
    """Ray's workers, each with one core and one thread.

    `address` is that of a cluster ("auto" for the one this machine belongs to, "HOST:PORT", or
    "ray://HOST:PORT"), or "local" for a Ray of its own on this machine. Pellucid must be installed
    on all nodes, in the same version.

    Raises: ImportError without Ray; SweepError if the cluster is not there.
    """

    def __init__(self, address: str, workers: int | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise ImportError("--ray needs Ray: pip install 'pellucid[ray]'") from None
        check_workers(workers)
        self._ray = ray
        _check_address(address)
        started: dict[str, Any] = {"runtime_env": {"env_vars": ONE_THREAD}}
        if address == "local":
            started |= {"num_cpus": workers or cores(), "include_dashboard": False}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **started)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise SweepError(
                f"Ray at {address} could not be joined: {str(error).strip().splitlines()[0]}. "
                "Ray and Python must have the same versions here and there, and a cluster with "
                "authentication wants its token here too (RAY_AUTH_MODE, RAY_AUTH_TOKEN)"
            ) from None
        self.size = int(ray.cluster_resources().get("CPU", 1))
        self._most = IN_FLIGHT if workers is None or address == "local" else workers
        # Lost workers are counted and told of by `results_of`, like those of this machine.
        self._work = ray.remote(num_cpus=1, max_retries=0)(_answer)
        self._running: dict[Any, Cell] = {}

    def free(self) -> bool:
        """Whether another cell can be given out."""
        return len(self._running) < self._most

    def start(self, question: Question, cell: Cell) -> None:
        """Give a cell to Ray."""
        asked = {"width": cell.width, "depth": cell.depth, "rate": cell.rate}
        self._running[self._work.remote(question.as_json(), asked)] = cell

    def wait(self, seconds: float) -> list[Ended]:
        """The cells that ended; waits so long for the first."""
        done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [self._ended(each, self._running.pop(each)) for each in done]

    def close(self) -> None:
        """Leave Ray; what still runs for this sweep is ended by it."""
        self._running.clear()
        self._ray.shutdown()

    def _ended(self, reference: Any, cell: Cell) -> Ended:
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            # Raised before `_answer` ran: Pellucid is not on that node, or another one is.
            raise SweepError(
                f"a worker of Ray could not begin: {str(error).strip().splitlines()[-1]}"
            ) from None
        except self._ray.exceptions.RuntimeEnvSetupError as error:
            raise SweepError(f"a worker of Ray could not be set up: {error}") from None
        except self._ray.exceptions.RayError as error:
            words = str(error).strip().splitlines()
            return Ended(cell, lost=f"{type(error).__name__}: {words[0] if words else ''}")
        return Ended(cell, answer.get("record"), answer.get("error", ""))
