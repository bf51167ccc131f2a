"""Every `PELLUCID_*` environment variable, read and checked in this one place.

PELLUCID_DEBUG       comma-separated windows to open: see `DEBUG_WINDOWS`
PELLUCID_CACHE_MB    how many MiB of freed tensor memory are kept for reuse (default 1024; 0 keeps
none)
PELLUCID_TARGET      the instruction set that kernels are made for, instead of the CPU's best
PELLUCID_KERNEL_CACHE  the folder of compiled kernels (default ~/.cache/pellucid; "off" keeps none)
PELLUCID_KERNELS     "off" leaves eager operators to NumPy
"""

from __future__ import annotations

import os

DEBUG_WINDOWS = {
    "ops": "print each operator as it runs: inputs, outputs, view or copy",
    "traceback": "show the engine's own frames in error messages of `pellucid run`",
    "alloc": "print each allocation that could not be served from freed memory",
    "graph": "print the graph of a compiled function after each pass",
    "plan": "print the plan of a compiled function: steps, kernels, memory",
    "loops": "print each kernel as a program of the loop language",
    "passes": "print a kernel before and after each pass over it",
    "llvm": "print the LLVM IR of each kernel that is compiled",
    "asm": "print the assembly of each kernel that is compiled",
    "jit": "print which kernels were compiled and which came from the cache, with times",
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


def target_name(known: tuple[str, ...]) -> str | None:
    """The target that `PELLUCID_TARGET` names, or None for the CPU's best."""
    text = os.environ.get("PELLUCID_TARGET", "")
    if text and text not in known:
        raise ValueError(f"PELLUCID_TARGET={text!r}: no such target; there are {', '.join(known)}")
    return text or None


def kernel_cache() -> str | None:
    """The folder for compiled kernels, or None if `PELLUCID_KERNEL_CACHE` is "off"."""
    text = os.environ.get("PELLUCID_KERNEL_CACHE", "")
    if text == "off":
        return None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return text or os.path.join(base, "pellucid")


def eager_kernels() -> bool:
    """Whether eager operators may run on compiled kernels (`PELLUCID_KERNELS`)."""
    text = os.environ.get("PELLUCID_KERNELS", "on")
    if text not in ("on", "off"):
        raise ValueError(f"PELLUCID_KERNELS={text!r} must be on or off")
    return text == "on"
