"""`torch.accelerator`: the device besides the CPU. There is none."""

from __future__ import annotations

from typing import Any, NoReturn

from pellucid.tensor.device import device


def is_available() -> bool:
    """Whether there is an accelerator: no."""
    return False


def device_count() -> int:
    """The number of accelerators: 0."""
    return 0


def current_accelerator(check_available: bool = False) -> device | None:
    """The accelerator's device: None."""
    return None


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """RuntimeError: there is no accelerator."""
    raise RuntimeError(
        "Cannot access accelerator device when none is available.\n"
        "  Ask torch.accelerator.is_available() first."
    )


current_device_index = current_device_idx = set_device_index = set_device_idx = _refuse
current_stream = set_stream = synchronize = get_device_capability = get_memory_info = _refuse
