"""Several elementwise results in one pass: the update of an optimiser."""

from __future__ import annotations

from typing import Any

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.nodes import Value
from pellucid.kernels.language.types import F32
from pellucid.kernels.pointwise import Expression, evaluate
from pellucid.kernels.vectors import over_vectors

_CHUNK = 256


def _arguments(*, expressions: tuple[Expression, ...], kinds: str) -> str:
    outputs = ", ".join(f"out{i}: ptr" for i in range(len(expressions)))
    inputs = ", ".join(f"x{i}: ptr" for i in range(len(kinds)))
    return f"n: i64, {outputs}, {inputs}"


@kernel(_arguments)
def update(b: KernelBuilder, *, expressions: tuple[Expression, ...], kinds: str) -> None:
    """out_i = expressions[i](inputs), n elements that lie one after the other; `kinds` has a letter
    for each input: "v" for n elements, "s" for one number. Outputs may be inputs: all are read
    before any is written.
    """
    b.begin()
    arg: Any = b.arg
    start, stop = b.share(b.ceil_div(arg.n, _CHUNK))
    pointers = [getattr(arg, f"x{i}") for i in range(len(kinds))]
    held = {
        i: b.broadcast(b.load(pointers[i], 0, F32), b.lanes)
        for i, kind in enumerate(kinds) if kind == "s"
    }  # fmt: skip

    def body(at: Value, mask: Value | None) -> None:
        inputs = [held[i] if i in held else b.load(pointers[i], at, b.f32, mask)
                  for i in range(len(kinds))]  # fmt: skip
        found = [evaluate(b, each, inputs) for each in expressions]
        for i, value in enumerate(found):
            b.store(value, getattr(arg, f"out{i}"), at, mask)

    over_vectors(b, b.minimum(stop * _CHUNK, arg.n), body, start * _CHUNK)
