"""`torch.utils.dlpack`: tensors handed between libraries without copying their memory."""

from __future__ import annotations

from pellucid.io.dlpack import from_dlpack as from_dlpack
from pellucid.io.dlpack import to_dlpack as to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
