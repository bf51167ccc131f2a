"""What the machine can do at this moment: multiply-adds and bytes per second, for benchmarks."""

from __future__ import annotations

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.types import F32


@kernel("out: ptr, rounds: i64")
def peak_fma(b: KernelBuilder, *, chains: int = 12) -> None:
    """`rounds` times `chains` independent multiply-adds of a whole vector on each thread; a sum is
    written so that they cannot be left out.
    """
    b.begin()
    factor = b.broadcast(b.load(b.arg.out, 0, F32), b.lanes)
    sums = [b.register(factor, f"s{i}_") for i in range(chains)]
    with b.loop("round", 0, b.arg.rounds):
        for s in sums:
            b.set(s, b.fma(b.get(s), factor, factor))
    total = b.get(sums[0])
    for s in sums[1:]:
        total = total + b.get(s)
    b.store(b.reduce("add", total), b.arg.out, b.thread + 1)


@kernel("x: ptr, out: ptr, n: i64")
def read_memory(b: KernelBuilder) -> None:
    """Read `n` floats, shared out to the threads, at the rate that memory gives them."""
    b.begin()
    step = 8 * b.lanes
    start, stop = b.share(b.arg.n // step)
    zero = b.broadcast(b.constant(0.0, F32), b.lanes)
    sums = [b.register(zero, f"s{i}_") for i in range(8)]
    with b.loop("i", start * step, stop * step, step) as i:
        for j, s in enumerate(sums):
            b.set(s, b.get(s) + b.load(b.arg.x, i + j * b.lanes, b.f32))
    total = b.get(sums[0])
    for s in sums[1:]:
        total = total + b.get(s)
    b.store(b.reduce("add", total), b.arg.out, b.thread)
