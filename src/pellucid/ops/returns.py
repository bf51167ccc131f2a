"""Named results: `torch.max(x, dim)` answers `torch.return_types.max(values=…, indices=…)`."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

types: dict[str, Any] = {}
"""Every named result by its name: what `torch.return_types` shows."""


def return_type(name: str, fields: str) -> Any:
    """The tuple type for operator `name` with these fields, printed as PyTorch prints it."""
    base = namedtuple(name, fields)  # type: ignore[misc]

    def show(self: Any) -> str:
        lines = ",\n".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
        return f"torch.return_types.{name}(\n{lines})"

    found = type(name, (base,), {"__slots__": (), "__repr__": show, "__module__": "torch.return_types"})
    types[name] = found
    return found
