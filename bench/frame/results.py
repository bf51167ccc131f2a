"""The outcome of a benchmark, as objects and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.frame.machine import Peaks
from bench.frame.peers import OURS, counterpart
from bench.frame.registry import Benchmark
from bench.frame.timing import Samples, Spread, ratio


@dataclass
class Result:
    """What was measured of one benchmark.

    `skipped` says for peers that did not take part why; `errors` how far answers are from
    float64's; `parts` the seconds of the pieces of Pellucid's call and of the rest of it.
    """

    benchmark: Benchmark
    samples: Samples
    skipped: dict[str, str] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    peaks: Peaks | None = None
    parts: dict[str, float] = field(default_factory=dict)

    def seconds(self, peer: str) -> Spread:
        """Seconds per call of a peer."""
        return Spread.of(self.samples[peer])

    def times(self, peer: str) -> Spread | None:
        """How many times longer Pellucid takes than `peer`, in the peer's precision; beside
        Pellucid's own other precisions, in float32. None where one of them is missing.
        """
        ours = counterpart(peer) if counterpart(peer) != peer else OURS
        if ours not in self.samples or peer not in self.samples:
            return None
        return ratio(self.samples[ours], self.samples[peer])

    def share(self, peer: str) -> float | None:
        """The share of the machine's limit that a peer reaches: of the arithmetic's or of the
        memory's, whichever the work takes longer at. None for a benchmark that states no work.
        """
        work = self.benchmark
        if self.peaks is None or not (work.flops or work.nbytes):
            return None
        limit = max(work.flops / self.peaks.flops, work.nbytes / self.peaks.bandwidth)
        return limit / self.seconds(peer).median

    def plain(self) -> dict[str, Any]:
        """In JSON's types."""
        peers = {}
        for peer in self.samples:
            found = self.seconds(peer)
            times = None if peer == OURS else self.times(peer)
            peers[peer] = {
                "seconds": found.median,
                "quartiles": [found.low, found.high],
                "pellucid takes": None if times is None else times.median,
                "quartiles of that": None if times is None else [times.low, times.high],
                "share of limit": self.share(peer),
                "error": self.errors.get(peer),
            }
        return {
            "name": self.benchmark.name,
            "flops": self.benchmark.flops or None,
            "nbytes": self.benchmark.nbytes or None,
            "peaks": None if self.peaks is None else vars(self.peaks),
            "peers": peers,
            "skipped": self.skipped,
            "parts": self.parts,
        }


def write_json(path: Path, facts: dict[str, str], results: list[Result]) -> None:
    """Write everything to `path`, which is replaced when the whole file is there."""
    plain = {"machine": facts, "benchmarks": [result.plain() for result in results]}
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(plain, indent=1) + "\n")
    partial.replace(path)
