"""The tape: grad modes, nodes, the engine, custom functions, hooks, gradient checks (PyTorch's
`torch.autograd`).

`import pellucid` needs only the tape; the rest loads when it is first touched.
"""

from __future__ import annotations

import importlib
from typing import Any

_LATE = {
    "backward": "pellucid.autograd.api",
    "grad": "pellucid.autograd.api",
    "Function": "pellucid.autograd.function",
    "FunctionCtx": "pellucid.autograd.function",
    "gradcheck": "pellucid.autograd.gradcheck",
    "gradgradcheck": "pellucid.autograd.gradcheck",
    "detect_anomaly": "pellucid.autograd.anomaly",
    "set_detect_anomaly": "pellucid.autograd.anomaly",
    "no_grad": "pellucid.autograd.modes",
    "enable_grad": "pellucid.autograd.modes",
    "set_grad_enabled": "pellucid.autograd.modes",
    "inference_mode": "pellucid.autograd.modes",
}
_MODULES = frozenset(
    {"anomaly", "forward_ad", "function", "functional", "grad_mode", "graph", "profiler"}
)


def __getattr__(name: str) -> Any:
    if name in _LATE:
        value = getattr(importlib.import_module(_LATE[name]), name)
    elif name == "Variable":
        value = importlib.import_module("pellucid.tensor.tensor").Tensor
    elif name in _MODULES:
        try:
            value = importlib.import_module(f"pellucid.autograd.{name}")
        except ModuleNotFoundError:
            raise AttributeError(f"module 'pellucid.autograd' has no attribute {name!r}") from None
    else:
        raise AttributeError(f"module 'pellucid.autograd' has no attribute {name!r}")
    globals()[name] = value
    return value
