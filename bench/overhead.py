"""What a call costs when there is nothing to compute: tensors of four floats, and starting up.

The limit is NumPy's own call on the same four floats; PyTorch's C++ dispatcher is the peer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.timing import Measured, import_seconds, interleaved

CASES: dict[str, Callable[[Any], Callable[[], object]]] = {
    "x + y": lambda t: _binary(t, lambda x, y: x + y),
    "x * 2.0": lambda t: _binary(t, lambda x, y: x * 2.0),
    "x.add_(y)": lambda t: _binary(t, lambda x, y: x.add_(y)),
    "x.view(2, 2)": lambda t: _binary(t, lambda x, y: x.view(2, 2)),
    "x[0]": lambda t: _binary(t, lambda x, y: x[0]),
    "x.sum()": lambda t: _binary(t, lambda x, y: x.sum()),
    "x @ y": lambda t: _binary(t, lambda x, y: x @ y),
    "x + y, recorded": lambda t: _recorded(t),
    "(x * x).sum().backward()": lambda t: _backward(t),
}


def _binary(t: Any, operation: Callable[[Any, Any], object]) -> Callable[[], object]:
    x, y = t.ones(4), t.ones(4)
    return lambda: operation(x, y)


def _recorded(t: Any) -> Callable[[], object]:
    x, y = t.ones(4, requires_grad=True), t.ones(4)
    return lambda: x + y


def _backward(t: Any) -> Callable[[], object]:
    x = t.ones(4, requires_grad=True)

    def step() -> None:
        x.grad = None
        (x * x).sum().backward()

    return step


def measure(peers: dict[str, Any]) -> dict[str, dict[str, Measured]]:
    """Seconds per call for each case and peer, with NumPy's `add` as the floor of the first."""
    results = {}
    for name, build in CASES.items():
        calls = {peer: build(module) for peer, module in peers.items()}
        if name == "x + y":
            a, b = np.ones(4, np.float32), np.ones(4, np.float32)
            calls["numpy"] = lambda a=a, b=b: a + b
        results[name] = interleaved(calls)
    return results


def measure_imports(with_torch: bool) -> dict[str, Measured]:
    """Seconds to import, in a process of its own."""
    results = {
        "numpy": import_seconds("import numpy"),
        "pellucid": import_seconds("import pellucid"),
    }
    if with_torch:
        results["torch"] = import_seconds("import torch")
    return results
