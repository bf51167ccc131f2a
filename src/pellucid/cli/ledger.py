"""What `pellucid run --ledger` prints: the missing names a program touched, and where."""

from __future__ import annotations

import sys
from typing import TextIO

from pellucid.compat.ledger import LEDGER, Entry, Ledger

SHOWN = 3  # places per line


def ledger_text(ledger: Ledger) -> str:
    """One line per missing name: what it is, what was done with it, where."""
    if not len(ledger):
        return "ledger: no missing name was touched"
    lines = [f"ledger: {len(ledger)} names that Pellucid lacks were touched"]
    for entry in sorted(ledger, key=lambda entry: (not entry.used, entry.name)):
        lines.append(f"  {entry.name} ({entry.kind}): {deeds(entry)}")
    return "\n".join(lines)


def deeds(entry: Entry) -> str:
    """What was done with one name, and where."""
    parts = []
    for deed, places in (
        ("used", entry.used),
        ("assigned, without effect", entry.assigned),
        ("taken", entry.taken),
    ):
        if places:
            more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
            parts.append(f"{deed} at {', '.join(map(str, places[:SHOWN]))}{more}")
    return "; ".join(parts)


def print_ledger(ledger: Ledger = LEDGER, file: TextIO | None = None) -> None:
    """Print the ledger to stderr."""
    print(ledger_text(ledger), file=file or sys.stderr)
