# Written by tools/write_stubs.py from the operators' descriptions: do not edit.
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pellucid.tensor.tensor import Tensor

