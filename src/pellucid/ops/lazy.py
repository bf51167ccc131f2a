"""Writing through conjugate and negative views (`tensor/lazy_storage.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.autograd.views import check_write
from pellucid.ops import meta
from pellucid.tensor.tensor import Tensor, make_array


def write_through(
    write: Callable[..., Any], self: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Tensor:
    """The in-place operation `write` on a lazy view: on a copy of what it shows, which is then
    copied back. As in PyTorch, all but `copy_` go this way.
    """
    check_write(self)
    if self._storage.meta:
        return meta.write(write, self, args, kwargs)
    resolved = self.clone()
    write(resolved, *args, **kwargs)
    return self.copy_(resolved)


def put_lazily(target: Tensor, values: np.ndarray) -> None:
    """Store `values`, of the target's dtype, so that the lazy view `target` shows them."""
    storage: Any = target._storage
    memory = make_array(storage, target._layout, target.dtype)
    storage.write(memory, np.broadcast_to(values, memory.shape))
