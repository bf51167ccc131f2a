"""The passes over a program, in order. Each is a function that changes it in place; its docstring
shows a piece before and after. `PELLUCID_DEBUG=passes` prints what each one did.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from pellucid.config import debug_windows
from pellucid.kernels.language.nodes import Program
from pellucid.kernels.language.text import program_text
from pellucid.kernels.language.verify import verify
from pellucid.kernels.passes.drop import drop
from pellucid.kernels.passes.hoist import hoist
from pellucid.kernels.passes.share import share
from pellucid.kernels.passes.unroll import unroll

PASSES: list[tuple[str, Callable[[Program], None]]] = [
    ("unroll loops", unroll),
    ("share equal values", share),
    ("hoist what a loop does not change", hoist),
    ("drop what nobody uses", drop),
]


def run_passes(program: Program, *, check: bool = False) -> Program:
    """Run all passes; with `check` the verifier looks at the program before and after each."""
    show = "passes" in debug_windows()
    if check or show:
        verify(program)
    for title, change in PASSES:
        before = program_text(program) if show else ""
        change(program)
        if check or show:
            verify(program)
        if show:
            after = program_text(program)
            text = after if after != before else "(no change)"
            print(f"-- {program.name}: {title}\n{text}", file=sys.stderr)
    return program
