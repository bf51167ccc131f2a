"""Every `PELLUCID_*` environment variable, read and checked in this one place.

PELLUCID_DEBUG       comma-separated windows to open: see `DEBUG_WINDOWS`
PELLUCID_CACHE_MB    how many MiB of freed tensor memory are kept for reuse (default 1024; 0 keeps
none)
"""

from __future__ import annotations

import os

DEBUG_WINDOWS = {
    "ops": "print each operator as it runs: inputs, outputs, view or copy",
    "traceback": "show the engine's own frames in error messages of `pellucid run`",
    "alloc": "print each allocation that could not be served from freed memory",
}


def debug_windows(text: str | None = None) -> frozenset[str]:
    """The windows named in `PELLUCID_DEBUG` (or in `text`); an unknown name is an error that lists
    the known ones.
    """
    text = os.environ.get("PELLUCID_DEBUG", "") if text is None else text
    names = frozenset(part.strip() for part in text.split(",") if part.strip())
    unknown = names - DEBUG_WINDOWS.keys()
    if unknown:
        known = ", ".join(DEBUG_WINDOWS)
        raise ValueError(
            f"PELLUCID_DEBUG={text!r}: no window named {sorted(unknown)[0]!r}; there are {known}"
        )
    return names


def cache_bytes() -> int:
    """How many bytes of freed memory the allocator keeps (`PELLUCID_CACHE_MB`)."""
    text = os.environ.get("PELLUCID_CACHE_MB", "1024")
    if not text.isdigit():
        raise ValueError(f"PELLUCID_CACHE_MB={text!r} must be a whole number of MiB, 0 or more")
    return int(text) << 20
