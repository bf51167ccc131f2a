"""Running operators: in this process, or each in a process of its own that may die.

An operator that hangs or brings the interpreter down must not end a sweep. `sweep` forks one child
per operator after the database is loaded (a fork costs milliseconds, loading it seconds); the child
tells which case it is in, so that a dead one leaves a finding instead of a hole.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

from tests.parity.checks import Side, check_case, reference_side, subject_side
from tests.parity.compare import Findings
from tests.parity.extra import extra_db
from tests.parity.records import OpReport
from tests.parity.samples import Case, Profile, op_cases
from tests.parity.scope import family_of
from tests.parity.variants import check_variants

CASE_SECONDS = 10.0
OP_SECONDS = 240.0
_processes = multiprocessing.get_context("fork")


class TooSlow(BaseException):
    """A case took longer than `CASE_SECONDS`. Not an `Exception`: no code under test may catch
    it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` in the block when the time is up (main thread of a Unix process)."""

    def stop(signum: int, frame: Any) -> None:
        raise TooSlow(f"still running after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    remaining, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, remaining)  # a limit around this one goes on


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warnings, of either library or of NumPy: results are compared, whatever is said."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def full_name(op: Any) -> str:
    """`div.floor_rounding`: the database's name and variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def find_ops(wanted: Callable[[Any], bool]) -> list[Any]:
    """The operators for which `wanted` holds: the database's, then those it lacks."""
    return [op for op in (*op_db, *extra_db) if wanted(op)]


def describe(tree: Any) -> str:
    """A frozen call in one line: layouts of the tensors, the other arguments as they are."""
    first, arguments, keywords = tree
    parts = [_told(value) for value in (first, *arguments)]
    parts += [f"{key}={_told(value)}" for key, value in keywords.items()]
    return f"({', '.join(parts)})"


def _told(value: Any) -> str:
    if isinstance(value, list | tuple):
        inner = ", ".join(_told(v) for v in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    text = str(value)
    return text if len(text) < 200 else text[:200] + "…"


def full_check(op: Any, case: Case, reference: Side, subject: Side) -> Findings:
    """All checks of a case within its time."""
    try:
        with time_limit(CASE_SECONDS), quiet():
            findings = check_case(op, case, reference, subject)
            told_more = findings and not {"missing", "crash", "error_type"} & set(findings)
            if case.variants and told_more:
                findings |= check_variants(op, case, reference, subject)
            return findings
    except TooSlow as slow:
        return {"timeout": str(slow)}


def run_op(
    op: Any,
    library: ModuleType,
    profile: Profile,
    dtype: str | None = None,
    tell: Callable[[tuple], None] = lambda case: None,
) -> OpReport:
    """Every case of one operator, in this process. `tell` hears of each case before it runs."""
    report = OpReport(full_name(op), family_of(op.name))
    started = time.perf_counter()
    with quiet():
        reference, subject = reference_side(op), subject_side(op, library)
        for case in op_cases(op, profile, dtype):
            tell((case.dtype, case.label))
            findings = full_check(op, case, reference, subject)
            report.add(case.dtype, case.label, describe(case.call), findings)
    report.seconds = time.perf_counter() - started
    return report


def _child(connection: Connection, run: Callable, job: Any, arguments: tuple) -> None:
    torch.set_num_threads(1)
    gc.freeze()  # what the parent made is not garbage: looking through it would cost seconds
    try:
        report = run(job, *arguments, connection.send)
        connection.send(report.as_dict())
    except BaseException as error:  # the parent turns it into a finding
        connection.send(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def sweep(
    jobs: list[tuple[str, Any]], run: Callable[..., OpReport], arguments: tuple, workers: int = 1
) -> Iterator[OpReport]:
    """`run(job, *arguments, tell)` for every `(name, job)`, each in its own process.

    Reports come as they are ready. A process that dies, or runs beyond `OP_SECONDS`, gives a report
    with one failing case in the category `crash` or `timeout`.
    """
    waiting, running = list(reversed(jobs)), {}
    while waiting or running:
        while waiting and len(running) < workers:
            name, job = waiting.pop()
            ours, theirs = _processes.Pipe(duplex=False)
            process = _processes.Process(target=_child, args=(theirs, run, job, arguments))
            process.start()
            theirs.close()
            running[ours] = _Running(name, process, time.monotonic() + OP_SECONDS)
        for connection in wait(list(running), timeout=1.0):
            report = running[connection].hear(connection)
            if report is not None:
                running.pop(connection).end()
                yield report
        for connection, state in list(running.items()):
            if time.monotonic() > state.deadline:
                running.pop(connection).end()
                yield state.lost("timeout", f"still running after {OP_SECONDS:g} s")


class _Running:
    """A child process and the case it was last heard in."""

    def __init__(self, name: str, process: Any, deadline: float) -> None:
        self.name, self.process, self.deadline = name, process, deadline
        self.case = ("", "before the first case")

    def hear(self, connection: Connection) -> OpReport | None:
        """The report, once there is one."""
        try:
            message = connection.recv()
        except EOFError:
            self.process.join(5)
            return self.lost("crash", f"the process ended with status {self.process.exitcode}")
        if isinstance(message, tuple):
            self.case = message
            return None
        if isinstance(message, str):
            return self.lost("crash", message)
        return OpReport.from_dict(message)

    def lost(self, category: str, text: str) -> OpReport:
        report = OpReport(self.name, family_of(self.name))
        report.add(*self.case, "", {category: text})
        return report

    def end(self) -> None:
        self.process.kill()
        self.process.join()
