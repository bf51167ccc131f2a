"""`torch.backends.mkldnn`: oneDNN, which is not used. Flags can be set and read back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

enabled = True
deterministic = False
allow_tf32 = True
fp32_precision = "none"


def is_available() -> bool:
    """Whether oneDNN computes: no, NumPy and its BLAS do."""
    return False


@contextmanager
def flags(
    enabled: bool = False,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
) -> Iterator[None]:
    """The flags for the length of a block."""
    names = ("enabled", "deterministic", "allow_tf32")
    before = {name: globals()[name] for name in names}
    globals().update(zip(names, (enabled, deterministic, allow_tf32), strict=True))
    try:
        yield
    finally:
        globals().update(before)
