"""`autocast`: inside, products are computed in bfloat16 (or float16), losses in float32.

On the CPU it is what PyTorch's is; for "cuda" it warns and does nothing, since no such device is
there. Which operators change dtypes stands in `ops/autocast.py`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from pellucid.autograd.modes import decorate
from pellucid.ops.autocast import cast, current, switched
from pellucid.tensor.device import device as Device
from pellucid.tensor.dtype import bfloat16, dtype, float16

_HALVES = (bfloat16, float16)


def is_autocast_available(device_type: str) -> bool:
    """Whether `device_type` can be named in `autocast`."""
    return device_type in ("cpu", "cuda", "xpu", "mps", "hpu", "mtia", "maia", "xla", "ipu")


class autocast:
    """Mixed precision for a block or, as a decorator, for each call of a function.

    Args:
        device_type: "cpu"; "cuda" and others warn and do nothing.
        dtype: of the lower precision, bfloat16 (the default on the CPU) or float16.
        enabled: False makes it do nothing, also inside another autocast.
        cache_enabled: accepted; casts are not kept.

    Raises: ValueError if `device_type` is no string, RuntimeError if it is no device.
    """

    def __init__(
        self,
        device_type: str,
        dtype: dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if not is_autocast_available(Device(device_type).type):
            raise RuntimeError(
                f"User specified an unsupported autocast device_type '{device_type}'"
            )
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = current.cache if cache_enabled is None else cache_enabled
        self._enabled = enabled and self._is_possible()
        self._entered: list[AbstractContextManager[None]] = []

    def _is_possible(self) -> bool:
        if self.device == "cuda":
            warnings.warn(
                "CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=3
            )
            return False
        if self.fast_dtype not in _HALVES:
            warnings.warn(
                f"In {self.device.upper()} autocast, but the target dtype is not supported. "
                "Disabling "
                f"autocast.\n{self.device.upper()} Autocast only supports dtypes of "
                f"{', '.join(map(str, _HALVES))} currently.",
                stacklevel=3,
            )
            return False
        return True

    def __enter__(self) -> autocast:
        if self.device == "cpu":
            context = switched(self._enabled, self.fast_dtype, self._cache_enabled)
        else:
            context = switched(current.enabled, current.dtype, self._cache_enabled)
        context.__enter__()
        self._entered.append(context)
        return self

    def __exit__(self, *exc: Any) -> None:
        self._entered.pop().__exit__(*exc)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return decorate(lambda: self, function)


def as_it_was() -> Callable[[], AbstractContextManager[None]]:
    """What makes a context in which autocast is as it is now."""
    return functools.partial(switched, current.enabled, current.dtype, current.cache)


def custom_fwd(
    fwd: Callable[..., Any] | None = None,
    *,
    device_type: str,
    cast_inputs: dtype | None = None,
) -> Callable[..., Any]:
    """Decorate the `forward` of an `autograd.Function`, so that autocast is for it what it says.

    With `cast_inputs`, inside autocast floating arguments get that dtype and autocast is off in the
    body. `device_type` must be a string (ValueError).
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        on = is_autocast_enabled(device_type)
        ctx._dtype = get_autocast_dtype(device_type)
        if cast_inputs is None or not on:
            ctx._fwd_used_autocast = on
            return fwd(ctx, *args, **kwargs)
        ctx._fwd_used_autocast = False
        with autocast(device_type, enabled=False):
            return fwd(
                ctx,
                *(cast(value, cast_inputs) for value in args),
                **{key: cast(value, cast_inputs) for key, value in kwargs.items()},
            )

    return forward


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Callable[..., Any]:
    """Decorate the `backward` of such a `Function`: autocast is for it what it was for
    `forward`.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, ctx._dtype, enabled=ctx._fwd_used_autocast):
            return bwd(ctx, *args, **kwargs)

    return backward


# -- the functions below `torch`


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether autocast is on for a device: without one, for "cuda", where it never is."""
    return current.enabled and device_type == "cpu"


def get_autocast_dtype(device_type: str) -> dtype:
    """The lower precision of a device: bfloat16 on the CPU unless set, float16 elsewhere."""
    return current.dtype if device_type == "cpu" else float16


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Switch autocast on or off for "cpu"; other devices have none."""
    if device_type == "cpu":
        current.enabled = bool(enabled)


def set_autocast_dtype(device_type: str, kind: dtype) -> None:
    """Set the lower precision of the CPU; other devices have none."""
    if device_type == "cpu":
        current.dtype = kind


def is_autocast_cpu_enabled() -> bool:
    """Whether autocast is on for the CPU."""
    return current.enabled


def get_autocast_cpu_dtype() -> dtype:
    """The lower precision of the CPU."""
    return current.dtype


def get_autocast_gpu_dtype() -> dtype:
    """The lower precision of CUDA devices: float16."""
    return float16


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """Switch autocast on or off for the CPU."""
    current.enabled = bool(enabled)


def set_autocast_cpu_dtype(kind: dtype) -> None:
    """Set the lower precision of the CPU."""
    current.dtype = kind


def is_autocast_cache_enabled() -> bool:
    """What `cache_enabled` of the autocast in force says."""
    return current.cache


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Remembered: casts are not kept."""
    current.cache = bool(enabled)


def clear_autocast_cache() -> None:
    """Nothing is kept."""
