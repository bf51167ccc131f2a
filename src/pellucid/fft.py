"""`torch.fft`: discrete Fourier transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.ops.spec import namespace as _namespace

if TYPE_CHECKING:
    from pellucid.ops.fft_functions import *  # noqa: F403

_functions = _namespace("fft")
globals().update(_functions)
__all__ = sorted(_functions)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise AttributeError(f"module 'pellucid.fft' has no attribute {name!r}")
