"""`torch.backends.mha`: PyTorch's fused attention for inference. Here there is one way to compute
it.
"""

from __future__ import annotations

_fastpath = [True]


def get_fastpath_enabled() -> bool:
    """What `set_fastpath_enabled` was given."""
    return _fastpath[0]


def set_fastpath_enabled(value: bool) -> None:
    """Remembered; it changes nothing."""
    _fastpath[0] = bool(value)
