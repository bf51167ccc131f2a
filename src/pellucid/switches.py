"""Settings of the whole process that PyTorch programs touch: determinism, precision, devices,
warnings.

Pellucid's operators are deterministic and compute in the dtype they are given, so most of these
remember what was asked for and have nothing to change; each says so.
"""

from __future__ import annotations

import warnings
from typing import Any

from pellucid.tensor.device import CPU, chosen, device, placed
from pellucid.tensor.tensor import Tensor


class _Settings:
    deterministic = False
    warn_only = False
    precision = "highest"
    warn_always = False


_MODES = {"default": 0, "warn": 1, "error": 2}
_PRECISIONS = ("highest", "high", "medium")


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for operators that give the same result each time: all do, so nothing changes."""
    _Settings.deterministic, _Settings.warn_only = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms(True)` was called."""
    return _Settings.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it was called with `warn_only=True`."""
    return _Settings.warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """`use_deterministic_algorithms` by number or name: 0 "default", 1 "warn", 2 "error"."""
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    mode = debug_mode
    if isinstance(mode, str):
        if mode not in _MODES:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got "
                f"{debug_mode}"
            )
        mode = _MODES[mode]
    if mode not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}"
        )
    use_deterministic_algorithms(mode > 0, warn_only=mode == 1)


def get_deterministic_debug_mode() -> int:
    """The mode as a number: 0, 1 or 2."""
    if not _Settings.deterministic:
        return 0
    return 1 if _Settings.warn_only else 2


def set_float32_matmul_precision(precision: str) -> None:
    """ "highest", "high" or "medium": remembered. Products of float32 are always computed in
    float32.
    """
    if precision not in _PRECISIONS:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current"
            "setFloat32MatmulPrecision call has no effect.",
            UserWarning,
            stacklevel=2,
        )
        return
    _Settings.precision = precision


def get_float32_matmul_precision() -> str:
    """What was asked for with `set_float32_matmul_precision`."""
    return _Settings.precision


def set_flush_denormal(mode: bool) -> bool:
    """Whether tiny numbers can be flushed to zero: NumPy keeps them, so the answer is False."""
    return False


def set_warn_always(b: bool, /) -> None:
    """Remembered: warnings are Python's, whose filters decide how often each is shown."""
    _Settings.warn_always = bool(b)


def is_warn_always_enabled() -> bool:
    """Whether `set_warn_always(True)` was called."""
    return _Settings.warn_always


def set_default_device(device: Any) -> None:
    """Where factories make tensors from now on if no device is named: the CPU (also for None), or
    "meta"; RuntimeError for any other device.
    """
    chosen.stack = (*chosen.stack[1:], CPU if device is None else placed(device))


def get_default_device() -> device:
    """Where factories make tensors if no device is named."""
    return placed(None)


def typename(obj: Any, /) -> str:
    """A name of the type of `obj` with its module: "torch.FloatTensor" for tensors, "int" for 3."""
    if isinstance(obj, Tensor):
        return f"torch.{obj.dtype.tensor_type}"
    if obj is Tensor:
        return "torch.Tensor"
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", None) or ""
    if module == "builtins":
        module = ""
    if module.startswith("pellucid"):
        module = "torch" + module.removeprefix("pellucid")
    return f"{module}.{named.__qualname__}" if module else named.__qualname__


def is_vulkan_available() -> bool:
    """Whether there is a Vulkan device: no."""
    return False


def compiled_with_cxx11_abi() -> bool:
    """Whether extensions in C++ would use the new ABI: PyTorch's wheels say so; there are none
    here.
    """
    return True


def _assert(condition: Any, message: Any) -> None:
    """`assert condition, message` as a function, for tracers. Raises: AssertionError."""
    if not condition:
        raise AssertionError(message)
