"""Running a benchmark: prepare every peer, take turns, compare the answers."""

from __future__ import annotations

from collections.abc import Sequence

from bench.frame.accuracy import error
from bench.frame.machine import peaks
from bench.frame.peers import OURS, Absent, NotMeant, Peer, Work, exact_answer, prepare_work
from bench.frame.registry import Benchmark, Call
from bench.frame.results import Result
from bench.frame.timing import Spread, interleaved

ROUNDS = 15


def run(benchmark: Benchmark, peers: Sequence[Peer], threads: int, rounds: int | None) -> Result:
    """Measure one benchmark; `rounds` given here goes before the benchmark's own."""
    work = prepare_work(benchmark, threads)
    calls, skipped = _prepared(work, peers)
    count = rounds or benchmark.rounds or ROUNDS
    limits = peaks() if benchmark.flops or benchmark.nbytes else None
    samples = interleaved(calls, count, benchmark.seconds, benchmark.own_clock)
    result = Result(benchmark, samples, skipped, peaks=limits)
    if benchmark.checked:
        exact = exact_answer(work)
        result.errors = {name: error(call(), exact) for name, call in calls.items()}
    if benchmark.parts is not None and OURS in calls:
        result.parts = _parts(benchmark, calls[OURS], count)
    return result


def _prepared(work: Work, peers: Sequence[Peer]) -> tuple[dict[str, Call], dict[str, str]]:
    calls: dict[str, Call] = {}
    skipped: dict[str, str] = {}
    for peer in peers:
        try:
            calls[peer.name] = peer.call(work)
        except NotMeant:
            continue
        except Absent as reason:
            skipped[peer.name] = str(reason)
        except Exception as failure:
            if peer.name == OURS:
                raise
            # The exporters and compilers of other projects fail in their own ways.
            words = str(failure).strip().splitlines() or [""]
            skipped[peer.name] = f"{type(failure).__name__}: {words[0][:120]}"
    return calls, skipped


def _parts(benchmark: Benchmark, call: Call, rounds: int) -> dict[str, float]:
    """Seconds of each part, without what an empty call of a function costs, and of what they leave
    of the whole call, which is timed among them.
    """
    assert benchmark.parts is not None
    calls = {"": lambda: None, "the rest": call, **benchmark.parts()}
    samples = interleaved(calls, rounds, benchmark.seconds)
    found = {name: Spread.of(values).median for name, values in samples.items()}
    empty, whole = found.pop(""), found.pop("the rest")
    parts = {name: max(0.0, seconds - empty) for name, seconds in found.items()}
    return {**parts, "the rest": whole - empty - sum(parts.values())}
