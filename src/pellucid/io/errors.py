"""What a reader raises.

`torch.load` raises `pickle.UnpicklingError` for what it will not unpickle, `RuntimeError` for a
damaged archive and `EOFError` for a file that stops early. Programs catch one of these, so every
error here is both of the first two, and `TruncatedFileError` is an `EOFError` as well.
"""

from __future__ import annotations

import pickle


class UnpicklingError(pickle.UnpicklingError, RuntimeError):
    """The file is not what it says it is, or asks for something a reader must not do."""


class RefusedError(UnpicklingError):
    """The file asks for a class or function that is not on the allow-list.

    Unlike damage, a refusal can be stepped over: `load(..., skip_refused=True)` leaves a
    `Refused` in its place.
    """


class ArchiveError(UnpicklingError):
    """The container (zip archive, safetensors header) contradicts itself."""


class TruncatedFileError(UnpicklingError, EOFError):
    """The file ends before what it announces."""
