"""`torch.fft`: discrete Fourier transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.ops.spec import registry, show

if TYPE_CHECKING:
    from pellucid.ops.fft_functions import *  # noqa: F403

_late = show("fft", globals())
__all__ = registry.names("fft")


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        found = _late(name)
        if found is None:
            raise AttributeError(f"module 'pellucid.fft' has no attribute {name!r}")
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
