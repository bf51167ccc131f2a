"""Where a name is there and means something else than in PyTorch: read by `pellucid check`.

One sentence each: what differs, and what to do about it where something can be done.
"""

from __future__ import annotations

DIFFERENCES: dict[str, str] = {}


def difference(name: str) -> str | None:
    """How Pellucid's `name` differs from PyTorch's, or None where it does not."""
    while name:
        if name in DIFFERENCES:
            return DIFFERENCES[name]
        name = name.rpartition(".")[0]
    return None
