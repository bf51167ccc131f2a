"""`torch.cuda` on a machine without: questions are answered, requests refused, as PyTorch built for
the CPU does.

`is_available()` is False and `device_count()` 0, so programs that ask take their CPU branch.
Seeding,
emptying caches and counting memory do nothing. What needs a device raises AssertionError "Torch not
compiled with CUDA enabled".
"""

from __future__ import annotations

import importlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from pellucid.ops.creation.legacy import tensor_types
from pellucid.tensor.tensor import Tensor

has_half = True
has_magma = False
default_generators: tuple[Any, ...] = ()


class OutOfMemoryError(RuntimeError):
    """Raised by PyTorch when a device's memory is exhausted; never here."""


class CudaError(RuntimeError):
    """Raised by PyTorch for errors of the CUDA runtime; never here."""


DeferredCudaCallError = type("DeferredCudaCallError", (Exception,), {})
AcceleratorError = type("AcceleratorError", (RuntimeError,), {})


def _refuse(name: str) -> NoReturn:
    raise AssertionError(
        "Torch not compiled with CUDA enabled\n"
        f"  torch.cuda.{name} needs a device, and Pellucid computes on the CPU. Ask "
        "torch.cuda.is_available() first."
    )


def is_available() -> bool:
    """Whether there is a CUDA device: no."""
    return False


def device_count() -> int:
    """The number of CUDA devices: 0."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA was started: no."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the device computes in bfloat16: there is none."""
    return False


def is_tf32_supported() -> bool:
    """Whether the device computes in TensorFloat-32: there is none."""
    return False


def get_arch_list() -> list[str]:
    """The architectures that kernels were compiled for: none."""
    return []


def manual_seed(seed: int) -> None:
    """Seed the device's generator: there is none. `torch.manual_seed` seeds the CPU's."""


def manual_seed_all(seed: int) -> None:
    """Seed all devices' generators: there are none."""


def seed() -> None:
    """Seed the device's generator anew: there is none."""


def seed_all() -> None:
    """Seed all devices' generators anew: there are none."""


def empty_cache() -> None:
    """Free the device's cached memory: there is none."""


def get_rng_state_all() -> list[Tensor]:
    """The states of all devices' generators: none."""
    return []


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    """Set the states of all devices' generators: there must be none to set."""
    if list(new_states):
        _refuse("set_rng_state_all()")


def memory_stats(device: Any = None) -> OrderedDict[str, Any]:
    """Statistics of the device's allocator: none."""
    return OrderedDict()


def _nothing(name: str) -> Callable[..., int]:
    def ask(device: Any = None) -> int:
        return 0

    ask.__name__ = ask.__qualname__ = name
    ask.__doc__ = f"`{name}` of a device that is not there, in bytes: 0."
    return ask


memory_allocated = _nothing("memory_allocated")
max_memory_allocated = _nothing("max_memory_allocated")
memory_reserved = _nothing("memory_reserved")
max_memory_reserved = _nothing("max_memory_reserved")
memory_cached = _nothing("memory_cached")
max_memory_cached = _nothing("max_memory_cached")


def reset_peak_memory_stats(device: Any = None) -> None:
    """Start counting the device's peak memory anew: nothing to count."""


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats
reset_accumulated_memory_stats = reset_peak_memory_stats

_NEED_A_DEVICE = [
    "can_device_access_peer",
    "current_blas_handle",
    "current_device",
    "current_stream",
    "cudart",
    "default_stream",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "get_sync_debug_mode",
    "init",
    "initial_seed",
    "ipc_collect",
    "is_current_stream_capturing",
    "list_gpu_processes",
    "mem_get_info",
    "memory_snapshot",
    "memory_summary",
    "power_draw",
    "set_device",
    "set_per_process_memory_fraction",
    "set_rng_state",
    "set_stream",
    "set_sync_debug_mode",
    "synchronize",
    "temperature",
    "utilization",
]


def _refusing(name: str) -> Callable[..., NoReturn]:
    def call(*args: Any, **kwargs: Any) -> NoReturn:
        _refuse(f"{name}()")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "AssertionError: there is no device."
    return call


globals().update({name: _refusing(name) for name in _NEED_A_DEVICE})


class device:
    """A context in which another device is current; None and negative numbers name none."""

    def __init__(self, device: Any) -> None:
        self.idx = device

    def __enter__(self) -> None:
        if self.idx is not None and not (isinstance(self.idx, int) and self.idx < 0):
            _refuse(f"device({self.idx!r})")

    def __exit__(self, *exc: object) -> None:
        return None


class device_of(device):
    """A context in which the device of a tensor is current; CPU tensors change nothing."""

    def __init__(self, obj: Tensor) -> None:
        super().__init__(None)


class StreamContext:
    """A context in which a stream is current; None names none."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            _refuse("stream()")

    def __exit__(self, *exc: object) -> None:
        return None


def stream(stream: Any) -> StreamContext:
    """A context in which `stream` is current; None changes nothing."""
    return StreamContext(stream)


class Stream:
    """A queue of work on a device. RuntimeError: there is none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(f"torch.cuda.{type(self).__name__} requires CUDA support")


class ExternalStream(Stream):
    """A stream made by another library. RuntimeError: there is no device."""


class Event:
    """A mark in a stream. RuntimeError: there is no device; time with `time.perf_counter`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            "Tried to instantiate dummy base class Event\n"
            "  Events time a device. On the CPU calls return when they are done: "
            "time.perf_counter()."
        )


def _tensor_type(name: str) -> type:
    def refuse(cls: type, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"type torch.cuda.{name} not available. Torch not compiled with CUDA enabled."
        )

    return type(name, (), {"__new__": refuse, "__module__": "torch.cuda", "is_cuda": True})


globals().update({name: _tensor_type(name) for name in tensor_types})


def __getattr__(name: str) -> Any:
    if name in ("amp", "random"):
        return importlib.import_module(f"pellucid.cuda.{name}")
    raise AttributeError(f"module 'pellucid.cuda' has no attribute {name!r}")
