"""`torch.backends.cudnn`: flags of a library that is not there. They can be set and read back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

enabled = True
benchmark = False
benchmark_limit: int | None = None
deterministic = False
allow_tf32 = True
fp32_precision = "none"
conv = SimpleNamespace(fp32_precision="tf32")
rnn = SimpleNamespace(fp32_precision="tf32")

_FLAGS = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")


def is_available() -> bool:
    """Whether cuDNN is there: no."""
    return False


def version() -> None:
    """The version of cuDNN: none."""


def is_acceptable(tensor: Any) -> bool:
    """Whether cuDNN would take this tensor: no."""
    return False


def set_flags(**flags: Any) -> tuple[Any, ...]:
    """Set flags by name (`_enabled`, `_benchmark`, …); returns what they were."""
    before = tuple(globals()[name] for name in _FLAGS)
    for name, value in flags.items():
        if value is not None:
            globals()[name.removeprefix("_")] = value
    return before


@contextmanager
def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
) -> Iterator[None]:
    """The flags for the length of a block."""
    given = (enabled, benchmark, benchmark_limit, deterministic, allow_tf32)
    before = {name: globals()[name] for name in _FLAGS}
    globals().update(zip(_FLAGS, given, strict=True))
    try:
        yield
    finally:
        globals().update(before)
