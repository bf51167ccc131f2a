"""The tape: grad modes, nodes, the engine, custom functions, hooks, gradient checks (PyTorch's
`torch.autograd`).

`import pellucid` needs only the tape; the rest loads when it is first touched.
"""

from __future__ import annotations

import importlib
from typing import Any

_LATE = {
    "Function": "function",
    "GradcheckError": "gradchecking",
    "NestedIOFunction": "function",
    "Variable": "variable",
    "backward": "api",
    "detect_anomaly": "anomaly",
    "enable_grad": "modes",
    "grad": "api",
    "gradcheck": "gradchecking",
    "gradgradcheck": "gradchecking",
    "inference_mode": "modes",
    "no_grad": "modes",
    "set_detect_anomaly": "anomaly",
    "set_grad_enabled": "modes",
    "set_multithreading_enabled": "modes",
}
"""Public names by the module that has them. `gradcheck` is the function, as in PyTorch."""

_MODULES = frozenset(
    {
        "anomaly_mode",
        "forward_ad",
        "function",
        "functional",
        "grad_mode",
        "graph",
        "profiler",
        "variable",
    }
)

__all__ = sorted(_LATE)


def __getattr__(name: str) -> Any:
    if name in _LATE:
        value = getattr(importlib.import_module(f"pellucid.autograd.{_LATE[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"pellucid.autograd.{name}")
    else:
        raise AttributeError(f"module 'pellucid.autograd' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE, *_MODULES})
