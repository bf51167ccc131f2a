"""`torch.cpu.amp`: the old name of `torch.amp` for the CPU."""

from __future__ import annotations

from pellucid.amp.autocast_mode import autocast as _autocast
from pellucid.tensor.dtype import bfloat16
from pellucid.tensor.dtype import dtype as DType

__all__ = ["autocast"]


class autocast(_autocast):
    """`torch.amp.autocast("cpu", ...)`."""

    def __init__(
        self, enabled: bool = True, dtype: DType = bfloat16, cache_enabled: bool = True
    ) -> None:
        super().__init__("cpu", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)
