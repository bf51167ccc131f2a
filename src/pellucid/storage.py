"""`torch.storage`: the classes of storages."""

from __future__ import annotations

from pellucid.tensor.storage import Storage as UntypedStorage
from pellucid.tensor.typed_storage import TypedStorage as TypedStorage

__all__ = ["TypedStorage", "UntypedStorage"]
