"""`torch.utils.benchmark`: measuring how long a statement takes, in blocks, with the median as the
answer.
"""

from __future__ import annotations

from pellucid.utils.benchmark.timer import Measurement as Measurement
from pellucid.utils.benchmark.timer import Timer as Timer
from pellucid.utils.benchmark.timer import timer as timer

__all__ = ["Measurement", "Timer", "timer"]
