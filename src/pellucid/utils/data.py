"""`import pellucid.utils.data`: the room `pellucid.data` itself, under PyTorch's name."""

import sys

from pellucid import data

sys.modules[__name__] = data
