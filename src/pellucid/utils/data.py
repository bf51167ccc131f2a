"""`import pellucid.utils.data`: the room `pellucid.data` itself, under PyTorch's name."""

import sys
from typing import TYPE_CHECKING

from pellucid import data

if TYPE_CHECKING:
    from pellucid.data import *  # noqa: F403

sys.modules[__name__] = data
