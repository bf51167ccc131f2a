"""Contractions whose operands lie in another order than that of a matrix product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.frame.registry import Benchmark, Call, enter

CASES = {
    "bhqd,bhkd->bhqk": ((8, 12, 128, 64), (8, 12, 128, 64)),
    "bqhd,bkhd->bhqk": ((8, 128, 12, 64), (8, 128, 12, 64)),
    "abcd,dbea->ce": ((24, 24, 96, 24), (24, 24, 96, 24)),
    "aebf,dfce->abcd": ((24, 16, 24, 16), (24, 16, 24, 16)),
    "nc,nc->n": ((8192, 256), (8192, 256)),
    "nc,ck->nk": ((512, 256), (256, 512)),
}


def contraction(equation: str) -> Callable[[Any, Any], Call]:
    """`einsum` of two random tensors."""

    def program(t: Any, dtype: Any) -> Call:
        draw = np.random.default_rng(0)
        x, y = (t.from_numpy(draw.standard_normal(s)).to(dtype) for s in CASES[equation])
        return lambda: t.einsum(equation, x, y)

    return program


def work(equation: str) -> float:
    """Multiplications and additions."""
    terms = equation.partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, CASES[equation], strict=True):
        sizes |= zip(term, shape, strict=True)
    return 2.0 * float(np.prod(list(sizes.values())))


for _equation in CASES:
    enter(
        Benchmark(
            group="contractions",
            case=_equation,
            program=contraction(_equation),
            flops=work(_equation),
            checked=True,
            seconds=0.1,
        )
    )
