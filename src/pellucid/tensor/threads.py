"""How many threads compute: those of the BLAS that NumPy brings, and those of compiled kernels.

Everything else runs in the calling thread. NumPy's wheels carry OpenBLAS as a shared library of
their
own; the functions that set its threads are found in it by name. Another BLAS (NumPy built against
the system's) keeps its own setting, usually from `OMP_NUM_THREADS`; the number is then only
remembered.

OpenBLAS shares also small products between its threads, which wait for each other in a loop: on a
machine with other work to do, such a product takes several times as long as on one thread. Those of
a middle size are therefore computed `alone`; smaller ones OpenBLAS does not share.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable

import numpy as np

from pellucid.kernels.threads import set_num_threads as set_kernel_threads

_SPELLINGS = (
    "scipy_openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads64_",
    "openblas_{}_num_threads",
)


@functools.cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """The functions that ask for and set the number of OpenBLAS's threads, if NumPy brings it."""
    package = os.path.dirname(np.__file__)  # `pathlib` would take its share of the import
    for folder in (os.path.join(package, "..", "numpy.libs"), os.path.join(package, ".dylibs")):
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if "openblas" not in name:
                continue
            library = ctypes.CDLL(os.path.join(folder, name))
            for spelling in _SPELLINGS:
                if hasattr(library, spelling.format("set")):
                    ask = getattr(library, spelling.format("get"))
                    return ask, getattr(library, spelling.format("set"))
    return None


class _Remembered:
    """What was asked for where it cannot be set."""

    threads = 0
    interop = 0


ALONE_FROM, SHARED_FROM = 1 << 13, 1 << 22
"""Products of so many multiplications and more may be shared by OpenBLAS (the first number is for a
matrix and a vector), and are shared: below the second a thread gains nothing even on an idle
machine of two cores, measured with float32.
"""


def alone(multiplications: int) -> int:
    """Let products run in this thread alone if one of `multiplications` is better off so.

    Returns 0 if nothing was changed, else the number of threads for `together`.
    """
    if not ALONE_FROM <= multiplications < SHARED_FROM:
        return 0
    found = _openblas()
    if found is None:
        return 0
    before = found[0]()
    if before == 1:
        return 0
    found[1](1)
    return before


def together(threads: int) -> None:
    """End what `alone` began."""
    found = _openblas()
    if found is not None:
        found[1](threads)


def _positive(name: str, number: int) -> None:
    if isinstance(number, bool) or not isinstance(number, int):
        raise RuntimeError(f"{name} expects an int, but got {type(number).__name__}")
    if number <= 0:
        raise RuntimeError(f"{name} expects a positive integer")


def set_num_threads(number: int) -> None:
    """Let matrix products and kernels use `number` threads. RuntimeError unless it is a positive
    int.
    """
    _positive("set_num_threads", number)
    set_kernel_threads(number)
    found = _openblas()
    if found is not None:
        found[1](number)
    _Remembered.threads = number


def get_num_threads() -> int:
    """The number of threads that matrix products use."""
    found = _openblas()
    if found is not None:
        return found[0]()
    return _Remembered.threads or os.cpu_count() or 1


def set_num_interop_threads(number: int) -> None:
    """Remember a number of threads for operators that run side by side; here they run one by
    one.
    """
    _positive("set_num_interop_threads", number)
    _Remembered.interop = number


def get_num_interop_threads() -> int:
    """The number given to `set_num_interop_threads`, at first the number of CPUs."""
    return _Remembered.interop or os.cpu_count() or 1
