"""Saving and loading (`torch.serialization`): `save`, `load`, and which classes a file may name.

The work is done by `pellucid.io`, which reads and writes PyTorch's own format and never runs code
that is in a file.
"""

from __future__ import annotations

from pellucid.io import ArchiveError as ArchiveError
from pellucid.io import UnpicklingError as UnpicklingError
from pellucid.io import add_safe_globals as add_safe_globals
from pellucid.io import clear_safe_globals as clear_safe_globals
from pellucid.io import get_safe_globals as get_safe_globals
from pellucid.io import get_unsafe_globals_in_checkpoint as get_unsafe_globals_in_checkpoint
from pellucid.io import load as load
from pellucid.io import safe_globals as safe_globals
from pellucid.io import save as save

__all__ = [
    "save",
    "load",
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "safe_globals",
]
