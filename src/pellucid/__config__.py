"""`torch.__config__`: how the library was built."""

from __future__ import annotations

import sys

import numpy as np

from pellucid.backends.cpu import get_cpu_capability
from pellucid.tensor.threads import get_num_interop_threads, get_num_threads
from pellucid.version import PELLUCID


def show() -> str:
    """What computes, as text."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return (
        f"PyTorch built with:\n  - Pellucid {PELLUCID} over NumPy {np.__version__}, no C++\n"
        f"  - Python {sys.version.split()[0]}\n"
        f"  - BLAS: {blas.get('name')} {blas.get('version')}\n"
        f"  - CPU capability: {get_cpu_capability()}\n"
    )


def parallel_info() -> str:
    """How many threads compute, as text."""
    return (
        f"ATen/Parallel:\n\tat::get_num_threads() : {get_num_threads()}\n"
        f"\tat::get_num_interop_threads() : {get_num_interop_threads()}\n"
    )
