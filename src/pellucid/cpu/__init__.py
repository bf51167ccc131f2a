"""`torch.cpu`: the device that is always there. Calls return when their work is done, so nothing
waits.
"""

from __future__ import annotations

import importlib
from typing import Any


def is_available() -> bool:
    """Whether there is a CPU: yes."""
    return True


def is_initialized() -> bool:
    """Whether it is ready: yes."""
    return True


def device_count() -> int:
    """The number of CPU devices: 1."""
    return 1


def current_device() -> str:
    """The current device: "cpu"."""
    return "cpu"


def set_device(device: Any) -> None:
    """Nothing to choose."""


def synchronize(device: Any = None) -> None:
    """Wait for the device: calls have returned when their work is done."""


class Stream:
    """A queue of work: work is done at once."""

    def __init__(self, priority: int = -1) -> None:
        self.priority = priority

    def wait_stream(self, stream: Stream) -> None:
        """Nothing to wait for."""

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


_current = Stream()


def current_stream(device: Any = None) -> Stream:
    """The only queue."""
    return _current


def stream(stream: Stream | None) -> Any:
    """A context in which `stream` is current: there is one."""
    return stream or _current


def __getattr__(name: str) -> Any:
    if name == "amp":
        return importlib.import_module("pellucid.cpu.amp")
    raise AttributeError(f"module 'pellucid.cpu' has no attribute {name!r}")
