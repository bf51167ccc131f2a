"""Running the steps of a plan: one native call for all of them."""

from __future__ import annotations

from pellucid.kernels.kernel import KernelBuilder, kernel
from pellucid.kernels.language.types import PTR


@kernel("table: ptr, steps: i64")
def run_steps(b: KernelBuilder) -> None:
    """Each thread runs the kernels of a table, pairs of (kernel, arguments), one after the other;
    before each next one it waits for the others.
    """
    b.begin()
    with b.loop("step", 0, b.arg.steps) as step:
        function = b.load(b.arg.table, step * 2, PTR)
        args = b.load(b.arg.table, step * 2 + 1, PTR)
        b.call_pointer(function, args, b.thread, b.threads, b.team)
        b.barrier()
