"""Files and other libraries' memory: PyTorch's `.pt`, safetensors, DLPack, NumPy.

Reading a file never runs anything that is in it.
"""

from pellucid.io import dlpack, numpy, safetensors
from pellucid.io.errors import ArchiveError, RefusedError, TruncatedFileError, UnpicklingError
from pellucid.io.inspection import Report, get_unsafe_globals_in_checkpoint, inspect_pickle
from pellucid.io.reader import load
from pellucid.io.refused import Refused
from pellucid.io.safe_globals import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)
from pellucid.io.writer import save

__all__ = [
    "ArchiveError",
    "Refused",
    "RefusedError",
    "Report",
    "TruncatedFileError",
    "UnpicklingError",
    "add_safe_globals",
    "clear_safe_globals",
    "dlpack",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "inspect_pickle",
    "load",
    "numpy",
    "safe_globals",
    "safetensors",
    "save",
]
