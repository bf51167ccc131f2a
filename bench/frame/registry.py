"""What a benchmark is, and the list of all of them."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Call = Callable[[], Any]
"""What is timed: computes once, and returns the outcome."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network for inference, described once for all peers.

    `module(t)` builds it with `t`, a module with PyTorch's names; every peer then gets the weights
    that Pellucid drew from seed 0. `inputs()` are the arrays it is called with.
    """

    module: Callable[[Any], Any]
    inputs: Callable[[], tuple[np.ndarray, ...]]


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One thing to measure.

    It is a `program`, which gets a module with PyTorch's names and one of its dtypes and returns
    the call to time; or a `network`, which peers with a format of their own can take too. `own`
    holds calls written for single peers by hand (NumPy, JAX). `flops` and `nbytes` are what one
    call needs at least: with them the table shows its share of what the machine can do. A turn
    repeats the call for about `seconds`. `own_clock` calls return the seconds to count. `checked`
    compares the outcome with that of float64. Where it is `compiled`, so is Pellucid's network,
    like those of peers that only run compiled ones. `parts` are pieces of Pellucid's call, each
    timed alone, that tell where its time goes.
    """

    group: str
    case: str
    program: Callable[[Any, Any], Call] | None = None
    network: Network | None = None
    own: Mapping[str, Callable[[], Call]] = field(default_factory=dict)
    flops: float = 0.0
    nbytes: float = 0.0
    seconds: float = 0.02
    rounds: int | None = None
    own_clock: bool = False
    checked: bool = False
    compiled: bool = False
    parts: Callable[[], Mapping[str, Call]] | None = None

    @property
    def name(self) -> str:
        """`group/case`."""
        return f"{self.group}/{self.case}"


class Registry:
    """Benchmarks by name, in the order in which they were entered."""

    def __init__(self) -> None:
        self.benchmarks: dict[str, Benchmark] = {}

    def enter(self, benchmark: Benchmark) -> None:
        """Add one. ValueError for a name that is there already, or nothing to run."""
        if benchmark.name in self.benchmarks:
            raise ValueError(f"benchmark {benchmark.name!r} is described twice")
        if benchmark.program is None and benchmark.network is None and not benchmark.own:
            raise ValueError(f"benchmark {benchmark.name!r} has neither program nor network")
        self.benchmarks[benchmark.name] = benchmark

    @property
    def groups(self) -> list[str]:
        """The groups, each once."""
        return list(dict.fromkeys(each.group for each in self.benchmarks.values()))

    def select(self, wanted: Sequence[str]) -> list[Benchmark]:
        """The benchmarks of these groups, names or patterns (`training/ResNet*`); all for none.

        Raises: KeyError for one that fits no benchmark.
        """
        if not wanted:
            return list(self.benchmarks.values())
        chosen: dict[str, Benchmark] = {}
        for pattern in wanted:
            found = {
                name: each
                for name, each in self.benchmarks.items()
                if pattern in (each.group, name) or fnmatch.fnmatchcase(name, pattern)
            }
            if not found:
                groups = ", ".join(self.groups)
                raise KeyError(
                    f"no benchmark fits {pattern!r}: there are the groups {groups}, and "
                    "--list shows every name"
                )
            chosen |= found
        return [each for name, each in self.benchmarks.items() if name in chosen]


registry = Registry()
enter = registry.enter
