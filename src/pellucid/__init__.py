"""Pellucid: PyTorch's programming model for the CPU, see-through and fast.

`import pellucid as torch` gives PyTorch's names. What a plain tensor program needs is here at once;
rooms that it may not need (`nn`, `optim`, `linalg`, `utils`, …) load when they are first touched.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

from pellucid import ops as ops
from pellucid.autograd.modes import enable_grad as enable_grad
from pellucid.autograd.modes import inference_mode as inference_mode
from pellucid.autograd.modes import is_grad_enabled as is_grad_enabled
from pellucid.autograd.modes import is_inference_mode_enabled as is_inference_mode_enabled
from pellucid.autograd.modes import no_grad as no_grad
from pellucid.autograd.modes import set_grad_enabled as set_grad_enabled
from pellucid.ops.spec import namespace as _namespace
from pellucid.tensor import dtype as _dtypes
from pellucid.tensor.device import channels_last as channels_last
from pellucid.tensor.device import channels_last_3d as channels_last_3d
from pellucid.tensor.device import contiguous_format as contiguous_format
from pellucid.tensor.device import device as device
from pellucid.tensor.device import layout_kind as layout  # noqa: F401
from pellucid.tensor.device import memory_format as memory_format
from pellucid.tensor.device import preserve_format as preserve_format
from pellucid.tensor.device import sparse_coo as sparse_coo
from pellucid.tensor.device import strided as strided
from pellucid.tensor.dtype import dtype as dtype
from pellucid.tensor.dtype import finfo as finfo
from pellucid.tensor.dtype import get_default_dtype as get_default_dtype
from pellucid.tensor.dtype import iinfo as iinfo
from pellucid.tensor.dtype import set_default_dtype as set_default_dtype
from pellucid.tensor.printing import get_printoptions as get_printoptions
from pellucid.tensor.printing import printoptions as printoptions
from pellucid.tensor.printing import set_printoptions as set_printoptions
from pellucid.tensor.promotion import can_cast as can_cast
from pellucid.tensor.promotion import promote_types as promote_types
from pellucid.tensor.size import Size as Size
from pellucid.tensor.storage import Storage as UntypedStorage  # noqa: F401
from pellucid.tensor.tensor import Tensor as Tensor
from pellucid.tensor.tensor import from_numpy as from_numpy
from pellucid.version import __version__ as __version__

globals().update(_namespace("torch"))
globals().update({d.name: d for d in _dtypes.all_dtypes()} | _dtypes.ALIASES)

inf = math.inf
nan = math.nan
pi = math.pi
e = math.e
newaxis = None

_ROOMS = frozenset(
    [
        "__future__",
        "amp",
        "autograd",
        "backends",
        "compat",
        "compile",
        "cuda",
        "data",
        "distributions",
        "explain",
        "fft",
        "func",
        "functional",
        "hub",
        "instrument",
        "io",
        "jit",
        "lab",
        "linalg",
        "models",
        "multiprocessing",
        "nn",
        "optim",
        "overrides",
        "random",
        "return_types",
        "serialization",
        "special",
        "testing",
        "torch_version",
        "types",
        "utils",
        "version",
        "vision",
    ]
)
"""Submodules that load on first use."""

_LATE = {
    "save": "pellucid.serialization",
    "load": "pellucid.serialization",
    "manual_seed": "pellucid.random",
    "seed": "pellucid.random",
    "initial_seed": "pellucid.random",
    "get_rng_state": "pellucid.random",
    "set_rng_state": "pellucid.random",
    "default_generator": "pellucid.random",
    "Generator": "pellucid.random",
    "explain": "pellucid.explain",
}
"""Names that live in rooms that load on first use."""


def __getattr__(name: str) -> Any:
    if name in _LATE:
        value = getattr(importlib.import_module(_LATE[name]), name)
    elif name in _ROOMS:
        try:
            value = importlib.import_module(f"pellucid.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"pellucid.{name}":
                raise
            raise AttributeError(f"module 'pellucid' has no attribute {name!r}") from None
    else:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    globals()[name] = value
    return value
