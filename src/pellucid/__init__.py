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
from pellucid.ops.legacy import set_default_tensor_type as set_default_tensor_type
from pellucid.ops.legacy import tensor_types as _tensor_types
from pellucid.ops.spec import namespace as _namespace
from pellucid.tensor import dtype as _dtypes
from pellucid.tensor.device import channels_last as channels_last
from pellucid.tensor.device import channels_last_3d as channels_last_3d
from pellucid.tensor.device import contiguous_format as contiguous_format
from pellucid.tensor.device import device as device
from pellucid.tensor.device import layout_kind as layout  # noqa: F401
from pellucid.tensor.device import memory_format as memory_format
from pellucid.tensor.device import preserve_format as preserve_format
from pellucid.tensor.device import sparse_bsc as sparse_bsc
from pellucid.tensor.device import sparse_bsr as sparse_bsr
from pellucid.tensor.device import sparse_coo as sparse_coo
from pellucid.tensor.device import sparse_csc as sparse_csc
from pellucid.tensor.device import sparse_csr as sparse_csr
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
from pellucid.tensor.typed_storage import TypedStorage as TypedStorage
from pellucid.tensor.typed_storage import storage_types as _storage_types
from pellucid.version import __version__ as __version__

globals().update(_namespace("torch"))
globals().update({d.name: d for d in _dtypes.all_dtypes()} | _dtypes.ALIASES)
globals().update(_tensor_types | _storage_types)

inf = math.inf
nan = math.nan
pi = math.pi
e = math.e
newaxis = None

_ROOMS = frozenset(
    [
        "__config__",
        "__future__",
        "accelerator",
        "amp",
        "autograd",
        "backends",
        "compat",
        "compile",
        "cpu",
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
        "mps",
        "multiprocessing",
        "nn",
        "optim",
        "overrides",
        "random",
        "return_types",
        "serialization",
        "special",
        "storage",
        "testing",
        "torch_version",
        "types",
        "utils",
        "version",
        "vision",
        "xpu",
    ]
)
"""Submodules that load on first use."""

_LATE = {
    name: f"pellucid.{module}"
    for module, names in {
        "autograd.anomaly": "is_anomaly_check_nan_enabled is_anomaly_enabled set_anomaly_enabled",
        "explain": "explain",
        "random": "Generator default_generator get_rng_state initial_seed manual_seed seed set_rng_state",
        "serialization": "load save",
        "amp": "GradScaler",
        "amp.autocast_mode": (
            "autocast clear_autocast_cache get_autocast_cpu_dtype get_autocast_dtype "
            "get_autocast_gpu_dtype is_autocast_cache_enabled is_autocast_cpu_enabled "
            "is_autocast_enabled set_autocast_cache_enabled set_autocast_cpu_dtype "
            "set_autocast_cpu_enabled set_autocast_dtype set_autocast_enabled"
        ),
        "switches": (
            "are_deterministic_algorithms_enabled compiled_with_cxx11_abi get_default_device "
            "get_deterministic_debug_mode get_float32_matmul_precision "
            "is_deterministic_algorithms_warn_only_enabled is_vulkan_available is_warn_always_enabled "
            "set_default_device set_deterministic_debug_mode set_float32_matmul_precision "
            "set_flush_denormal set_warn_always typename use_deterministic_algorithms"
        ),
        "io.dlpack": "from_dlpack to_dlpack",
        "tensor.threads": "get_num_interop_threads get_num_threads set_num_interop_threads set_num_threads",
    }.items()
    for name in names.split()
}
"""Names that live in rooms that load on first use."""


def _dlpack(name: str) -> Any:
    def method(self: Tensor, **kwargs: Any) -> Any:
        return getattr(importlib.import_module("pellucid.io.dlpack"), name)(self, **kwargs)

    return method


for _method, _function in (("__dlpack__", "capsule_of"), ("__dlpack_device__", "device_of")):
    if not hasattr(Tensor, _method):  # the room `io` replaces these by its own
        setattr(Tensor, _method, _dlpack(_function))


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
