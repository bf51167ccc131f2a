"""What the machine is, and what it can do at this moment.

On a shared machine both limits of a kernel, arithmetic and memory, change from minute to minute. A
benchmark that says how much work it is gets measured beside the limits of its moment.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np


@dataclass(frozen=True)
class Peaks:
    """float32 operations per second and bytes per second."""

    flops: float
    bandwidth: float


def product_rate(size: int = 1024, times: int = 3) -> float:
    """float32 operations per second of the best of some products of square matrices (NumPy's BLAS,
    with the threads it is set to): a lower bound of the FMA rate.
    """
    a = np.full((size, size), 0.5, np.float32)
    out = np.empty_like(a)
    return 2 * size**3 / _best(lambda: np.matmul(a, a, out=out), times)


def copy_rate(nbytes: int = 1 << 26, times: int = 3) -> float:
    """Bytes read and written per second by the best of some copies too large for the caches."""
    source = np.ones(nbytes, np.uint8)
    target = np.empty_like(source)
    return 2 * nbytes / _best(lambda: np.copyto(target, source), times)


METERS: dict[str, Callable[[], float]] = {"flops": product_rate, "bandwidth": copy_rate}
"""How the limits are found. A kernel that comes closer to the hardware's takes a place here."""


def peaks() -> Peaks:
    """The limits of this moment."""
    return Peaks(METERS["flops"](), METERS["bandwidth"]())


def _best(call: Callable[[], object], times: int) -> float:
    call()
    best = float("inf")
    for _ in range(times):
        start = perf_counter()
        call()
        best = min(best, perf_counter() - start)
    return best


def processor() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def facts(packages: Iterable[str]) -> dict[str, str]:
    """What a reader of the numbers must know: processor, CPUs, load, versions."""
    known = {
        "processor": processor(),
        "cpus": str(os.cpu_count()),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown",
    }
    for package in packages:
        try:
            known[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return known
