"""`torch.cuda.amp`: the old names of `torch.amp` for CUDA. Both warn and do nothing: no device is
there.
"""

from __future__ import annotations

import functools
from typing import Any

from pellucid.amp.autocast_mode import autocast as _autocast
from pellucid.amp.autocast_mode import custom_bwd as _custom_bwd
from pellucid.amp.autocast_mode import custom_fwd as _custom_fwd
from pellucid.amp.grad_scaler import GradScaler as _GradScaler
from pellucid.tensor.dtype import dtype as DType
from pellucid.tensor.dtype import float16

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]

custom_fwd = functools.partial(_custom_fwd, device_type="cuda")
custom_bwd = functools.partial(_custom_bwd, device_type="cuda")


class autocast(_autocast):
    """`torch.amp.autocast("cuda", ...)`."""

    def __init__(
        self, enabled: bool = True, dtype: DType = float16, cache_enabled: bool = True
    ) -> None:
        super().__init__("cuda", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


class GradScaler(_GradScaler):
    """`torch.amp.GradScaler("cuda", ...)`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("cuda", *args, **kwargs)
