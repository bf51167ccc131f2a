"""Starting up: how long `import` takes in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from bench.frame.registry import Benchmark, Call, enter

_PROGRAM = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def importing(statement: str) -> Call:
    """A call that runs `statement` in a fresh interpreter and returns the seconds it took there.

    Compiled modules lie in a folder of the benchmark's own, filled by the first call, so that the
    setting of the environment (`PYTHONDONTWRITEBYTECODE`) plays no part.
    """
    folder = tempfile.TemporaryDirectory(prefix="bench-")

    def call() -> float:
        environment = dict(os.environ, PYTHONPYCACHEPREFIX=folder.name)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM.format(statement)],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        return float(done.stdout.split()[-1])

    call()
    return call


enter(
    Benchmark(
        group="start",
        case="import",
        own={
            "pellucid": lambda: importing("import pellucid"),
            "numpy": lambda: importing("import numpy"),
            "torch": lambda: importing("import torch"),
        },
        own_clock=True,
        rounds=7,
    )
)
