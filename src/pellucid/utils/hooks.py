"""`torch.utils.hooks`: what registering a hook returns."""

from __future__ import annotations

from pellucid.autograd.hooks import RemovableHandle as RemovableHandle

__all__ = ["RemovableHandle"]
