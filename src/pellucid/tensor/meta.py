"""Tensors without data: shape, dtype and strides over a storage that only counts its bytes.

`torch.empty(2, 3, device="meta")` is one. Operators on them answer with what their result would be
(`ops/meta.py`); whoever asks for a number is refused. While there are any, the list of listeners is
not empty, so that every call takes the way past `ops/meta.py`; without them nothing of this costs
anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index as to_index
from typing import Any

from pellucid.tensor.dtype import dtype
from pellucid.tensor.events import listeners, permanent
from pellucid.tensor.layout import Layout
from pellucid.tensor.refusals import no_data
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, make


def _attention(event: Any) -> None:
    """Stands in the list of listeners while there are tensors without data."""


permanent.add(_attention)


class _Counted:
    def __init__(self) -> None:
        self.living: set[int] = set()

    formula: Callable[[Callable[..., Any], Sequence[Any]], Any]
    """How a gradient formula runs on tensors without data: filled in by `ops/meta.py`."""


counted = _Counted()
"""Which storages without data there are, by their `id`."""


class MetaStorage(Storage):
    """So many bytes that are not there. `lazy`, so that writers take their careful way."""

    __slots__ = ()
    lazy = True
    meta = True

    def __init__(self, nbytes: int) -> None:
        self._nbytes = to_index(nbytes)
        self.version = 0
        self.owner = None
        self._class = 0
        counted.living.add(id(self))
        if _attention not in listeners:
            listeners.append(_attention)

    def __del__(self) -> None:
        counted.living.discard(id(self))
        if not counted.living and _attention in listeners:
            listeners.remove(_attention)

    @property
    def buffer(self) -> Any:  # type: ignore[override]
        """Refused."""
        raise no_data()

    @property
    def address(self) -> int:
        """Refused; `data_ptr()` is 0."""
        raise no_data()

    def data_ptr(self) -> int:
        """Always 0."""
        return 0

    def alias(self) -> Storage:
        """As many bytes, with a version counter of their own."""
        return MetaStorage(self._nbytes)

    def resize_(self, nbytes: int) -> None:
        """Count `nbytes` from now on."""
        self._nbytes = to_index(nbytes)

    def __repr__(self) -> str:
        return f"...\n[torch.storage.UntypedStorage(device=meta) of size {self._nbytes}]"


def without_data(layout: Layout, kind: dtype) -> Tensor:
    """A tensor of this layout and dtype that has no data."""
    return make(MetaStorage(layout.span * kind.itemsize), layout, kind)


def let_go(tensor: Tensor) -> Tensor:
    """The tensor itself, whose data is given up."""
    if not tensor._storage.meta:
        tensor.__dict__.pop("_array", None)
        tensor._storage = MetaStorage(tensor._storage.nbytes())
    return tensor
