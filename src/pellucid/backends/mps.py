"""`torch.backends.mps`: Apple's GPUs, which are not used."""

from __future__ import annotations


def is_available() -> bool:
    """Whether there is such a device: no."""
    return False


def is_built() -> bool:
    """Whether the library was built for it: no."""
    return False


def is_macos13_or_newer(minor: int = 0) -> bool:
    """Whether the system is a macOS with these devices: not for Pellucid."""
    return False


is_macos_or_newer = is_macos13_or_newer
