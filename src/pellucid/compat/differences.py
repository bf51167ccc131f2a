"""Where a name is there and means something else than in PyTorch: read by `pellucid check`.

One sentence each: what differs, and what to do about it where something can be done.
"""

from __future__ import annotations

DIFFERENCES: dict[str, str] = {
    "torch.load": "weights_only=False lets a file name the classes of the running program (whole "
    "models), not any code: other objects need torch.serialization.add_safe_globals",
    "torch.cuda": "there is one device, the CPU, as in PyTorch's CPU build",
}


def difference(name: str) -> str | None:
    """How Pellucid's `name` differs from PyTorch's, or None where it does not."""
    while name:
        if name in DIFFERENCES:
            return DIFFERENCES[name]
        name = name.rpartition(".")[0]
    return None
