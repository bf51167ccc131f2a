"""Random numbers: 100,000 of each kind, the same ones that PyTorch draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.frame.registry import Benchmark, Call, enter

COUNT = 100_000


def drawing(draw: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Call]:
    """A program that draws anew with every call."""

    def program(t: Any, dtype: Any) -> Call:
        t.manual_seed(0)
        return lambda: draw(t, dtype)

    return program


CASES: dict[str, Callable[[Any, Any], Any]] = {
    "rand": lambda t, d: t.rand(COUNT, dtype=d),
    "randn": lambda t, d: t.randn(COUNT, dtype=d),
    "randint": lambda t, d: t.randint(0, 1000, (COUNT,)),
    "randperm": lambda t, d: t.randperm(COUNT),
    "bernoulli": lambda t, d: t.bernoulli(t.full((COUNT,), 0.3, dtype=d)),
    "dropout": lambda t, d: t.nn.functional.dropout(t.ones(COUNT, dtype=d), 0.5),
    "multinomial, 64 rows of 50": lambda t, d: t.multinomial(t.ones(64, 50, dtype=d), 20, True),
}
for _case, _draw in CASES.items():
    enter(Benchmark(group="sampling", case=_case, program=drawing(_draw)))
