"""Pellucid: PyTorch's programming model for the CPU, see-through and fast.

`import pellucid as torch` gives PyTorch's names. What a plain tensor program needs is here at once;
rooms that it may not need (`nn`, `optim`, `linalg`, `utils`, …) load when they are first touched.
"""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

from pellucid import ops as ops
from pellucid.autograd.modes import enable_grad as enable_grad
from pellucid.autograd.modes import inference_mode as inference_mode
from pellucid.autograd.modes import is_grad_enabled as is_grad_enabled
from pellucid.autograd.modes import is_inference_mode_enabled as is_inference_mode_enabled
from pellucid.autograd.modes import no_grad as no_grad
from pellucid.autograd.modes import set_grad_enabled as set_grad_enabled
from pellucid.ops.creation.legacy import set_default_tensor_type as set_default_tensor_type
from pellucid.ops.creation.legacy import tensor_types as _tensor_types
from pellucid.ops.spec import registry as _registry
from pellucid.ops.spec import show as _show
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
from pellucid.tensor.typed_storage import TypedStorage as TypedStorage
from pellucid.tensor.typed_storage import storage_types as _storage_types
from pellucid.version import __version__ as __version__

if TYPE_CHECKING:  # what a type checker cannot see: names that come from tables, or late
    from pellucid import accelerator as accelerator
    from pellucid import amp as amp
    from pellucid import autograd as autograd
    from pellucid import backends as backends
    from pellucid import cpu as cpu
    from pellucid import cuda as cuda
    from pellucid import data as data
    from pellucid import distributions as distributions
    from pellucid import fft as fft
    from pellucid import func as func
    from pellucid import hub as hub
    from pellucid import instrument as instrument
    from pellucid import io as io
    from pellucid import jit as jit
    from pellucid import library as library
    from pellucid import linalg as linalg
    from pellucid import mps as mps
    from pellucid import multiprocessing as multiprocessing
    from pellucid import nn as nn
    from pellucid import optim as optim
    from pellucid import overrides as overrides
    from pellucid import random as random
    from pellucid import return_types as return_types
    from pellucid import serialization as serialization
    from pellucid import signal as signal
    from pellucid import special as special
    from pellucid import storage as storage
    from pellucid import testing as testing
    from pellucid import types as types
    from pellucid import utils as utils
    from pellucid import version as version
    from pellucid import xpu as xpu
    from pellucid.amp import GradScaler as GradScaler
    from pellucid.amp.autocast_mode import autocast as autocast
    from pellucid.amp.autocast_mode import clear_autocast_cache as clear_autocast_cache
    from pellucid.amp.autocast_mode import get_autocast_cpu_dtype as get_autocast_cpu_dtype
    from pellucid.amp.autocast_mode import get_autocast_dtype as get_autocast_dtype
    from pellucid.amp.autocast_mode import get_autocast_gpu_dtype as get_autocast_gpu_dtype
    from pellucid.amp.autocast_mode import is_autocast_cache_enabled as is_autocast_cache_enabled
    from pellucid.amp.autocast_mode import is_autocast_cpu_enabled as is_autocast_cpu_enabled
    from pellucid.amp.autocast_mode import is_autocast_enabled as is_autocast_enabled
    from pellucid.amp.autocast_mode import set_autocast_cache_enabled as set_autocast_cache_enabled
    from pellucid.amp.autocast_mode import set_autocast_cpu_dtype as set_autocast_cpu_dtype
    from pellucid.amp.autocast_mode import set_autocast_cpu_enabled as set_autocast_cpu_enabled
    from pellucid.amp.autocast_mode import set_autocast_dtype as set_autocast_dtype
    from pellucid.amp.autocast_mode import set_autocast_enabled as set_autocast_enabled
    from pellucid.autograd.anomaly import (
        is_anomaly_check_nan_enabled as is_anomaly_check_nan_enabled,
    )
    from pellucid.autograd.anomaly import is_anomaly_enabled as is_anomaly_enabled
    from pellucid.autograd.anomaly import set_anomaly_enabled as set_anomaly_enabled
    from pellucid.explain import explain as explain
    from pellucid.func import vmap as vmap
    from pellucid.io.dlpack import from_dlpack as from_dlpack
    from pellucid.io.dlpack import to_dlpack as to_dlpack
    from pellucid.ops.functions import *  # noqa: F403
    from pellucid.random import Generator as Generator
    from pellucid.random import default_generator as default_generator
    from pellucid.random import get_rng_state as get_rng_state
    from pellucid.random import initial_seed as initial_seed
    from pellucid.random import manual_seed as manual_seed
    from pellucid.random import seed as seed
    from pellucid.random import set_rng_state as set_rng_state
    from pellucid.serialization import load as load
    from pellucid.serialization import save as save
    from pellucid.switches import _assert as _assert
    from pellucid.switches import (
        are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled,
    )
    from pellucid.switches import compiled_with_cxx11_abi as compiled_with_cxx11_abi
    from pellucid.switches import get_default_device as get_default_device
    from pellucid.switches import get_deterministic_debug_mode as get_deterministic_debug_mode
    from pellucid.switches import get_float32_matmul_precision as get_float32_matmul_precision
    from pellucid.switches import (
        is_deterministic_algorithms_warn_only_enabled as is_deterministic_algorithms_warn_only_enabled,  # noqa: E501
    )
    from pellucid.switches import is_vulkan_available as is_vulkan_available
    from pellucid.switches import is_warn_always_enabled as is_warn_always_enabled
    from pellucid.switches import set_default_device as set_default_device
    from pellucid.switches import set_deterministic_debug_mode as set_deterministic_debug_mode
    from pellucid.switches import set_float32_matmul_precision as set_float32_matmul_precision
    from pellucid.switches import set_flush_denormal as set_flush_denormal
    from pellucid.switches import set_warn_always as set_warn_always
    from pellucid.switches import typename as typename
    from pellucid.switches import use_deterministic_algorithms as use_deterministic_algorithms
    from pellucid.tensor.dtype import bfloat16 as bfloat16
    from pellucid.tensor.dtype import bool_ as bool  # noqa: F401
    from pellucid.tensor.dtype import complex64 as cfloat  # noqa: F401
    from pellucid.tensor.dtype import complex64 as complex64
    from pellucid.tensor.dtype import complex128 as cdouble  # noqa: F401
    from pellucid.tensor.dtype import complex128 as complex128
    from pellucid.tensor.dtype import float8_e4m3fn as float8_e4m3fn
    from pellucid.tensor.dtype import float8_e4m3fnuz as float8_e4m3fnuz
    from pellucid.tensor.dtype import float8_e5m2 as float8_e5m2
    from pellucid.tensor.dtype import float8_e5m2fnuz as float8_e5m2fnuz
    from pellucid.tensor.dtype import float8_e8m0fnu as float8_e8m0fnu
    from pellucid.tensor.dtype import float16 as float16
    from pellucid.tensor.dtype import float16 as half  # noqa: F401
    from pellucid.tensor.dtype import float32 as float  # noqa: F401
    from pellucid.tensor.dtype import float32 as float32
    from pellucid.tensor.dtype import float64 as double  # noqa: F401
    from pellucid.tensor.dtype import float64 as float64
    from pellucid.tensor.dtype import int8 as int8
    from pellucid.tensor.dtype import int16 as int16
    from pellucid.tensor.dtype import int16 as short  # noqa: F401
    from pellucid.tensor.dtype import int32 as int  # noqa: F401
    from pellucid.tensor.dtype import int32 as int32
    from pellucid.tensor.dtype import int64 as int64
    from pellucid.tensor.dtype import int64 as long  # noqa: F401
    from pellucid.tensor.dtype import uint8 as uint8
    from pellucid.tensor.dtype import uint16 as uint16
    from pellucid.tensor.dtype import uint32 as uint32
    from pellucid.tensor.dtype import uint64 as uint64
    from pellucid.tensor.threads import get_num_interop_threads as get_num_interop_threads
    from pellucid.tensor.threads import get_num_threads as get_num_threads
    from pellucid.tensor.threads import set_num_interop_threads as set_num_interop_threads
    from pellucid.tensor.threads import set_num_threads as set_num_threads

_operators = _show("torch", globals())
globals().update({d.name: d for d in _dtypes.all_dtypes() + _dtypes.named_dtypes()})
globals().update(_dtypes.ALIASES)
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
        "compiler",
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
        "library",
        "linalg",
        "loops",
        "models",
        "mps",
        "multiprocessing",
        "nn",
        "optim",
        "overrides",
        "random",
        "return_types",
        "serialization",
        "signal",
        "special",
        "storage",
        "testing",
        "text",
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
        "random": (
            "Generator default_generator get_rng_state initial_seed manual_seed seed set_rng_state"
        ),
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
            "is_deterministic_algorithms_warn_only_enabled is_vulkan_available "
            "is_warn_always_enabled "
            "set_default_device set_deterministic_debug_mode set_float32_matmul_precision "
            "set_flush_denormal set_warn_always typename use_deterministic_algorithms _assert"
        ),
        "func": "vmap",
        "compiler": "compile load_compiled",
        "loops": "compile_loop compile_sweep",
        "io.dlpack": "from_dlpack to_dlpack",
        "tensor.threads": (
            "get_num_interop_threads get_num_threads set_num_interop_threads set_num_threads"
        ),
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


if not TYPE_CHECKING:  # to a type checker a name that is not listed above is an error

    def __getattr__(name: str) -> Any:
        operator = _operators(name)
        if operator is not None:
            return operator
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

    def __dir__() -> list[str]:
        return sorted({*globals(), *_registry.names("torch"), *_LATE, *_ROOMS})
