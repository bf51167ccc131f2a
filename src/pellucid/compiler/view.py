"""Plans as tables."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np

from pellucid.compiler.plan import Plan, Step
from pellucid.kernels import pool
from pellucid.kernels.probe import peak_fma, read_memory
from pellucid.kernels.target import current

_HEAD = ("step", "kernel", "shape", "MFLOP", "MB")
_CHAINS = 12


def limits() -> tuple[float, float]:
    """Operations and bytes per second that all threads together reach at this moment."""
    rounds = 200_000
    sums = np.zeros(1024, np.float32)
    seconds = _best(lambda: pool.run(peak_fma(chains=_CHAINS), sums.ctypes.data, rounds), 5)
    flops = 2.0 * rounds * _CHAINS * current().lanes * pool.num_threads() / seconds
    x = np.ones(1 << 24, np.float32)
    seconds = _best(lambda: pool.run(read_memory(), x.ctypes.data, sums.ctypes.data, x.size), 3)
    return flops, x.nbytes / seconds


def _best(call: object, times: int) -> float:
    best = float("inf")
    for _ in range(times):
        start = perf_counter()
        call()  # type: ignore[operator]
        best = min(best, perf_counter() - start)
    return best


def plans_text(plans: Sequence[Plan], times: int = 0) -> str:
    """A table for each plan: steps, kernels, shapes, work; with `times` runs, also milliseconds,
    rates and shares of the limit. Winograd does less than the operations counted here, which are
    those of the direct way, so its share can pass 100 %.
    """
    if not plans:
        return "no plan yet: call it once"
    peak = limits() if times else (0.0, 0.0)
    return "\n\n".join(_plan_text(plan, times, peak) for plan in plans)


def _plan_text(plan: Plan, times: int, peak: tuple[float, float]) -> str:
    head = (*_HEAD, "ms", "GFLOP/s", "of limit") if times else _HEAD
    rows: list[tuple[str, ...]] = []
    total = 0.0
    for number, (step, address) in enumerate(plan.addresses()):
        if not isinstance(step, Step):
            rows.append((str(number), f"{step.label} (as in eager mode)", ""))
            continue
        row: tuple[str, ...] = (str(number), step.label, step.shape, f"{step.flops / 1e6:.1f}",
               f"{step.nbytes / 1e6:.2f}")  # fmt: skip
        if times:
            kernel = step.kernel
            seconds = _best(lambda k=kernel, a=address: pool.pool().run(k, a), times)
            needed = max(step.flops / peak[0], step.nbytes / peak[1])
            total += seconds
            row += (f"{1e3 * seconds:.3f}", f"{step.flops / seconds / 1e9:.0f}",
                    f"{100 * needed / seconds:.0f} %")  # fmt: skip
        rows.append(row)
    lines = _table(head, rows)
    lines.append(f"arena {plan.arena_bytes / 1e6:.2f} MB, precision {_precision(plan)}")
    if plan.accuracy is not None:
        lines.append(f"beside float32 on the first inputs: {plan.accuracy}")
    if times:
        lines.append(f"{1e3 * total:.2f} ms in all; {peak[0] / 1e9:.0f} GFLOP/s, "
                     f"{peak[1] / 1e9:.1f} GB/s at this moment")  # fmt: skip
    return "\n".join(lines)


def _precision(plan: Plan) -> str:
    """The plan's precision, and what the CPU lacks for it."""
    name = plan.planner.precision
    low = {"bfloat16": current().dot_bf16, "int8": current().dot_i8}
    if not low.get(name, True):
        return f"{name} (this CPU has no instructions for it: float32 is faster)"
    return name


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    full = [tuple(head), *[tuple(row) + ("",) * (len(head) - len(row)) for row in rows]]
    widths = [max(len(row[i]) for row in full) for i in range(len(head))]
    left = {1, 2}
    return [
        "  ".join(
            cell.ljust(w) if i in left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in full
    ]
