"""`torch.testing`: comparing tensors with tolerances, and making tensors to test with."""

from __future__ import annotations

from pellucid.testing.comparison import assert_close as assert_close
from pellucid.testing.creation import make_tensor as make_tensor

__all__ = ["assert_close", "make_tensor"]
