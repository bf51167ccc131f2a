"""`torch.signal`: window functions."""

from __future__ import annotations

from pellucid.signal import windows as windows

__all__ = ["windows"]
