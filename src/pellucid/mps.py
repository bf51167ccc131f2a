"""`torch.mps`: Apple's GPUs, which are not there."""

from __future__ import annotations


def is_available() -> bool:
    """Whether there is such a device: no."""
    return False


def device_count() -> int:
    """The number of such devices: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the device's generator: there is none."""


def manual_seed_all(seed: int) -> None:
    """Seed all devices' generators: there are none."""


def empty_cache() -> None:
    """Free the device's cached memory: there is none."""
