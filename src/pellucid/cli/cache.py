"""`pellucid cache`: the compiled kernels that are kept on disk."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from pellucid.kernels import cache


def cache_command(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of them.")] = False,
) -> None:
    """Show where compiled kernels are kept, how many and how large; or remove them.

    They are made again when they are needed. PELLUCID_KERNEL_CACHE chooses another folder, "off"
    keeps none.
    """
    folder = cache.folder()
    if folder is None:
        print("nothing is kept: PELLUCID_KERNEL_CACHE is off")
        return
    if clear:
        print(f"removed {cache.clear() / 1e6:.1f} MB from {folder}")
        return
    entries = cache.entries()
    total = sum(entry.nbytes for entry in entries)
    print(f"{folder}\n{len(entries)} kernels, {total / 1e6:.1f} MB")
    if entries:
        age = (time.time() - entries[0].used) / 86400
        print(f"the longest unused was used {age:.0f} days ago")
